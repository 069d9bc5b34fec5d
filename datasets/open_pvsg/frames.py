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
        if not container.streams.video:
            raise OSError("it has no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        try:
            yield from container.decode(stream)
        except av.error.FFmpegError:
            return  # `scan` detects this from the number of frames


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Return uint8 [H, W, 3], rotated as the video's metadata requests."""
    rgb = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(rgb)


def shown_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Return (height, width) of `to_rgb` without converting pixels."""
    turned = round(frame.rotation / 90) % 2
    size = (frame.height, frame.width)
    return size[::-1] if turned else size


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
