"""Masks as COCO run lengths that JSON can hold, by pycocotools."""

from collections.abc import Mapping

import numpy as np
from pycocotools import mask as coco


def encode_mask(mask: np.ndarray) -> dict:
    """bool [H, W] -> {"size": [H, W], "counts": str}."""
    code = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode("ascii")}


def decode_mask(code: Mapping) -> np.ndarray:
    """{"size": [H, W], "counts": str} -> bool [H, W]."""
    counts = code["counts"].encode("ascii")
    return coco.decode({"size": list(code["size"]), "counts": counts}).astype(bool)


def run_lengths(mask: np.ndarray) -> dict[str, list[int]]:
    """bool [H, W] as COCO's uncompressed run lengths: column by column, zeros first."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def mask_iou(one: Mapping, other: Mapping) -> float:
    """The overlap of two masks of one size, as `encode_mask` gives them."""
    pair = [
        {"size": list(code["size"]), "counts": code["counts"].encode("ascii")}
        for code in (one, other)
    ]
    return float(coco.iou(pair[:1], pair[1:], [0])[0, 0])
