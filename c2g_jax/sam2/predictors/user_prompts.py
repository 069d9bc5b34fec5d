"""Points and boxes as people give them, checked and brought to one form."""

import numpy as np

from c2g_jax.sam2.prompts import BOX_FIRST, BOX_SECOND
from c2g_jax.types import InputError


def points_and_box(
    points: np.ndarray | None,
    labels: np.ndarray | None,
    box: np.ndarray | None,
    size: tuple[int, int],
    in_pixels: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates float32 [p, 2] in [0, 1] and labels int32 [p], corners first.

    points [p, 2] with labels [p] and box [4] are pixels of a frame of `size` (width,
    height), or already in [0, 1]. InputError names what cannot be used.
    """
    if (points is None) != (labels is None):
        raise InputError("points and labels go together: give both or neither")
    if points is None and box is None:
        raise InputError("no prompt is given: pass points with labels, or a box")
    coords, kinds = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    if points is not None:
        coords = np.asarray(points, np.float32).reshape(-1, 2)
        kinds = np.asarray(labels, np.int32).reshape(-1)
        if len(coords) != len(kinds) or not np.isin(kinds, (0, 1)).all():
            raise InputError(
                f"{len(coords)} points have labels {kinds.tolist()}:"
                " give each 1 (inside) or 0 (outside)"
            )
    if box is not None:
        corners = np.asarray(box, np.float32).reshape(2, 2)
        if not (corners[1] > corners[0]).all():
            text = np.ravel(box).tolist()
            raise InputError(f"box {text} is empty: give x1 < x2 and y1 < y2")
        coords = np.concatenate([corners, coords])
        kinds = np.concatenate([np.int32([BOX_FIRST, BOX_SECOND]), kinds])
    if not len(coords):
        raise InputError("no prompt is given: pass points with labels, or a box")
    check_inside(coords, kinds, size, in_pixels)
    scale = np.float32(1) / np.float32(size) if in_pixels else np.float32(1)
    return coords * scale, kinds


def check_inside(
    coords: np.ndarray, labels: np.ndarray, size: tuple[int, int], in_pixels: bool
) -> None:
    """InputError unless the points [..., 2] lie in a frame of `size` (width, height).

    They are pixels, or fractions of the frame. The last pixel ends at the frame's edge,
    where a box may end too, but no point lies. Labels [...] below 0 mark no point.
    """
    edge = np.float32(size) if in_pixels else np.float32([1, 1])
    corner = np.isin(labels, (BOX_FIRST, BOX_SECOND))[..., None]
    inside = (coords >= 0) & ((coords < edge) | (corner & (coords == edge)))
    outside = ~inside.all(axis=-1) & (labels >= 0)  # nan lies outside as well
    if outside.any():
        x, y = coords[outside][0].tolist()
        raise InputError(
            f"a point at {x:g},{y:g} lies outside the frame, {size[0]}x{size[1]} "
            f"pixels: give x from 0 to below {edge[0]:g} and y to below {edge[1]:g}; "
            "a box may end there"
        )
