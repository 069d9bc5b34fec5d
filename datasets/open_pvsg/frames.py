"""Frames of an mp4, decoded one after the other, and their JPEG files."""

import io
from collections.abc import Iterator

import av
import numpy as np
from PIL import Image

from .download import Place

QUALITY = 95


def decode(place: Place) -> Iterator[av.VideoFrame]:
    """The frames of a video in the order of time, up to the first that is broken.

    Raises OSError where the file cannot be opened as a video at all.
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
            return  # the count of frames tells; `scan` compares it


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """uint8 [H, W, 3], turned as the video asks to be shown."""
    rgb = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(rgb)


def shown_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(height, width) of `to_rgb`, without the pixels."""
    turned = round(frame.rotation / 90) % 2
    size = (frame.height, frame.width)
    return size[::-1] if turned else size


def encode_jpeg(rgb: np.ndarray, size: int | None = None) -> bytes:
    """A JPEG of uint8 [H, W, 3], resized to the square of that size if it is given.

    PIL's bicubic, as SAM2 reads videos; chroma at full resolution.
    """
    image = Image.fromarray(rgb)
    if size is not None:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
