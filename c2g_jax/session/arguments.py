"""Check what callers of a session give: frames, spans, prompts and paths."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from c2g_jax.media.masks import to_mask
from c2g_jax.media.outputs import check_output, file_named, path_named
from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import Video, check_not_input
from c2g_jax.session.state_parts import PromptItem
from c2g_jax.types import InputError, Prompt, real, whole


def check_frame(frame: int, num_frames: int) -> int:
    """Return a frame number as an int; InputError unless the video has it."""
    frame = whole(frame, "frame")
    if not 0 <= frame < num_frames:
        raise InputError(
            f"frame {frame} is not in the video: use 0 to {num_frames - 1}"
        )
    return frame


def choose_span(
    start: int | None, stop: int | None, num_frames: int
) -> tuple[int, int]:
    """Return a span's first and last frame; None is the video's first or last."""
    first = 0 if start is None else check_frame(start, num_frames)
    last = num_frames - 1 if stop is None else check_frame(stop, num_frames)
    if last < first:
        raise InputError(f"the span {first} to {last} is empty: end it later")
    return first, last


def point(
    video: Video, frame: int, x: float, y: float, positive: bool = True
) -> PromptItem:
    """Return a point on an object, or off it; InputError if outside the frame."""
    place = real(x, "x"), real(y, "y")
    Prompt(frame, 0, [place]).check(video.width, video.height)
    return PromptItem("point", place, bool(positive))


def box(video: Video, frame: int, corners: Sequence[float]) -> PromptItem:
    """Return a box (x1, y1, x2, y2); InputError if it lies outside the frame."""
    names = ("x1", "y1", "x2", "y2")
    corners = tuple(real(x, name) for x, name in zip(corners, names, strict=True))
    Prompt(frame, 0, box=corners).check(video.width, video.height)
    return PromptItem("box", box=corners)


def mask(video: Video, frame: int, pixels: Any) -> PromptItem:
    """Return a mask (`media.masks`); InputError unless it has the video's size."""
    pixels = to_mask(pixels)
    Prompt(frame, 0, mask=pixels).check(video.width, video.height)
    return PromptItem("mask", mask=encode_mask(pixels))


def output_path(path: str | Path, video: str | None, folder: bool = False) -> Path:
    """Return the path of an output; InputError for a wrong kind, or the video itself.

    `video`: the path of the session's video, None if it was given as arrays.
    """
    place = path_named(path)
    check_not_input(video, place, "the session's video")
    # Not from `place`: a Path loses the slash at its end that makes it a folder.
    return place if folder else file_named(os.path.expanduser(path))


def writable_path(path: str | Path, video: str | None) -> Path:
    """Do the same for a file written later; try now, so that no work is lost."""
    place = output_path(path, video)
    check_output(place, None, "file")
    return place


@contextlib.contextmanager
def writing(
    path: str | Path, video: str | None, folder: bool = False
) -> Iterator[Path]:
    """Give the path of an output, its folder made; InputError if it cannot be written.

    Arguments as in `output_path`.
    """
    place = output_path(path, video, folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield place
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"{place}: cannot be written ({reason}): name another path"
        ) from error
