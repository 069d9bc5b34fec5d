"""Mask logits to what people see: on the host, so the same on every device.

The step sends small logits; enlarging them here needs no compilation for each size
of video.
"""

import math

import numpy as np
from scipy import ndimage

_SUPPRESSED = -10.0  # sam2/modeling/sam2_base.py:905-907


def enlarge_logits(
    logits: np.ndarray,
    height: int,
    width: int,
    window: tuple[slice, slice] = (slice(None), slice(None)),
) -> np.ndarray:
    """Bilinear resize of float32 [..., h, w] to [..., height, width].

    As torch.nn.functional.interpolate does with align_corners=False and without
    antialiasing. With a `window`, rows and columns of the result, that part alone.
    """
    rows, columns = window
    logits = np.asarray(logits, np.float32)
    return _resize_axis(_resize_axis(logits, height, -2, rows), width, -1, columns)


def _resize_axis(x: np.ndarray, size: int, axis: int, part: slice) -> np.ndarray:
    old = x.shape[axis]
    if old == size:
        return x[..., part, :] if axis == -2 else x[..., part]
    pixels = np.arange(size, dtype=np.float32)[part]
    centres = (pixels + 0.5) * np.float32(old / size) - 0.5
    centres = np.maximum(centres, 0)
    low = np.minimum(centres.astype(np.int64), old - 1)
    high = np.minimum(low + 1, old - 1)
    share = (centres - low).astype(np.float32)
    if axis == -2:
        share = share[:, None]
    first, second = np.take(x, low, axis), np.take(x, high, axis)
    return first * (1 - share) + second * share


def window_above(
    low_res: np.ndarray, floor: float, height: int, width: int
) -> tuple[slice, slice]:
    """Rows and columns that hold all pixels above `floor` once logits are enlarged.

    Most masks are small: what lies outside need not be computed to be counted.
    """
    # Rounding may lift a pixel a little above all that it is interpolated from.
    above = low_res > floor - 1e-3 * (1 + abs(floor))
    spans = []
    for axis, size in ((1, height), (0, width)):
        lines, ratio = np.flatnonzero(above.any(axis)), size / above.shape[1 - axis]
        first, last = (lines[0], lines[-1]) if len(lines) else (0, -1)
        # A line reaches as far as the centres of its neighbours.
        start = max(0, math.floor((first - 0.5) * ratio - 0.5))
        spans.append(slice(start, min(size, math.ceil((last + 1.5) * ratio + 0.5))))
    return tuple(spans)


def fill_holes(logits: np.ndarray, max_area: int) -> np.ndarray:
    """Fill background regions of at most `max_area` pixels with a logit of 0.1.

    logits float32 [..., h, w]; regions touch by sides or corners
    (sam2/utils/misc.py:312-335, which does this on CUDA alone). 0 fills nothing.
    """
    if max_area <= 0:
        return logits
    return _set_small_regions(logits, logits <= 0, max_area, 0.1)


def remove_sprinkles(logits: np.ndarray, max_area: int) -> np.ndarray:
    """Clear foreground regions of at most `max_area` pixels to a logit of -10."""
    if max_area <= 0:
        return logits
    return _set_small_regions(logits, logits > 0, max_area, -10.0)


def _set_small_regions(logits, region, max_area, value):
    out = logits.copy()
    flat, regions = (
        out.reshape(-1, *out.shape[-2:]),
        region.reshape(-1, *region.shape[-2:]),
    )
    for image, mask in zip(flat, regions, strict=True):
        labels, areas = _regions(mask)
        small = areas <= max_area
        small[0] = False  # what is not in the region
        image[small[labels]] = value
    return out


def remove_small_regions(mask: np.ndarray, min_area: int) -> np.ndarray:
    """bool [H, W] without holes, then islands, of fewer than `min_area` pixels.

    Regions touch by sides or corners. Where all islands are small the largest stays.
    """
    labels, areas = _regions(~mask)
    small = areas < min_area
    small[0] = False  # what is not in any region
    mask = mask | small[labels]
    labels, areas = _regions(mask)
    large = areas >= min_area
    large[0] = False
    if len(areas) > 1 and not large.any():
        large[1 + np.argmax(areas[1:])] = True
    return large[labels]


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels [H, W] of connected regions, from 1 on, and the area of each label."""
    labels, count = ndimage.label(mask, np.ones((3, 3), int))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)


def suppress_overlaps(logits: np.ndarray) -> np.ndarray:
    """Leave each pixel to the object that claims it most: [n, ..., h, w].

    The others' logits are lowered to at most -10.
    """
    if len(logits) < 2:
        return logits
    winner = np.argmax(logits, axis=0)
    own = np.arange(len(logits)).reshape(-1, *[1] * (logits.ndim - 1))
    return np.where(winner == own, logits, np.minimum(logits, _SUPPRESSED))
