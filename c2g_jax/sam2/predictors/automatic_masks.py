"""Segment everything in an image (sam2/automatic_mask_generator.py)."""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.media.images import to_rgb
from c2g_jax.media.rle import encode_mask
from c2g_jax.sam2.masks import LOGIT_BOUND
from c2g_jax.sam2.model import FrameFeatures, Sam2
from c2g_jax.sam2.predictors import mask_boxes
from c2g_jax.sam2.predictors.found_masks import (
    OUTPUT_MODES,
    FoundMask,
    postprocess_small_regions,
    suppress_overlapping,
    to_record,
)
from c2g_jax.sam2.predictors.image import decode_prompts, encode_images
from c2g_jax.sam2.predictors.mask_boxes import Crop
from c2g_jax.sam2.predictors.postprocess import enlarge_logits, window_above
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.types import INSIDE, InputError


@functools.partial(jax.jit, static_argnames=("multimask", "use_m2m"))
def _decode_points(
    model: Sam2,
    features: FrameFeatures,
    points: jax.Array,
    multimask: bool,
    use_m2m: bool,
) -> tuple[jax.Array, jax.Array]:
    """Return logits float32 [n, k, 4h, 4w] and IoUs [n, k] of single points [n, 2].

    With `use_m2m` each mask is fed back as a mask prompt with its point, and replaced
    by the single mask of that second pass.
    """
    labels = jnp.full((len(points), 1), INSIDE, jnp.int32)
    prompts = Prompts(points[:, None], labels)
    single, multiple = decode_prompts(model, features, prompts)
    logits, ious = multiple if multimask else single
    if not use_m2m:
        return logits, ious

    def refine(earlier: jax.Array) -> tuple[jax.Array, jax.Array]:
        again = prompts._replace(mask_logits=earlier)
        (refined, refined_ious), _ = decode_prompts(model, features, again)
        return refined[:, 0], refined_ious[:, 0]

    earlier = jnp.clip(logits, -LOGIT_BOUND, LOGIT_BOUND)
    refined, ious = jax.lax.map(refine, jnp.moveaxis(earlier, 1, 0))
    return jnp.moveaxis(refined, 0, 1), ious.T


