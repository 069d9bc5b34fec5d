"""Strokes of a round brush on a mask."""

from collections.abc import Sequence

import numpy as np

from c2g_jax.types import InputError, real

MAX_POINTS = 10_000


def paint(
    mask: np.ndarray,
    points: Sequence[tuple[float, float]],
    radius: float,
    inside: bool,
) -> np.ndarray:
    """Return a mask, bool [H, W], with a stroke set (`inside`) or cleared.

    The stroke has the pixels whose centres lie within `radius` pixels of the polyline
    through `points`, (x, y) in pixels; it may leave the frame.
    """
    try:
        path = [(real(x, "x"), real(y, "y")) for x, y in points]
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "the stroke is no list of points: give [(x, y), ...]"
        ) from None
    if not path or len(path) > MAX_POINTS:
        raise InputError(
            f"a stroke of {len(path)} points cannot be painted: give 1 to {MAX_POINTS}"
        )
    for x, y in path:
        if not np.isfinite((x, y)).all():
            raise InputError(
                f"the stroke has the point {x:g},{y:g}: give finite numbers"
            )
    mask = mask.copy()
    for (x0, y0), (x1, y1) in zip(path, path[1:] or path, strict=False):
        rows = _near(y0, y1, radius, mask.shape[0])
        columns = _near(x0, x1, radius, mask.shape[1])
        y, x = rows[:, None] - y0, columns[None] - x0
        dx, dy = x1 - x0, y1 - y0
        # How far along the segment the nearest point of it lies, from 0 to 1.
        along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0.0, 1.0)
        near = (x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius**2
        mask[np.ix_(rows, columns)] = np.where(
            near, inside, mask[np.ix_(rows, columns)]
        )
    return mask


def _near(one: float, other: float, radius: float, size: int) -> np.ndarray:
    """Return the pixels of a row or column within `radius` of the range."""
    first = np.ceil(min(one, other) - radius)
    last = np.floor(max(one, other) + radius)
    return np.arange(int(max(first, 0)), int(min(last, size - 1)) + 1)
