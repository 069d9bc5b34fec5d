"""Both implementations with the same weights, and a video open in both."""

import contextlib
import dataclasses
from collections.abc import Mapping
from unittest import mock

import jax
import numpy as np
import torch
from sam2.sam2_video_predictor import SAM2VideoPredictor

from c2g_jax.checkpoints.released.official import is_2_0
from c2g_jax.sam2.config import Sam2Config, sam2_config
from c2g_jax.sam2.hiera import Hiera, PatchEmbed
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.neck import FpnNeck
from c2g_jax.sam2.track import encode_frame
from porting.official import port
from porting.reference import build_reference, open_frames
from porting.scenes import model_images, normalise


@dataclasses.dataclass(frozen=True)
class Pair:
    """Our model and the reference, with the same weights."""

    config: Sam2Config
    ours: Sam2
    reference: SAM2VideoPredictor


def make_pair(
    size: str,
    state: Mapping[str, torch.Tensor],
    image_size: int | None = None,
    ours: Sam2 | None = None,
) -> Pair:
    """Build a pair from an official state; `ours` if already ported."""
    config = sam2_config(size, image_size)
    release = "2.0" if is_2_0(state) else "2.1"
    reference = build_reference(size, image_size, release)
    reference.load_state_dict(dict(state))
    return Pair(config, ours or port(state, config), reference)


@jax.jit
def _encode(model: Sam2, frame: jax.Array) -> tuple[FrameFeatures, list]:
    """`encode_frame`, and the outputs of patch embedding, trunk and neck on the way."""
    outputs: list = []
    with contextlib.ExitStack() as hooks:
        for module in (PatchEmbed, Hiera, FpnNeck):
            hooks.enter_context(_recorded(module, outputs))
        features = encode_frame.__wrapped__(model, frame)
    return features, outputs


def _recorded(module: type, outputs: list):
    """Patch the calls of a module to append their output, while jax traces."""
    call = module.__call__

    def recording(self, *arguments):
        output = call(self, *arguments)
        outputs.append(output)
        return output

    return mock.patch.object(module, "__call__", recording)


class Clip:
    """A video open in both implementations; each encodes a frame once."""

    def __init__(self, pair: Pair, frames: np.ndarray):
        """`frames` uint8 [t, H, W, 3], of any size."""
        self.pair, self.frames = pair, frames
        self.size = frames.shape[1:3]
        side = pair.config.image_size
        self.square = model_images(frames, side)
        self.images = normalise(self.square)  # float32 [t, S, S, 3]
        self.reference_features: dict = {}
        self._features: dict[int, FrameFeatures] = {}

    def features(self, frame: int) -> FrameFeatures:
        """Return our features of a frame."""
        if frame not in self._features:
            self.encode(frame)
        return self._features[frame]

    def encode(self, frame: int) -> tuple[FrameFeatures, list]:
        """Encode a frame: our features; outputs of patch embedding, trunk and neck.

        One program serves both: compiling it takes longer than running it.
        """
        features, outputs = _encode(self.pair.ours, self.square[frame])
        self._features[frame] = jax.block_until_ready(features)
        return features, outputs

    def open_reference(self) -> dict:
        """Return a new state of the reference, sharing the features of frames."""
        return open_frames(
            self.pair.reference, self.images, self.size, self.reference_features
        )

    def reference_levels(self, frame: int) -> tuple[torch.Tensor, ...]:
        """Return the reference's features of a frame: strides 4, 8 and 16, NCHW."""
        state = self.open_reference()
        with torch.inference_mode():
            self.pair.reference._get_image_feature(state, frame, 1)
        return tuple(state["cached_features"][frame][1]["backbone_fpn"])
