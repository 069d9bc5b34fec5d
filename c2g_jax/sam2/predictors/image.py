"""Segment images from points, boxes and masks (sam2/sam2_image_predictor.py)."""

from collections.abc import Sequence

import jax
import numpy as np

from c2g_jax.media.images import resize_image, to_rgb
from c2g_jax.sam2.mask_decoder import choose_mask
from c2g_jax.sam2.masks import LOGIT_BOUND
from c2g_jax.sam2.memory import bucket
from c2g_jax.sam2.model import MEAN, STD, FrameFeatures, Sam2, for_inference
from c2g_jax.sam2.predictors.postprocess import (
    enlarge_logits,
    fill_holes,
    remove_sprinkles,
)
from c2g_jax.sam2.predictors.user_prompts import (
    as_numbers,
    batched_points_and_boxes,
    check_inside,
)
from c2g_jax.sam2.prompts import Prompts, pad_points
from c2g_jax.types import ABSENT, InputError


@jax.jit
def _encode(model: Sam2, images: jax.Array) -> FrameFeatures:
    features = model.encode_image(images)
    return features._replace(embed=model.without_memory(features))


def encode_images(model: Sam2, images: Sequence[np.ndarray]) -> FrameFeatures:
    """Encode uint8 RGB images [H, W, 3] of any sizes; `embed` includes no_mem_embed."""
    size = model.config.image_size
    pixels = np.stack([resize_image(image, size) for image in images])
    return _encode(model, (pixels - MEAN) / STD)


@jax.jit
def decode_prompts(model: Sam2, features: FrameFeatures, prompts: Prompts):
    """Return the single mask and the multimask output, with predicted IoUs.

    Two pairs of logits float32 [n, k, 4h, 4w] and IoUs [n, k]; k is 1, then 3. An
    unstable single mask is replaced, see `choose_mask`.
    """
    decoded = model.decode(features.embed, features, prompts)
    no_multimask = np.zeros(decoded.ious.shape[0], bool)
    chosen = choose_mask(decoded, no_multimask, model.config)
    single = (chosen.logits[:, None], chosen.iou[:, None])
    return single, (decoded.logits[:, 1:], decoded.ious[:, 1:])


