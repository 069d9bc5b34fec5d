"""Validate and normalise the points and boxes that users pass to the predictors."""

import reprlib

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
    height), or already in [0, 1]; a leading axis of 1 is allowed. The corners of the
    box come first. InputError names the invalid argument.
    """
    _check_together(points, labels)
    coords, point_labels = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    if points is not None:
        coords, point_labels = as_numbers(points, "points"), _labels(labels)
        if coords.shape == (2,):
            coords = coords[None]
        # Upstream's own form has an axis of objects, which is 1.
        if coords.ndim == 3 and len(coords) == 1:
            coords = coords[0]
        if coords.shape == (0,):
            coords = coords.reshape(0, 2)
        if coords.ndim != 2 or coords.shape[1] != 2:
            raise InputError(
                f"points have the shape {coords.shape}: give one (x, y) each, [p, 2]"
            )
        point_labels = point_labels.reshape(-1)
        valid = np.isin(point_labels, (0, 1)).all()
        if len(coords) != len(point_labels) or not valid:
            raise InputError(
                f"{len(coords)} points have labels {point_labels.tolist()}:"
                " give each 1 (inside) or 0 (outside)"
            )
    if box is not None:
        box = as_numbers(box, "box")
        if box.size != 4:
            raise InputError(
                f"box has the shape {box.shape}: give one object's x1, y1, x2, y2; "
                "other objects in calls of their own"
            )
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
    _check_together(points, labels)
    batched = False
    parts = []
    if boxes is not None:
        boxes = as_numbers(boxes, "box")
        batched = boxes.ndim == 2
        corners = _box_corners(boxes)
        box_labels = np.broadcast_to(_BOX_LABELS, (len(corners), 2))
        parts.append((corners, box_labels))
    if points is not None:
        points, labels = as_numbers(points, "points"), _labels(labels)
        shaped = points.ndim in (2, 3) and points.shape[-1] == 2
        if not shaped or points.shape[:-1] != labels.shape:
            raise InputError(
                f"{points.shape} points have {labels.shape} labels: give one each, for "
                "points [p, 2] or [n, p, 2]"
            )
        batched = batched or points.ndim == 3
        points = points.reshape(-1, *points.shape[-2:])
        labels = labels.reshape(-1, labels.shape[-1])
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


def _check_together(points, labels) -> None:
    if (points is None) != (labels is None):
        raise InputError("points and labels go together: give both or neither")


def as_numbers(values, name: str, kind: type = np.float32) -> np.ndarray:
    """Return an array of numbers; InputError for text, or rows of different lengths."""
    try:
        return np.asarray(values, kind)
    except RuntimeError as error:  # a tensor of torch that has a gradient
        line = " ".join(str(error).split())
        raise InputError(f"{name} are no array: {line}") from None
    except (TypeError, ValueError):
        shown = " ".join(reprlib.repr(values).split())
        raise InputError(
            f"{name} are {shown}: give an array of numbers, with rows of one length"
        ) from None


def _labels(labels) -> np.ndarray:
    """Return labels as int32; InputError unless they are whole numbers."""
    # float64 holds every int32.
    given = as_numbers(labels, "labels", np.float64)
    whole = np.where(np.isfinite(given), given, 0.5)
    if (whole != np.round(whole)).any():
        raise InputError(
            f"labels {given.tolist()} are not whole: give each point 1 (inside) or 0"
            " (outside)"
        )
    return np.clip(given, -(1 << 30), 1 << 30).astype(np.int32)


def _box_corners(boxes: np.ndarray) -> np.ndarray:
    """Return the corners float32 [n, 2, 2] of boxes [4] or [n, 4], validated."""
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
    """Raise InputError unless the points [..., p, 2] lie in a frame of `size`.

    `size` is (width, height); points are in pixels, or in [0, 1]. The frame ends at
    the right edge of its last pixel: a point may not lie there. A box, the first two
    points, may reach beyond the edges, as detectors give it; as upstream its corners
    are encoded where they are (sam2_video_predictor.py:219-225). It must overlap the
    frame. Labels [..., p] below 0 mark padding, which is not checked.
    """
    edge = np.float32(size) if in_pixels else np.float32([1, 1])
    corner = np.isin(labels, _BOX_LABELS)
    inside = ((coords >= 0) & (coords < edge)).all(axis=-1)  # False for nan as well
    outside = ~inside & (labels >= 0) & ~corner
    if outside.any():
        x, y = coords[outside][0].tolist()
        raise InputError(
            f"a point at {x:g},{y:g} lies outside the frame, {size[0]}x{size[1]} "
            f"pixels: give x from 0 to below {edge[0]:g} and y to below {edge[1]:g}"
        )
    if corner.any():
        first, second = coords[..., 0, :], coords[..., 1, :]
        apart = ((first >= edge) | (second <= 0)).any(axis=-1)
        if apart.any():
            box = coords[..., :2, :][apart][0].ravel().tolist()
            raise InputError(
                f"the box {','.join(f'{x:g}' for x in box)} lies outside the frame, "
                f"{size[0]}x{size[1]} pixels: give one that overlaps it"
            )
