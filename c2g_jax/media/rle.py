"""Masks as COCO run lengths that JSON can hold, by pycocotools."""

from collections.abc import Mapping

import numpy as np
from pycocotools import mask as coco

MAX_SIDE = 1 << 14  # of a mask of others; the decoder takes any memory it is told to


def encode_mask(mask: np.ndarray) -> dict:
    """bool [H, W] -> {"size": [H, W], "counts": str}."""
    code = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode("ascii")}


def decode_mask(code: Mapping) -> np.ndarray:
    """{"size": [H, W], "counts": str} -> bool [H, W]."""
    return coco.decode(coco_code(code)).astype(bool)


def coco_code(code: Mapping) -> dict:
    """The same with its counts as bytes, as pycocotools takes it."""
    return {"size": list(code["size"]), "counts": code["counts"].encode("ascii")}


def check_code(code: Mapping) -> None:
    """ValueError unless a code of others is one of a mask; `decode_mask` trusts it.

    Its counts must add up to the mask. They are differences to the last but one, five
    bits a letter, the least first, the sixth for more (pycocotools/common/maskApi.c).
    """
    height, width = code["size"]
    sizes = type(height) is int and type(width) is int
    if not sizes or not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise ValueError(f"no size of a mask: {code['size']}")
    counts: list[int] = []
    value = shift = 0
    for letter in code["counts"].encode("ascii"):
        bits = letter - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("no run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (bits & 16) << 1 << (shift - 5)  # the sign
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift or min(counts, default=-1) < 0 or sum(counts) != height * width:
        raise ValueError("run lengths that do not add up to the mask")


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """bool [H, W] as COCO's uncompressed run lengths: column by column, zeros first."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def mask_iou(one: Mapping, other: Mapping) -> float:
    """The overlap of two masks of one size, as `encode_mask` gives them."""
    return float(coco.iou([coco_code(one)], [coco_code(other)], [0])[0, 0])
