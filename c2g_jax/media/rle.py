"""Masks as COCO run-length encodings (RLE) that JSON can hold, by pycocotools."""

from collections.abc import Mapping, Sequence

import numpy as np
from pycocotools import mask as coco

# Largest side of a mask from outside: the decoder allocates whatever size is given.
MAX_SIDE = 1 << 14


def encode_mask(mask: np.ndarray) -> dict:
    """Encode bool [H, W] as {"size": [H, W], "counts": str}."""
    code = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode("ascii")}


def decode_mask(code: Mapping) -> np.ndarray:
    """Decode {"size": [H, W], "counts": str} to bool [H, W]."""
    return coco.decode(coco_code(code)).astype(bool)


def coco_code(code: Mapping) -> dict:
    """Return the RLE with its counts as bytes, as pycocotools requires."""
    return {"size": list(code["size"]), "counts": code["counts"].encode("ascii")}


def check_code(code: Mapping) -> None:
    """Raise ValueError unless an RLE is valid; `decode_mask` does not check.

    The run lengths must add up to the mask's area. From the fourth on, each is stored
    as the difference to the one two before, in 5-bit groups, lowest first, one per
    character, whose sixth bit says that more follow (pycocotools/common/maskApi.c).
    """
    height, width = code["size"]
    sizes = type(height) is int and type(width) is int
    if not sizes or not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ValueError(f"not the size of a mask: {code['size']}")
    counts: list[int] = []
    value = shift = 0
    for letter in code["counts"].encode("ascii"):
        bits = letter - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("not a string of run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (bits & 16) << 1 << (shift - 5)  # sign extension
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift or min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise ValueError("run lengths that do not add up to the mask")


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
