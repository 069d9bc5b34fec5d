"""Validate and normalise the points and boxes that users pass to the predictors."""

import numpy as np

from c2g_jax.types import BOX_FIRST, BOX_SECOND, InputError

_BOX_LABELS = np.int32([BOX_FIRST, BOX_SECOND])


def points_and_box(
    points: np.ndarray | None,
    labels: np.ndarray | None,
    box: np.ndarray | None,
    size: tuple[int, int],
    in_pixels: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return one object's coordinates float32 [p, 2] in [0, 1] and labels int32 [p].

    points [p, 2] with labels [p] and box [4] are in pixels of a frame of `size` (width,
    height), or already in [0, 1]. The corners of the box come first. InputError names
    the invalid argument.
    """
    if (points is None) != (labels is None):
        raise InputError("points and labels go together: give both or neither")
    coords, point_labels = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    if points is not None:
        coords = np.asarray(points, np.float32).reshape(-1, 2)
        point_labels = np.asarray(labels, np.int32).reshape(-1)
        valid = np.isin(point_labels, (0, 1)).all()
        if len(coords) != len(point_labels) or not valid:
            raise InputError(
                f"{len(coords)} points have labels {point_labels.tolist()}:"
                " give each 1 (inside) or 0 (outside)"
            )
    if box is not None:
        corners = _box_corners(np.ravel(box))[0]
        coords = np.concatenate([corners, coords])
        point_labels = np.concatenate([_BOX_LABELS, point_labels])
    if not len(coords):
        raise InputError("no prompt is given: pass points with labels, or a box")
    check_inside(coords, point_labels, size, in_pixels)
    scale = np.float32(1) / np.float32(size) if in_pixels else np.float32(1)
    return coords * scale, point_labels


def batched_points_and_boxes(
    points: np.ndarray | None, labels: np.ndarray | None, boxes: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return coordinates float32 [n, p, 2], labels int32 [n, p], and if n was given.

    points [p, 2] or [n, p, 2] with labels [p] or [n, p], and boxes [4] or [n, 4]. The
    corners of a box come first; n is 0 without points and boxes. A label of -1 marks
    padding. InputError names the invalid argument.
    """
    if (points is None) != (labels is None):
        raise InputError("points and labels go together: give both or neither")
    batched = False
    parts = []
    if boxes is not None:
        batched = np.ndim(boxes) == 2
        corners = _box_corners(boxes)
        box_labels = np.broadcast_to(_BOX_LABELS, (len(corners), 2))
        parts.append((corners, box_labels))
    if points is not None:
        points, labels = np.asarray(points, np.float32), np.asarray(labels, np.int32)
        batched = batched or points.ndim == 3
        points = points.reshape(-1, *points.shape[-2:])
        labels = labels.reshape(-1, labels.shape[-1])
        if points.shape[:2] != labels.shape or points.shape[-1] != 2:
            raise InputError(
                f"{points.shape} points have {labels.shape} labels: give one each"
            )
        if not np.isfinite(points).all() or not np.isin(labels, (-1, 0, 1)).all():
            raise InputError("points must be finite, and labels 1 (inside) or 0")
        parts.append((points, labels))
    if not parts:
        return np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int32), batched
    if len({len(part) for part, _ in parts}) > 1:
        raise InputError(
            f"{len(parts[0][0])} boxes are given with {len(parts[1][0])} sets of"
            " points: give each object both, as arrays with a leading axis of objects"
        )
    coords = np.concatenate([part for part, _ in parts], axis=1)
    return coords, np.concatenate([part for _, part in parts], axis=1), batched


def _box_corners(boxes: np.ndarray) -> np.ndarray:
    """Return the corners float32 [n, 2, 2] of boxes [4] or [n, 4], validated."""
    boxes = np.asarray(boxes, np.float32)
    shaped = boxes.ndim in (1, 2) and boxes.shape[-1] == 4
    if not shaped or not np.isfinite(boxes).all():
        raise InputError(f"box {boxes.tolist()} is invalid: give finite x1, y1, x2, y2")
    corners = boxes.reshape(-1, 2, 2)
    if (corners[:, 1] <= corners[:, 0]).any():
        raise InputError(f"box {boxes.tolist()} is empty: give x1 < x2 and y1 < y2")
    return corners


def check_inside(
    coords: np.ndarray, labels: np.ndarray, size: tuple[int, int], in_pixels: bool
) -> None:
    """Raise InputError unless the points [..., 2] lie in a frame of `size`.

    `size` is (width, height); points are in pixels, or in [0, 1]. The frame ends at
    the right edge of its last pixel: a box may end there, a point may not lie there.
    Labels [...] below 0 mark padding, which is not checked.
    """
    edge = np.float32(size) if in_pixels else np.float32([1, 1])
    corner = np.isin(labels, _BOX_LABELS)[..., None]
    inside = (coords >= 0) & ((coords < edge) | (corner & (coords == edge)))
    outside = ~inside.all(axis=-1) & (labels >= 0)  # True for nan as well
    if outside.any():
        x, y = coords[outside][0].tolist()
        raise InputError(
            f"a point at {x:g},{y:g} lies outside the frame, {size[0]}x{size[1]} "
            f"pixels: give x from 0 to below {edge[0]:g} and y to below {edge[1]:g}; "
            "a box may end there"
        )
