"""Decode the frames of an mp4 and encode them as JPEG."""

import io
from collections.abc import Iterator

import av
import numpy as np
from PIL import Image

from .download import Place

QUALITY = 95  # of JPEG


def decode(place: Place) -> Iterator[av.VideoFrame]:
    """Yield the frames of a video in order, up to the first damaged one.

    Raises OSError if the file cannot be opened as a video.
    """
    file = place.path if place.archive is None else io.BytesIO(place.read())
    try:
        container = av.open(file)
    except av.error.FFmpegError as error:
        raise OSError(f"it does not open as a video: {error.strerror}") from error
    with container:
        stream = _film_track(container)
        stream.thread_type = "AUTO"
        try:
            yield from container.decode(stream)
        except av.error.FFmpegError:
            return  # `scan` detects this from the number of frames


def _film_track(container) -> av.VideoStream:
    """Return the best video track that is no cover picture; OSError if none."""
    still = av.stream.Disposition.attached_pic
    tracks = [t for t in container.streams.video if not t.disposition & still]
    if not tracks:
        raise OSError("it has no video stream")
    # A cover is sometimes an ordinary track of one frame.
    tracks = [track for track in tracks if track.frames != 1] or tracks
    best = container.streams.best("video")
    return next((t for t in tracks if t.index == best.index), tracks[0])


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Return uint8 [H, W, 3], turned and mirrored as the video's metadata requests.

    Pixels that are not square stay as they are stored, since masks are drawn on them.
    """
    swapped, left, up = _orientation(frame)
    rgb = frame.to_ndarray(format="rgb24")
    rgb = rgb.swapaxes(0, 1) if swapped else rgb
    rgb = rgb[:, ::-1] if left else rgb
    return np.ascontiguousarray(rgb[::-1] if up else rgb)


def shown_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Return (height, width) of `to_rgb` without converting pixels."""
    size = (frame.height, frame.width)
    return size[::-1] if _orientation(frame)[0] else size


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Return whether to swap the axes, then to mirror left to right, and up to down.

    By FFmpeg's display matrix (libavutil/display.h): the stored pixel (p, q) is shown
    at (a p + c q, b p + d q), and shifted back into the picture.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data of a type that PyAV has no name for
        return [
            (False, False, False),
            (True, False, True),
            (False, True, True),
            (True, True, False),
        ][round(frame.rotation / 90) % 4]
    if matrix is None:
        return False, False, False
    a, b, c, d = np.frombuffer(bytes(matrix), np.int32)[[0, 1, 3, 4]].tolist()
    swapped = abs(a) + abs(d) < abs(b) + abs(c)
    return (True, c < 0, b < 0) if swapped else (False, a < 0, d < 0)


def encode_jpeg(rgb: np.ndarray, size: int | None = None) -> bytes:
    """Encode uint8 [H, W, 3] as JPEG, resized to a square of side `size` if given.

    Resizing is PIL's bicubic, as in SAM2's video reader; chroma is not subsampled.
    """
    image = Image.fromarray(rgb)
    if size is not None:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
