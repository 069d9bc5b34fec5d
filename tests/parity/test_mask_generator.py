"""Automatic masks: the steps of the reference one by one, and the whole generator."""

import sys
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from sam2.utils import amg

from c2g_jax.media.rle import encode_mask, run_lengths
from c2g_jax.sam2.predictors import mask_boxes
from c2g_jax.sam2.predictors.automatic_masks import Sam2AutomaticMaskGenerator
from porting.compare import PIXEL_BOUND
from porting.scenes import draw_video

pytestmark = pytest.mark.parity

SIZES = [(100, 150), (480, 854), (1080, 1920), (333, 77), (64, 64)]


@pytest.mark.parametrize(
    ("side", "layers", "factor"), [(32, 0, 1), (32, 3, 2), (7, 2, 1)]
)
def test_grids(side, layers, factor):
    theirs = amg.build_all_layer_point_grids(side, layers, factor)
    ours = mask_boxes.layered_grids(side, layers, factor)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("ratio", [0, 512 / 1500, 0.9])
@pytest.mark.parametrize("size", SIZES)
def test_crops(size, ratio):
    boxes, layers = amg.generate_crop_boxes(size, 3, ratio)
    ours = mask_boxes.crop_boxes(*size, 3, ratio)
    assert [list(crop[:4]) for crop in ours] == boxes
    assert [crop.layer for crop in ours] == layers


def random_masks():
    rng = np.random.default_rng(0)
    for size in ((40, 60), (1, 9), (9, 1)):
        for density in (0.02, 0.5, 1.0):
            mask = rng.random(size) < density
            mask[rng.integers(size[0]), rng.integers(size[1])] = True
            yield mask


def test_boxes_and_run_lengths_of_masks():
    for mask in random_masks():
        tensor = torch.from_numpy(mask)[None]
        assert (
            mask_boxes.mask_box(mask).tolist()
            == amg.batched_mask_to_box(tensor)[0].tolist()
        )
        (theirs,) = amg.mask_to_rle_pytorch(tensor)
        assert run_lengths(mask) == theirs
        assert encode_mask(mask) == amg.coco_encode_rle(theirs)


def test_masks_that_crops_cut_off():
    rng = np.random.default_rng(0)
    height, width = 200, 300
    crops = mask_boxes.crop_boxes(height, width, 2, 512 / 1500)
    answers = []
    for crop in crops:
        wide, high = crop.x1 - crop.x0, crop.y1 - crop.y0
        corners = rng.integers(0, [wide, high], (50, 2, 2))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        theirs = amg.is_box_near_crop_edge(
            torch.from_numpy(boxes), list(crop[:4]), [0, 0, width, height]
        )
        corner = np.tile(crop[:2], 2)
        ours = [
            mask_boxes.is_near_crop_edge(b + corner, crop, height, width) for b in boxes
        ]
        assert ours == theirs.tolist()
        answers += ours
    assert any(answers)
    assert not all(answers)


def _batched_nms(boxes, scores, categories, iou_threshold):
    """torchvision's batched_nms by its definition, for one category."""
    kept = []
    for index in torch.argsort(scores, descending=True, stable=True).tolist():
        for other in kept:
            low = torch.maximum(boxes[index, :2], boxes[other, :2])
            high = torch.minimum(boxes[index, 2:], boxes[other, 2:])
            shared = (high - low).clamp(min=0).prod()
            areas = _box_area(boxes[[index, other]]).sum()
            if shared / (areas - shared) > iou_threshold:
                break
        else:
            kept.append(index)
    return torch.tensor(kept, dtype=torch.int64)


def _box_area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


@pytest.fixture(scope="module")
def reference_generator(image_reference):
    """Makes the reference's generator for a pair."""
    boxes = types.ModuleType("torchvision.ops.boxes")
    boxes.batched_nms, boxes.box_area = _batched_nms, _box_area
    stand_ins = {"torchvision.ops": types.ModuleType("torchvision.ops")}
    stand_ins["torchvision.ops.boxes"] = boxes
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stand_ins.items():
            patch.setitem(sys.modules, name, module)
        from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

        def make(pair, **settings):
            generator = SAM2AutomaticMaskGenerator(pair.reference, **settings)
            generator.predictor = image_reference(pair)
            return generator

        yield make


# Random networks give noise all over the image; with a high threshold it falls into
# small masks of many shapes. The stability threshold only removes empty masks, which
# the reference returns with a stability of nan.
SMALL = dict(mask_threshold=6.0, pred_iou_thresh=0.0, stability_score_thresh=0.01)
ASKED = {
    "good and stable": (
        dict(pred_iou_thresh=0.4, stability_score_thresh=0.5, box_nms_thresh=1.0),
        20,
    ),
    "every mask": (dict(SMALL, box_nms_thresh=1.0), 60),
    "unlike masks": (SMALL, 5),
    "one mask of a point": (dict(SMALL, multimask_output=False), 3),
    "another offset": (dict(SMALL, stability_score_offset=0.25), 5),
    # Of 5 x 5 points one single mask misses its stability by one pixel, 2e-6 from the
    # cut: there rounding decides which mask is the answer.
    "second pass": (
        dict(SMALL, use_m2m=True, box_nms_thresh=1.0, points_per_side=4),
        30,
    ),
    "crops": (
        dict(SMALL, crop_n_layers=1, box_nms_thresh=0.9, crop_nms_thresh=0.9),
        15,
    ),
    "crops of fewer points": (
        dict(SMALL, crop_n_layers=1, crop_n_points_downscale_factor=2),
        5,
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_generate(pair_of, reference_generator, name):
    pair = pair_of("toy", 256)
    settings, at_least = ASKED[name]
    settings = dict(points_per_side=5, points_per_batch=10) | settings
    image = draw_video(1, 150, 230)[0]
    theirs = reference_generator(pair, **settings).generate(image)
    ours = Sam2AutomaticMaskGenerator(pair.ours, **settings).generate(image)
    assert len(ours) == len(theirs) >= at_least
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        differ = np.mean(one["segmentation"] != other["segmentation"])
        assert differ <= PIXEL_BOUND
        np.testing.assert_allclose(one["bbox"], other["bbox"], atol=1)
        assert one["area"] == pytest.approx(other["area"], abs=4)
        for key in ("predicted_iou", "stability_score"):
            assert one[key] == pytest.approx(other[key], abs=1e-3)
        np.testing.assert_allclose(
            one["point_coords"], other["point_coords"], rtol=1e-6
        )
        assert one["crop_box"] == other["crop_box"]
