"""Point grids, crops of an image, boxes of masks, non-maximum suppression.

sam2/utils/amg.py. Boxes are (x0, y0, x1, y1) in pixels. x1 and y1 are exclusive in a
crop; in the box of a mask they are its last column and row, as upstream.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from c2g_jax.sam2.predictors.user_prompts import as_numbers
from c2g_jax.types import InputError

_CLOSE = 20  # pixels; a mask that close to a border of its crop is cut off by it


class Crop(NamedTuple):
    """A region of the image, and its layer of crops."""

    x0: int
    y0: int
    x1: int
    y1: int
    layer: int  # 0 is the whole image

    @property
    def area(self) -> int:
        """Area in pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


def point_grid(points_per_side: int) -> np.ndarray:
    """Return centres (x, y) in [0, 1] of n x n cells in row order: float64 [n², 2]."""
    centres = (np.arange(points_per_side) + 0.5) / points_per_side
    return np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)


def layered_grids(points_per_side: int, layers: int, factor: int) -> list[np.ndarray]:
    """Return the point grid of the image and of each layer of crops.

    Layer i has points_per_side / factor**i points a side. InputError where that is
    below 1.
    """
    sides = [int(points_per_side / factor**layer) for layer in range(layers + 1)]
    if sides[-1] < 1:
        raise InputError(
            f"{points_per_side} points_per_side leave none in layer {layers} of crops: "
            "give more, or a smaller crop_n_points_downscale_factor"
        )
    return [point_grid(side) for side in sides]


def check_point_grids(point_grids: Sequence, layers: int) -> list[np.ndarray]:
    """Validate custom grids, one for the image and one for each layer of crops.

    Returns float64 [p, 2] in [0, 1] each. InputError where a grid is missing, empty,
    or has points outside the image.
    """
    grids = [as_numbers(g, "point_grids", np.float64) for g in point_grids]
    if len(grids) <= layers:
        raise InputError(
            f"{len(grids)} point_grids are given for the image and {layers} layers of "
            "crops: give one for each"
        )
    for grid in grids:
        if grid.ndim != 2 or grid.shape[1] != 2 or not len(grid):
            raise InputError(f"a point grid has shape {grid.shape}: give points [p, 2]")
        if not ((grid >= 0) & (grid <= 1)).all():  # False for nan as well
            raise InputError("a point grid leaves the image: give x and y from 0 to 1")
    return grids


def crop_boxes(
    height: int, width: int, layers: int, overlap_ratio: float
) -> list[Crop]:
    """Return the whole image, then layers of 2 x 2, 4 x 4, ... overlapping crops.

    Crops of the first layer overlap by `overlap_ratio` of the image's shorter side,
    those of each further layer by half as much (amg.py:203-239). Crops that
    rounding pushes out of a tiny image are left out.
    """
    crops = [Crop(0, 0, width, height, 0)]
    for layer in range(1, layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(height, width) * (2 / count))
        spans = []
        for side in (width, height):
            length = math.ceil((side + overlap * (count - 1)) / count)
            starts = [(length - overlap) * index for index in range(count)]
            spans.append([(at, min(at + length, side)) for at in starts if at < side])
        for (x0, x1), (y0, y1) in itertools.product(*spans):
            crops.append(Crop(x0, y0, x1, y1, layer))
    return crops


def mask_box(mask: np.ndarray) -> np.ndarray:
    """Return the box int64 [4] of a non-empty mask, bool [H, W]."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]])


def is_near_crop_edge(box: np.ndarray, crop: Crop, height: int, width: int) -> bool:
    """Return whether a box is close to a border of its crop but not of the image."""
    near_crop = np.abs(box - np.array(crop[:4])) <= _CLOSE
    near_image = np.abs(box - np.array([0, 0, width, height])) <= _CLOSE
    return bool(np.any(near_crop & ~near_image))


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Greedy non-maximum suppression: return the kept indices by descending score.

    boxes [n, 4], scores [n]. A box is suppressed where its IoU with a kept box of a
    higher score is above the threshold; of equal scores the first is kept.
    """
    boxes = np.asarray(boxes, np.float64)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        union = areas[best] + areas[order] - shared
        # No division: boxes one pixel wide have zero area and never suppress.
        order = order[shared <= threshold * union]
    return np.array(kept, np.int64)
