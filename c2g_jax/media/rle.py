"""Masks as COCO run-length encodings (RLE) that JSON can hold, by pycocotools."""

from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import mask as coco

# Largest side of a mask from outside: the decoder allocates whatever size is given.
MAX_SIDE = 1 << 14
_FARTHEST = 2 * MAX_SIDE  # largest coordinate of a polygon, which may leave the mask
MAX_OUTLINE = 1 << 20  # largest length of a mask's polygons, in pixels


def encode_mask(mask: np.ndarray) -> dict:
    """Encode bool [H, W] as {"size": [H, W], "counts": str}."""
    return _text(coco.encode(np.asfortranarray(mask, np.uint8)))


def decode_mask(code: Mapping) -> np.ndarray:
    """Decode {"size": [H, W], "counts": str} to bool [H, W]."""
    return coco.decode(coco_code(code)).astype(bool)


def coco_code(code: Mapping) -> dict:
    """Return the RLE with its counts as bytes, as pycocotools requires."""
    return {"size": list(code["size"]), "counts": code["counts"].encode("ascii")}


def check_code(code: Mapping) -> None:
    """Raise ValueError unless an RLE is valid; `decode_mask` does not check."""
    code_counts(code)


def code_counts(code: Mapping) -> np.ndarray:
    """Return the run lengths of an RLE, int [n], of zeros first; ValueError if invalid.

    They must add up to the mask's area. From the fourth on, each is stored as the
    difference to the one two before, in 5-bit groups, lowest first, one per character,
    whose sixth bit says that more follow (pycocotools/common/maskApi.c).
    """
    area = _area(code["size"])
    letters = np.frombuffer(code["counts"].encode("ascii"), np.uint8).astype(np.int64)
    groups = letters - 48
    if not len(groups) or groups.min() < 0 or groups.max() >= 64 or groups[-1] & 32:
        raise ValueError("not a string of run lengths")
    last = np.flatnonzero(groups & 32 == 0)  # the last group of each number
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > 7:
        raise ValueError("not a string of run lengths")
    place = 5 * (np.arange(len(groups)) - np.repeat(first, lengths))
    counts = np.add.reduceat((groups & 31) << place, first)
    counts -= (groups[last] & 16) << 1 << place[last]  # sign extension
    for start in (1, 2):
        counts[start::2] = np.cumsum(counts[start::2])
    # Each at most the area, so that their sum cannot overflow.
    if counts.min() < 0 or counts.max() > area or counts.sum() != area:
        raise ValueError("run lengths that do not add up to the mask")
    return counts


def code_of_counts(size: Sequence[int], counts: Sequence[int]) -> dict:
    """Encode COCO's uncompressed RLE; ValueError unless it is valid.

    Checked first: pycocotools reads what it is given without any check.
    """
    area = _area(size)
    if not all(type(n) is int and 0 <= n <= area for n in counts) or (
        sum(counts) != area
    ):
        raise ValueError("run lengths that do not add up to the mask")
    return _text(coco.frPyObjects({"size": list(size), "counts": counts}, *size))


def code_of_polygons(polygons: Sequence, height: int, width: int) -> dict:
    """Encode COCO's polygons, each [x0, y0, x1, y1, ...]; ValueError if one is none.

    Checked first: pycocotools allocates memory by the length of the outlines, in fifths
    of a pixel, and its integers overflow at larger coordinates.
    """
    _area((height, width))
    if not polygons:
        raise ValueError("there is no polygon")
    length = 0.0
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon is not [x, y, ...] of 3 points or more")
        if not all(
            type(x) in (int, float) and -_FARTHEST <= x <= _FARTHEST  # False for nan
            for x in polygon
        ):
            raise ValueError(
                f"a coordinate is not a number from {-_FARTHEST} to {_FARTHEST}"
            )
        corners = np.array(polygon, float).reshape(-1, 2)
        edges = np.abs(corners - np.roll(corners, 1, axis=0))
        length += float(edges.max(axis=1).sum())
    if length > MAX_OUTLINE:
        raise ValueError(f"the outline is longer than {MAX_OUTLINE} pixels")
    return _text(coco.merge(coco.frPyObjects(polygons, height, width)))


def _area(size: Sequence[int]) -> int:
    """Return the pixels of a mask by its height and width; ValueError if too many."""
    height, width = size
    sizes = type(height) is int and type(width) is int
    if not sizes or not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ValueError(f"not the size of a mask: {size}")
    return height * width


def _text(code: Mapping) -> dict:
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """Encode bool [H, W] as COCO's uncompressed RLE: column-major, zeros first."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def mask_iou(one: Mapping, other: Mapping) -> float:
    """Return the IoU of two RLE masks of the same size."""
    return float(coco.iou([coco_code(one)], [coco_code(other)], [0])[0, 0])


def mask_ious(ones: Sequence[Mapping], others: Sequence[Mapping]) -> np.ndarray:
    """Return float [n, m], the IoUs of RLE masks of the same size."""
    if not ones or not others:
        return np.zeros((len(ones), len(others)))
    codes = [coco_code(x) for x in ones], [coco_code(x) for x in others]
    return np.asarray(coco.iou(*codes, [0] * len(others)))
