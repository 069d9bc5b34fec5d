"""Both implementations with the same weights, and a video open in both."""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
import torch
from PIL import Image
from sam2.sam2_video_predictor import SAM2VideoPredictor

from c2g_jax.sam2.config import Sam2Config, sam2_config
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.track import encode_frame
from porting.official import is_2_0, port
from porting.reference import build_reference, open_frames
from porting.scenes import normalise


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


class Clip:
    """A video open in both implementations; each encodes a frame once."""

    def __init__(self, pair: Pair, frames: np.ndarray):
        """`frames` uint8 [t, H, W, 3], of any size."""
        self.pair, self.frames = pair, frames
        self.size = frames.shape[1:3]
        side = pair.config.image_size
        # As the reference reads JPEGs: uint8, PIL's bicubic resize.
        resized = [Image.fromarray(f).resize((side, side)) for f in frames]
        self.square = np.stack([np.asarray(image) for image in resized])
        self.images = normalise(self.square)  # float32 [t, S, S, 3]
        self.reference_features: dict = {}
        self._features: dict[int, FrameFeatures] = {}

    def features(self, frame: int) -> FrameFeatures:
        """Return our features of a frame."""
        if frame not in self._features:
            features = encode_frame(self.pair.ours, self.square[frame])
            self._features[frame] = jax.block_until_ready(features)
        return self._features[frame]

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
