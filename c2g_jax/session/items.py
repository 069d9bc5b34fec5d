"""Points, boxes and masks that a person gives, once they fit the video."""

from collections.abc import Sequence

import numpy as np

from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import Video
from c2g_jax.session.ranges import check_frame
from c2g_jax.session.state import PromptItem
from c2g_jax.types import Prompt, real


def point(
    video: Video, frame: int, x: float, y: float, positive: bool = True
) -> PromptItem:
    """A point on an object, or off it; InputError unless it lies in the video."""
    place = real(x, "x"), real(y, "y")
    _check(video, Prompt(frame, 0, [place]))
    return PromptItem("point", place, bool(positive))


def box(video: Video, frame: int, corners: Sequence[float]) -> PromptItem:
    """A box (x1, y1, x2, y2); InputError unless it lies in the video."""
    names = ("x1", "y1", "x2", "y2")
    corners = tuple(real(x, name) for x, name in zip(corners, names, strict=True))
    _check(video, Prompt(frame, 0, box=corners))
    return PromptItem("box", box=corners)


def mask(video: Video, frame: int, pixels: np.ndarray) -> PromptItem:
    """A mask, bool [H, W]; InputError unless it has the video's size."""
    pixels = np.asarray(pixels, bool)
    _check(video, Prompt(frame, 0, mask=pixels))
    return PromptItem("mask", mask=encode_mask(pixels))


def _check(video: Video, prompt: Prompt) -> None:
    check_frame(prompt.frame, video.num_frames)  # of an object that may be new
    prompt.check(video.width, video.height, video.num_frames)
