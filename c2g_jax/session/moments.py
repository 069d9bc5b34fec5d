"""`click2graph.geometry.mask_moments` of run-length-coded masks, without decoding them.

A mask of a large video has a million pixels and a thousand runs.
"""

from collections.abc import Mapping

import numpy as np

from c2g_jax.click2graph.geometry import MOMENTS
from c2g_jax.media.rle import code_counts


def moments_of(mask: Mapping | None) -> np.ndarray:
    """Return the moments, float32 [5], of an RLE; None is an empty mask."""
    if mask is None:
        return np.zeros(MOMENTS, np.float32)
    height, width = mask["size"]
    ends = np.cumsum(code_counts(mask))
    sums = _sums_before(ends.astype(np.float64), height)
    # The runs of ones are every second one; they begin where that before them ends.
    runs = sums[1::2] - sums[: len(ends) - 1 : 2]
    area, *rest = runs.sum(axis=0)
    if not area:
        return np.zeros(MOMENTS, np.float32)
    x, y, square_x, square_y = np.array(rest) / area
    spread_x = np.sqrt(max(square_x - x**2, 0.0)) / width
    spread_y = np.sqrt(max(square_y - y**2, 0.0)) / height
    share = area / (height * width)
    centre = (x + 0.5) / width, (y + 0.5) / height
    return np.float32([*centre, spread_x, spread_y, share])


def _sums_before(ends: np.ndarray, height: int) -> np.ndarray:
    """Return the sums of 1, x, y, x^2, y^2 over the pixels before each of n: [n, 5].

    Pixels are numbered down the columns.
    """
    columns, rest = np.divmod(ends, height)  # whole columns before, and then pixels

    def total(n: np.ndarray) -> np.ndarray:  # of 0 to n - 1
        return n * (n - 1) / 2

    def squares(n: np.ndarray) -> np.ndarray:
        return (n - 1) * n * (2 * n - 1) / 6

    x = height * total(columns) + rest * columns
    y = columns * total(height) + total(rest)
    square_x = height * squares(columns) + rest * columns**2
    square_y = columns * squares(height) + squares(rest)
    return np.stack([ends, x, y, square_x, square_y], axis=1)
