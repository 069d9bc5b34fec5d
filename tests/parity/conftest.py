"""Pairs of both implementations, and videos open in both, built once."""

import functools
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import c2g_jax
from tests.seeded import seeded

EXAMPLE = Path(c2g_jax.__file__).parent / "example"


# A pair holds a model twice, and a clip the features of its frames: each file drops its
# own.


@pytest.fixture(scope="module")
def trained_pair(tmp_path_factory):
    """The pair of the toy checkpoint that is shipped, exported and read again."""
    import torch

    from c2g_jax.checkpoints.pretrained import TOY_CHECKPOINT
    from c2g_jax.checkpoints.safetensors import read_manifest
    from porting.pair import make_pair
    from porting.reverse import reverse

    path = tmp_path_factory.mktemp("exported") / "toy.pt"
    reverse(TOY_CHECKPOINT, path)
    size = read_manifest(TOY_CHECKPOINT)["size"]
    return make_pair(size, torch.load(path)["model"], 256)


@pytest.fixture(scope="module")
def pair_of(request, tmp_path_factory):
    """A cached function: the pair of a size, with seeded weights.

    The size "trained" is the toy checkpoint that is shipped, at 256 pixels.
    """
    from porting.pair import make_pair

    @functools.cache
    def pair(size, image_size=None):
        if size == "trained":
            assert image_size in (None, 256)
            return request.getfixturevalue("trained_pair")
        return make_pair(size, seeded(tmp_path_factory, size), image_size)

    return pair


@pytest.fixture(scope="module")
def clip_of(pair_of):
    """A cached function: a drawn video, wider than high, open in a pair."""
    from porting.pair import Clip
    from porting.scenes import draw_video

    @functools.cache
    def clip(size, image_size=None, num_frames=10):
        return Clip(pair_of(size, image_size), draw_video(num_frames, 180, 240))

    return clip


class _ThereAndBack:
    """The frames of a clip back and forth: frame t shows the clip's `self[t]`."""

    def __init__(self, count):
        self.count = count

    def __getitem__(self, t):
        t %= 2 * self.count - 2
        return min(t, 2 * self.count - 2 - t)


class _Shared(dict):
    """Features of a clip's frames, by the frames of the clip back and forth."""

    def __init__(self, order):
        super().__init__()
        self.order = order

    def get(self, t, default=None):
        return super().get(self.order[t], default)

    def update(self, features):
        for t, value in features.items():
            self[self.order[t]] = value


@pytest.fixture(scope="module")
def example_of(pair_of):
    """A cached function: the example clip, back and forth, open in a pair at 256.

    Every frame of the clip is encoded once.
    """
    from c2g_jax.media.video import open_video
    from porting.pair import Clip

    frames = np.stack([frame.rgb for frame in open_video(EXAMPLE / "example.mp4")])
    order = _ThereAndBack(len(frames))

    class Example(Clip):
        def features(self, frame):
            return super().features(order[frame])

    @functools.cache
    def features_of(size):
        return {}, _Shared(order)

    @functools.cache
    def clip(size, num_frames):
        pair = pair_of(size, 256)
        clip = Example(pair, frames[[order[t] for t in range(num_frames)]])
        clip._features, clip.reference_features = features_of(size)
        return clip

    return clip


@pytest.fixture(scope="session")
def box_on():
    """A function: the box of the example's child on one of its frames."""
    from c2g_jax.media.rle import decode_mask

    masks = json.loads((EXAMPLE / "example.json").read_text())["objects"][2]["masks"]

    def box(frame):
        rows, columns = np.nonzero(decode_mask(masks[str(frame)]))
        return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]

    return box


@pytest.fixture(scope="session")
def image_reference():
    """Makes the reference's image predictor for a pair.

    torchvision, whose transforms it takes, has no build that loads beside every torch;
    these three give the same output.
    """
    import torch

    class ToTensor:
        def __call__(self, image):
            array = np.asarray(image).astype(np.float32) / np.float32(255)
            return torch.from_numpy(array).permute(2, 0, 1)

    transforms = types.ModuleType("torchvision.transforms")
    transforms.ToTensor = ToTensor
    transforms.Resize, transforms.Normalize = _Resize, _Normalize
    stand_ins = {"torchvision": types.ModuleType("torchvision")}
    stand_ins["torchvision.transforms"] = transforms

    with pytest.MonkeyPatch.context() as patch:
        for name, module in stand_ins.items():
            patch.setitem(sys.modules, name, module)
        patch.setattr(torch.jit, "script", lambda module: module)
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        def make(pair):
            predictor = SAM2ImagePredictor(pair.reference)
            low = pair.config.low_res_size
            # Hard-coded for 1024 pixels (sam2_image_predictor.py:62-66).
            predictor._bb_feat_sizes = [(low,) * 2, (low // 2,) * 2, (low // 4,) * 2]
            return predictor

        yield make


def _module(function):
    """A torch module that calls a function of its settings and an image [3, H, W]."""

    def make(*settings):
        import torch

        class Transform(torch.nn.Module):
            def forward(self, image):
                return function(image, *settings)

        return Transform()

    return make


@_module
def _Resize(image, size):
    import torch

    return torch.nn.functional.interpolate(
        image[None], size, mode="bilinear", antialias=True, align_corners=False
    )[0]


@_module
def _Normalize(image, mean, std):
    import torch

    mean, std = (torch.tensor(x)[:, None, None] for x in (mean, std))
    return (image - mean) / std