class Sam2ImagePredictor:
    """Encode an image once, then predict masks for any number of prompts.

    Methods and arguments are those of `SAM2ImagePredictor`.
    """

    def __init__(
        self,
        model: Sam2,
        mask_threshold: float = 0.0,
        max_hole_area: int = 0,
        max_sprinkle_area: int = 0,
    ):
        """`max_hole_area` and `max_sprinkle_area` are in low-resolution pixels.

        Holes and isolated regions of at most that area are removed; 0 keeps them.
        """
        self.model = for_inference(model)
        self.mask_threshold = mask_threshold
        self.max_hole_area = max_hole_area
        self.max_sprinkle_area = max_sprinkle_area
        self.reset_predictor()

    def reset_predictor(self) -> None:
        """Clear the image."""
        self._features: FrameFeatures | None = None
        self._sizes: list[tuple[int, int]] = []

    def set_image(self, image) -> None:
        """Encode one image: an array [H, W, 3] of RGB in [0, 255], or a PIL image."""
        self.set_image_batch([image])

    def set_image_batch(self, image_list: Sequence) -> None:
        """Encode several images, of any sizes, as one batch."""
        if not image_list:
            raise InputError("no image is given: pass at least one")
        images = [to_rgb(image) for image in image_list]
        self._features = encode_images(self.model, images)
        self._sizes = [image.shape[:2] for image in images]

    def get_image_embedding(self) -> jax.Array:
        """Return the embedding [b, h, w, c] of the current images."""
        return self._require_features().embed

    def predict(
        self,
        point_coords: np.ndarray | None = None,
        point_labels: np.ndarray | None = None,
        box: np.ndarray | None = None,
        mask_input: np.ndarray | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict masks for one prompt, or for n prompts at once.

        point_coords [p, 2] or [n, p, 2] as (x, y) pixels of the image, or in [0, 1]
        with normalize_coords=False; point_labels [p] or [n, p], 1 inside, 0 outside;
        box [4] or [n, 4] as (x1, y1, x2, y2); mask_input [1, 4h, 4w] or [n, 1, 4h, 4w],
        the low-resolution logits of an earlier prediction.

        Returns masks bool [k, H, W] (float32 logits with `return_logits`), predicted
        IoUs [k] and low-resolution logits [k, 4h, 4w]; k is 3 with `multimask_output`,
        else 1. With n prompts each has a leading axis of n.
        """
        prompts = (point_coords, point_labels, box, mask_input)
        return self._predict(
            0, prompts, multimask_output, return_logits, normalize_coords
        )

    def predict_batch(
        self,
        point_coords_batch: Sequence | None = None,
        point_labels_batch: Sequence | None = None,
        box_batch: Sequence | None = None,
        mask_input_batch: Sequence | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Call `predict` on each image of the batch, with lists of its arguments."""
        self._require_features()
        batches = (point_coords_batch, point_labels_batch, box_batch, mask_input_batch)
        options = (multimask_output, return_logits, normalize_coords)
        outputs = []
        for index in range(len(self._sizes)):
            prompts = [None if batch is None else batch[index] for batch in batches]
            outputs.append(self._predict(index, prompts, *options))
        masks, ious, logits = zip(*outputs, strict=True)
        return list(masks), list(ious), list(logits)

    def _require_features(self) -> FrameFeatures:
        if self._features is None:
            raise InputError("no image is set: call set_image first")
        return self._features

    def _predict(
        self, index, prompts, multimask_output, return_logits, normalize_coords
    ):
        point_coords, point_labels, box, mask_input = prompts
        features = self._require_features().frame(index)
        height, width = self._sizes[index]
        coords, labels, batched = batched_points_and_boxes(
            point_coords, point_labels, box
        )
        check_inside(coords, labels, (width, height), normalize_coords)
        scale = np.float32(self.model.config.image_size)
        scale = scale / np.float32([width, height]) if normalize_coords else scale
        coords = coords * scale
        prompts, count = self._pad(coords, labels, mask_input)
        single, multiple = decode_prompts(self.model, features, prompts)
        logits, ious = multiple if multimask_output else single
        low_res = np.asarray(logits)[:count]
        ious = np.asarray(ious)[:count]

        # Holes to +10, sprinkles to -10 (sam2/utils/transforms.py:76-118).
        cleaned = low_res - self.mask_threshold
        cleaned = fill_holes(cleaned, self.max_hole_area, 10.0)
        cleaned = remove_sprinkles(cleaned, self.max_sprinkle_area)
        masks = enlarge_logits(cleaned + self.mask_threshold, height, width)
        masks = masks if return_logits else masks > self.mask_threshold
        low_res = np.clip(low_res, -LOGIT_BOUND, LOGIT_BOUND)
        if batched or count > 1:
            return masks, ious, low_res
        return masks[0], ious[0], low_res[0]

    def _pad(self, coords, labels, mask_input) -> tuple[Prompts, int]:
        """Pad prompts to bucket sizes; return them with the number of real prompts."""
        size = self.model.config.low_res_size
        logits = None
        count = len(coords)
        if mask_input is not None:
            logits = as_numbers(mask_input, "mask_input")
            if logits.shape[-2:] != (size, size):
                raise InputError(
                    f"mask_input has shape {logits.shape}: give the low-resolution"
                    f" logits of an earlier prediction, 1x{size}x{size}"
                )
            logits = logits.reshape(-1, size, size)
            count = max(count, len(logits))
            if len(logits) not in (1, count):
                raise InputError(
                    f"{len(logits)} mask inputs are given for {count} prompts:"
                    " give one for each"
                )
        if not count:
            raise InputError("no prompt is given: pass a point, a box or a mask")
        padded = bucket(count)
        pairs = list(zip(coords, labels, strict=True))
        coords, labels = pad_points(pairs, padded)
        if not pairs:  # a mask alone: no points (sam2_image_predictor.py:391)
            labels = np.full_like(labels, ABSENT)
        if logits is None:
            return Prompts(coords, labels), count
        full = np.zeros((padded, size, size), np.float32)
        full[:count] = logits
        return Prompts(coords, labels, full), count
