"""Tiny videos in which the brightness of a frame encodes its index."""

import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

STEP = 8


def numbered(i: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), 10 + STEP * i, np.uint8)


def number_of(rgb: np.ndarray) -> int:
    return round((float(rgb.mean()) - 10) / STEP)


def write_clip(
    path: Path,
    frames,
    times_ms=None,
    fps: int = 30,
    codec: str = "libx264",
    rotation: int = 0,
    matrix=None,
    ratio=None,
    clock: int = 30_000,
    **options: str,
) -> Path:
    """Encode uint8 [H, W, 3] frames at `fps`, or at times in milliseconds.

    rotation, matrix: how players turn them. ratio: width to height of a pixel.
    clock: ticks per second; MPEG's encoders need the rate of the frames.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.options = options
        for i, rgb in enumerate(frames):
            if i == 0:
                stream.height, stream.width = rgb.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = Fraction(1, clock)
                if rotation:
                    stream.set_display_rotation(rotation)
                if matrix:
                    stream.set_display_matrix(matrix)
                if ratio:
                    stream.codec_context.sample_aspect_ratio = ratio
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.time_base = Fraction(1, clock)
            milliseconds = 1000 * i / fps if times_ms is None else times_ms[i]
            picture.pts = round(clock * milliseconds / 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def numbered_clip(path: Path, count: int = 30, **options) -> Path:
    """Write `count` frames of `numbered`, with the options of `write_clip`."""
    return write_clip(path, [numbered(i) for i in range(count)], **options)


def numbers(video) -> list[int]:
    """Return the indices that `numbered` encoded in the frames of a video."""
    return [number_of(frame.rgb) for frame in video]


def readers() -> list[threading.Thread]:
    """Return the running threads that decode ahead."""
    return [t for t in threading.enumerate() if t.name == "read_ahead"]
