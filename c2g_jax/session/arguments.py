"""Check what callers of a session give: frames, spans, prompts and paths."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from c2g_jax.media.outputs import check_output, file_named, path_named
from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import Video, check_not_input
from c2g_jax.session.session_state import PromptItem
from c2g_jax.types import InputError, Prompt, real, whole


def check_frame(frame: int, num_frames: int) -> int:
    """The number of a frame as an int; InputError unless the video has it."""
    frame = whole(frame, "frame")
    if not 0 <= frame < num_frames:
        raise InputError(
            f"frame {frame} is not in the video: use 0 to {num_frames - 1}"
        )
    return frame


def choose_span(
    start: int | None, stop: int | None, num_frames: int
) -> tuple[int, int]:
    """First and last frame of a span; None is the first or last of the video."""
    first = 0 if start is None else check_frame(start, num_frames)
    last = num_frames - 1 if stop is None else check_frame(stop, num_frames)
    if last < first:
        raise InputError(f"the span {first} to {last} is empty: end it later")
    return first, last


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


def place_named(path: str | Path, video: str | None, folder: bool = False) -> Path:
    """The path of an output; InputError where it is of the wrong kind, or the video.

    `video`: where the session's video lies, None for one that was given as arrays.
    """
    place = path_named(path)
    check_not_input(video, place, "the session's video")
    # As it was given: a slash at its end, which makes it a folder, is gone from a Path.
    return place if folder else file_named(path)


def place_to_write(path: str | Path, video: str | None) -> Path:
    """The same of a file that is written later, tried now so that no work is lost."""
    place = place_named(path, video)
    check_output(place, None, "file")
    return place


@contextlib.contextmanager
def writing(
    path: str | Path, video: str | None, folder: bool = False
) -> Iterator[Path]:
    """The path of an output, its parents there; InputError where it cannot be written.

    Arguments as in `place_named`.
    """
    place = place_named(path, video, folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield place
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"{place}: cannot be written ({reason}): name another place"
        ) from error
