"""Masks that passed the filters: non-maximum suppression, clean-up, records.

The last steps of sam2/automatic_mask_generator.py.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from c2g_jax.media.rle import decode_mask, encode_mask, run_lengths
from c2g_jax.sam2.predictors import mask_boxes
from c2g_jax.sam2.predictors.mask_boxes import Crop
from c2g_jax.sam2.predictors.postprocess import remove_small_regions

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")


class FoundMask(NamedTuple):
    """A mask that passed the filters, in coordinates of the whole image."""

    rle: dict  # COCO run-length encoding: full-size arrays would take too much memory
    area: int
    box: np.ndarray  # [4], as `mask_box` gives it
    predicted_iou: float
    stability_score: float
    point: np.ndarray  # float32 [2], (x, y)
    crop: Crop


def suppress_overlapping(
    found: list[FoundMask], scores: Sequence[float], threshold: float
) -> list[FoundMask]:
    """Non-maximum suppression by box; the highest score comes first."""
    boxes = np.array([mask.box for mask in found]).reshape(-1, 4)
    kept = mask_boxes.nms(boxes, np.array(scores), threshold)
    return [found[index] for index in kept]


def postprocess_small_regions(
    found: list[FoundMask], min_area: int, threshold: float
) -> list[FoundMask]:
    """Remove holes and islands below `min_area`; suppress the duplicates that result.

    Among duplicates an unchanged mask is preferred. The reference documents this step
    but never takes it: its predictor cleans the low-resolution logits instead, and
    only on CUDA.
    """
    cleaned, unchanged = [], []
    for mask in found:
        before = decode_mask(mask.rle)
        after = remove_small_regions(before, min_area)
        unchanged.append(np.array_equal(before, after))
        if not unchanged[-1]:
            area, box = int(np.count_nonzero(after)), mask_boxes.mask_box(after)
            mask = mask._replace(rle=encode_mask(after), area=area, box=box)
        cleaned.append(mask)
    return suppress_overlapping(cleaned, unchanged, threshold)


def to_record(mask: FoundMask, output_mode: str) -> dict[str, Any]:
    """Return the mask as a record with upstream's keys; boxes are [x, y, w, h]."""
    segmentation: Any = mask.rle
    if output_mode != "coco_rle":
        segmentation = decode_mask(mask.rle)
    if output_mode == "uncompressed_rle":
        segmentation = run_lengths(segmentation)
    return {
        "segmentation": segmentation,
        "area": mask.area,
        "bbox": _xywh(mask.box),
        "predicted_iou": mask.predicted_iou,
        "point_coords": [mask.point.tolist()],
        "stability_score": mask.stability_score,
        "crop_box": _xywh(mask.crop[:4]),
    }


def _xywh(box: Sequence[int]) -> list[float]:
    x0, y0, x1, y1 = map(float, box)
    return [x0, y0, x1 - x0, y1 - y0]
