"""Pairs of both implementations, and videos open in both, built once."""

import functools
import sys
import types

import numpy as np
import pytest

from tests.seeded import seeded


@pytest.fixture(scope="session")
def pair_of():
    """A cached function: the pair of a size, with seeded weights."""
    from porting.pair import make_pair

    return functools.cache(
        lambda size, image_size=None: make_pair(size, seeded(size), image_size)
    )


@pytest.fixture(scope="session")
def clip_of(pair_of):
    """A cached function: a drawn video, wider than high, open in a pair."""
    from porting.pair import Clip
    from porting.scenes import draw_video

    @functools.cache
    def clip(size, image_size=None, num_frames=10):
        return Clip(pair_of(size, image_size), draw_video(num_frames, 180, 240))

    return clip


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
