"""What a video looks like, in a few numbers, so that a session knows its own again.

Coarse on purpose: other versions of a decoder, or a new encoding, change pixels a
little, and a session goes on with them.
"""

from collections.abc import Mapping

import numpy as np

from c2g_jax.sam2.predictors.frame_reader import EndOfVideo, FrameReader
from c2g_jax.types import InputError

SIDE = 8
FAR = 6.0  # of 255: the mean difference from which on it is another picture

Fingerprint = Mapping[int, np.ndarray]  # by frame, uint8 [SIDE, SIDE, 3]


def take(reader: FrameReader, num_frames: int) -> Fingerprint:
    """The first, middle and last frame of a video, those that can be read."""
    found = {}
    for frame in sorted({0, num_frames // 2, num_frames - 1}):
        try:
            found[frame] = small(reader.read(frame))
        except (InputError, EndOfVideo):
            continue
    return found


def small(picture: np.ndarray) -> np.ndarray:
    """uint8 [SIDE, SIDE, 3], the means of what lies there in a picture [H, W, 3]."""
    means = picture.astype(np.float64)
    for axis in (0, 1):
        length = means.shape[axis]
        edges = np.arange(SIDE + 1) * length // SIDE
        counts = np.maximum(1, np.diff(edges))
        sums = np.add.reduceat(means, np.minimum(edges[:-1], length - 1), axis)
        means = sums / counts.reshape((-1, 1, 1) if axis == 0 else (-1, 1))
    return np.round(means).astype(np.uint8)


def differ(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether a frame that both have is another picture."""
    return any(
        np.abs(one[t].astype(float) - other[t].astype(float)).mean() > FAR
        for t in one.keys() & other.keys()
    )


def to_json(fingerprint: Fingerprint) -> list:
    """The fingerprint as JSON values."""
    return [[t, picture.tobytes().hex()] for t, picture in fingerprint.items()]


def from_json(rows: list) -> Fingerprint:
    """And back; ValueError or TypeError where they are none."""
    return {
        int(t): np.frombuffer(bytes.fromhex(code), np.uint8).reshape(SIDE, SIDE, 3)
        for t, code in rows
    }
