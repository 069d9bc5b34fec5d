"""Post-process mask logits on the host: resize, fill holes, resolve overlaps.

Results are the same for every device, and no program is compiled for each video size.
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
    """Resize float32 [..., h, w] bilinearly to [..., height, width].

    Equal to torch.nn.functional.interpolate with align_corners=False, without
    antialiasing. `window` selects rows and columns of the result to compute.
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
    """Return the rows and columns that contain all pixels above `floor` after resizing.

    Most masks are small: pixels outside the window need not be computed.
    """
    # Rounding may lift a pixel slightly above the values it is interpolated from.
    above = low_res > floor - 1e-3 * (1 + abs(floor))
    spans = []
    for axis, size in ((1, height), (0, width)):
        lines, ratio = np.flatnonzero(above.any(axis)), size / above.shape[1 - axis]
        first, last = (lines[0], lines[-1]) if len(lines) else (0, -1)
        # A row or column affects pixels up to the centres of its neighbours.
        start = max(0, math.floor((first - 0.5) * ratio - 0.5))
        spans.append(slice(start, min(size, math.ceil((last + 1.5) * ratio + 0.5))))
    return tuple(spans)


def fill_holes(logits: np.ndarray, max_area: int, value: float = 0.1) -> np.ndarray:
    """Set background regions of at most `max_area` pixels to a logit of `value`.

    logits float32 [..., h, w]; regions are 8-connected. sam2/utils/misc.py:312-335
    does this on CUDA only. A `max_area` of 0 disables it.
    """
    if max_area <= 0:
        return logits
    return _set_small_regions(logits, logits <= 0, max_area, value)


def remove_sprinkles(logits: np.ndarray, max_area: int) -> np.ndarray:
    """Set foreground regions of at most `max_area` pixels to a logit of -10."""
    if max_area <= 0:
        return logits
    return _set_small_regions(logits, logits > 0, max_area, -10.0)


def _set_small_regions(logits, region, max_area, value):
    out = logits.copy()
    for index in np.ndindex(logits.shape[:-2]):
        labels, areas = _regions(region[index])
        small = areas <= max_area
        small[0] = False  # label 0: outside the region
        out[index][small[labels]] = value
    return out


def remove_small_regions(mask: np.ndarray, min_area: int) -> np.ndarray:
    """Remove holes, then islands, of fewer than `min_area` pixels from bool [H, W].

    Regions are 8-connected. Where all islands are small the largest is kept.
    """
    labels, areas = _regions(~mask)
    small = areas < min_area
    small[0] = False  # label 0: foreground
    mask = mask | small[labels]
    labels, areas = _regions(mask)
    large = areas >= min_area
    large[0] = False
    if len(areas) > 1 and not large.any():
        large[1 + np.argmax(areas[1:])] = True
    return large[labels]


def _regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label 8-connected regions from 1; return labels [H, W] and area by label."""
    labels, count = ndimage.label(mask, np.ones((3, 3), int))
    return labels, np.bincount(labels.ravel(), minlength=count + 1)


def suppress_overlaps(logits: np.ndarray) -> np.ndarray:
    """Give each pixel to the object with the highest logit: [n, ..., h, w].

    The logits of the other objects are clamped to at most -10.
    """
    if len(logits) < 2:
        return logits
    winner = np.argmax(logits, axis=0)
    own = np.arange(len(logits)).reshape(-1, *[1] * (logits.ndim - 1))
    return np.where(winner == own, logits, np.minimum(logits, _SUPPRESSED))