class Sam2AutomaticMaskGenerator:
    """Prompt with a grid of points; keep masks that are good, stable and distinct.

    Arguments are those of upstream's `SAM2AutomaticMaskGenerator`.
    """

    def __init__(
        self,
        model: Sam2,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.8,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        mask_threshold: float = 0.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[np.ndarray] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
        use_m2m: bool = False,
        multimask_output: bool = True,
    ):
        """Raises InputError where an option is out of range.

        Prompts are points_per_side x points_per_side points, `points_per_batch` at
        once; with points_per_side=None, those of `point_grids`: an array [p, 2] of
        (x, y) in [0, 1] for the image and for each layer of crops. Layer i of
        `crop_n_layers` has 4**i crops, with `crop_n_points_downscale_factor` ** i
        fewer points a side; crops of the first layer overlap by `crop_overlap_ratio`
        of the shorter side.

        A mask is kept if its predicted IoU is above `pred_iou_thresh` and its
        stability reaches `stability_score_thresh`: the IoU of its logits cut
        `stability_score_offset` above and below `mask_threshold`. Of boxes with an IoU
        above `box_nms_thresh` the one with the highest predicted IoU is kept; across
        crops, above `crop_nms_thresh`, the one of the smallest crop. Then holes and
        islands of fewer than `min_mask_region_area` pixels are removed.

        `use_m2m` refines every mask by a second pass; `multimask_output` takes three
        masks of each point, not one.
        """
        self.model = model
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.mask_threshold = mask_threshold
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode
        self.use_m2m = use_m2m
        self.multimask_output = multimask_output
        self._check()
        if (points_per_side is None) == (point_grids is None):
            raise InputError(
                "points_per_side and point_grids exclude each other: give one, and "
                "None for the other"
            )
        if point_grids is not None:
            self.point_grids = mask_boxes.check_point_grids(point_grids, crop_n_layers)
        else:
            _require_count("points_per_side", points_per_side, 1)
            self.point_grids = mask_boxes.layered_grids(
                points_per_side, crop_n_layers, crop_n_points_downscale_factor
            )

    def _check(self) -> None:
        _require_count("points_per_batch", self.points_per_batch, 1)
        _require_count("crop_n_layers", self.crop_n_layers, 0)
        factor = self.crop_n_points_downscale_factor
        _require_count("crop_n_points_downscale_factor", factor, 1)
        _require_count("min_mask_region_area", self.min_mask_region_area, 0)
        for kind in ("pred_iou", "stability_score", "box_nms", "crop_nms"):
            share = getattr(self, f"{kind}_thresh")
            if not 0 <= share <= 1:
                raise InputError(f"{kind}_thresh is {share}: give a number from 0 to 1")
        ratio, offset = self.crop_overlap_ratio, self.stability_score_offset
        if not 0 <= ratio < 1:
            raise InputError(f"crop_overlap_ratio is {ratio}: give 0 or more, below 1")
        if not 0 <= offset < math.inf:
            raise InputError(f"stability_score_offset is {offset}: give 0 or more")
        if not math.isfinite(self.mask_threshold):
            raise InputError(f"mask_threshold is {self.mask_threshold}: give a logit")
        if self.output_mode not in OUTPUT_MODES:
            modes = ", ".join(OUTPUT_MODES)
            raise InputError(
                f"output_mode is {self.output_mode!r}: give one of {modes}"
            )

    def generate(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Segment an image, uint8 RGB [H, W, 3], grey or with alpha: one dict a mask.

        segmentation: bool [H, W], or run lengths by `output_mode`; area in pixels;
        bbox [x, y, width, height], from the first column and row to the last;
        predicted_iou; point_coords [[x, y]], the point prompt; stability_score;
        crop_box [x, y, width, height], the crop that was segmented.
        """
        image = to_rgb(image)
        height, width = image.shape[:2]
        crops = mask_boxes.crop_boxes(
            height, width, self.crop_n_layers, self.crop_overlap_ratio
        )
        found = [mask for crop in crops for mask in self._process_crop(image, crop)]
        if len(crops) > 1:
            small_first = [-mask.crop.area for mask in found]
            found = suppress_overlapping(found, small_first, self.crop_nms_thresh)
        if self.min_mask_region_area > 0:
            threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
            found = postprocess_small_regions(
                found, self.min_mask_region_area, threshold
            )
        return [to_record(mask, self.output_mode) for mask in found]

    def _process_crop(self, image: np.ndarray, crop: Crop) -> list[FoundMask]:
        """Return the filtered masks of one crop, after non-maximum suppression."""
        part = image[crop.y0 : crop.y1, crop.x0 : crop.x1]
        features = encode_images(self.model, [part])
        sides = np.float32([crop.x1 - crop.x0, crop.y1 - crop.y0])
        points = (self.point_grids[crop.layer] * sides).astype(np.float32)
        found = []
        for batch, logits, ious in self._decode_batches(features, points, sides):
            for row, index in np.argwhere(ious > self.pred_iou_thresh):
                mask = self._filter_mask(
                    logits[row, index], ious[row, index], batch[row], crop, image
                )
                found += [] if mask is None else [mask]
        return suppress_overlapping(
            found, [m.predicted_iou for m in found], self.box_nms_thresh
        )

    def _decode_batches(
        self, features: FrameFeatures, points: np.ndarray, sides: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield batches of points [n, 2], logits [n, k, 4h, 4w] and IoUs [n, k].

        Batches are padded to one shape; the device decodes one batch ahead.
        """
        size = min(self.points_per_batch, max(map(len, self.point_grids)))
        scale = np.float32(self.model.config.image_size) / sides
        ahead = None
        for start in range(0, len(points), size):
            batch = points[start : start + size]
            padded = np.zeros((size, 2), np.float32)
            padded[: len(batch)] = batch * scale
            output = _decode_points(
                self.model, features, padded, self.multimask_output, self.use_m2m
            )
            if ahead is not None:
                yield _fetch(*ahead)
            ahead = batch, output
        yield _fetch(*ahead)

    def _filter_mask(
        self,
        low_res: np.ndarray,
        iou: np.floating,
        point: np.ndarray,
        crop: Crop,
        image: np.ndarray,
    ) -> FoundMask | None:
        """Resize logits [4h, 4w] to the crop; return the mask if it passes, else None.

        An empty mask never passes. `point` [2] is in pixels of the crop.
        """
        low = self.mask_threshold - self.stability_score_offset
        high = self.mask_threshold + self.stability_score_offset
        size = crop.y1 - crop.y0, crop.x1 - crop.x0
        window = window_above(low_res, low, *size)
        logits = enlarge_logits(low_res, *size, window)
        mask = logits > self.mask_threshold
        if not mask.any():
            return None
        inner, outer = (np.count_nonzero(logits > cut) for cut in (high, low))
        stability = np.float32(inner / outer)  # the precision of thresholds
        if stability < self.stability_score_thresh:
            return None
        # In column-major order, the layout that COCO encodes.
        whole = np.zeros(image.shape[:2], np.uint8, order="F")
        whole[crop.y0 : crop.y1, crop.x0 : crop.x1][window] = mask
        corner = np.array([crop.x0 + window[1].start, crop.y0 + window[0].start])
        box = mask_boxes.mask_box(mask) + np.tile(corner, 2)
        if mask_boxes.is_near_crop_edge(box, crop, *whole.shape):
            return None
        return FoundMask(
            rle=encode_mask(whole),
            area=int(np.count_nonzero(mask)),
            box=box,
            predicted_iou=float(iou),
            stability_score=float(stability),
            point=point + np.float32(crop[:2]),
            crop=crop,
        )


def _fetch(points: np.ndarray, output: tuple) -> tuple[np.ndarray, ...]:
    """Copy an output to the host, without the padding of the batch."""
    return points, *(np.asarray(x)[: len(points)] for x in output)


def _require_count(name: str, value: Any, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} is {value}: give a whole number, {least} or more")
