"""Fingerprints of videos, by which a saved session recognises its video.

They are coarse on purpose: another version of a decoder, or a new encoding, changes
pixels a little and must not matter.
"""

from collections.abc import Mapping

import numpy as np

from c2g_jax.sam2.predictors.frame_reader import EndOfVideo, FrameReader
from c2g_jax.types import InputError

SIDE = 8
MAX_DIFFERENCE = 6.0  # of 255, on average, between fingerprints of the same frame

Fingerprint = Mapping[int, np.ndarray]  # by frame, uint8 [SIDE, SIDE, 3]


def fingerprint_of(reader: FrameReader, num_frames: int) -> Fingerprint:
    """Return the fingerprint of a video's first, middle and last frame, if readable."""
    found = {}
    for frame in sorted({0, num_frames // 2, num_frames - 1}):
        try:
            found[frame] = shrink(reader.read(frame))
        except (InputError, EndOfVideo):
            continue
    return found


def shrink(image: np.ndarray) -> np.ndarray:
    """Return uint8 [SIDE, SIDE, 3], the cell means of an image [H, W, 3]."""
    means = image.astype(np.float64)
    for axis in (0, 1):
        length = means.shape[axis]
        edges = np.arange(SIDE + 1) * length // SIDE
        counts = np.maximum(1, np.diff(edges))
        sums = np.add.reduceat(means, np.minimum(edges[:-1], length - 1), axis)
        means = sums / counts.reshape((-1, 1, 1) if axis == 0 else (-1, 1))
    return np.round(means).astype(np.uint8)


def differ(one: Fingerprint, other: Fingerprint) -> bool:
    """Return whether any frame in both fingerprints looks different."""
    return any(
        np.abs(one[t].astype(float) - other[t].astype(float)).mean() > MAX_DIFFERENCE
        for t in one.keys() & other.keys()
    )


def to_json(fingerprint: Fingerprint) -> list:
    """Convert a fingerprint to JSON values."""
    return [[t, image.tobytes().hex()] for t, image in fingerprint.items()]


def from_json(rows: list) -> Fingerprint:
    """Convert back; ValueError or TypeError for anything else."""
    return {
        int(t): np.frombuffer(bytes.fromhex(code), np.uint8).reshape(SIDE, SIDE, 3)
        for t, code in rows
    }
