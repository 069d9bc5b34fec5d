"""Automatic masks of the toy model against plain loops; invalid options."""

import numpy as np
import pytest

from c2g_jax.sam2.predictors.automatic_masks import (
    Sam2AutomaticMaskGenerator,
    _decode_points,
)
from c2g_jax.types import InputError
from tests.sam2.predictors.mask_twin import literal_generate

DEFAULTS = dict(
    points_per_side=4,
    pred_iou_thresh=0.5,
    stability_score_thresh=0.9,
    stability_score_offset=1.0,
    mask_threshold=0.0,
    box_nms_thresh=0.7,
    crop_n_layers=0,
    crop_nms_thresh=0.7,
    crop_overlap_ratio=512 / 1500,
    crop_n_points_downscale_factor=1,
    min_mask_region_area=0,
    use_m2m=False,
    multimask_output=True,
)


ASKED = {
    "defaults": {},
    "many alike": dict(pred_iou_thresh=0.0, box_nms_thresh=0.95),
    "one mask": dict(multimask_output=False, pred_iou_thresh=0.0, box_nms_thresh=0.9),
    "second pass": dict(use_m2m=True, pred_iou_thresh=0.0, stability_score_thresh=0.0),
    "another cut": dict(
        mask_threshold=2.0, stability_score_offset=0.5, pred_iou_thresh=0.0
    ),
    "crops": dict(
        crop_n_layers=1,
        crop_n_points_downscale_factor=2,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.5,
        crop_overlap_ratio=0.5,
    ),
    "small regions": dict(
        min_mask_region_area=60,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.5,
        box_nms_thresh=0.95,
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_records_equal_those_of_the_slow_twin(toy, frames, name):
    settings = DEFAULTS | ASKED[name]
    image = frames[0][:, :140]
    records = Sam2AutomaticMaskGenerator(toy, points_per_batch=12, **settings).generate(
        image
    )
    expected = literal_generate(toy, image, settings)
    assert len(records) == len(expected) > 0
    for ours, theirs in zip(records, expected, strict=True):
        assert np.mean(ours["segmentation"] != theirs["segmentation"]) <= 1e-3
        np.testing.assert_allclose(ours["bbox"], theirs["bbox"], atol=1)
        assert ours["area"] == ours["segmentation"].sum()
        assert ours["predicted_iou"] == pytest.approx(theirs["predicted_iou"], abs=1e-4)
        assert ours["stability_score"] == pytest.approx(
            theirs["stability_score"], abs=2e-3
        )
        np.testing.assert_allclose(
            ours["point_coords"], theirs["point_coords"], rtol=1e-6
        )
        assert ours["crop_box"] == theirs["crop_box"]


LOOSE = dict(pred_iou_thresh=0.0, stability_score_thresh=0.5, points_per_batch=12)


def test_the_batch_size_changes_nothing(toy, frames):
    settings = DEFAULTS | ASKED["many alike"]
    answers = [
        Sam2AutomaticMaskGenerator(toy, points_per_batch=n, **settings).generate(
            frames[0]
        )
        for n in (5, 12)
    ]
    assert len(answers[0]) == len(answers[1])
    for one, other in zip(*answers, strict=True):
        assert one["point_coords"] == other["point_coords"]
        assert np.mean(one["segmentation"] != other["segmentation"]) <= 1e-3


def test_images_of_any_size_compile_once(toy, frames, count_compilations):
    generator = Sam2AutomaticMaskGenerator(
        toy, points_per_side=5, crop_n_layers=1, **LOOSE
    )
    before = _decode_points._cache_size()
    generator.generate(frames[0])
    assert _decode_points._cache_size() <= before + 1
    images = [*frames[1:4], frames[0][:50], frames[0][:, :77]]
    assert count_compilations(lambda: [generator.generate(x) for x in images]) == 0


def test_the_same_image_gives_the_same_records_and_is_left_as_it_was(toy, frames):
    generator = Sam2AutomaticMaskGenerator(
        toy, points_per_side=4, output_mode="coco_rle", **LOOSE
    )
    image = frames[0].copy()
    first, second = generator.generate(image), generator.generate(image)
    assert first == second
    assert first
    np.testing.assert_array_equal(image, frames[0])


def test_own_points_and_grey_images(toy, frames):
    grid = np.random.default_rng(0).random((20, 2))
    generator = Sam2AutomaticMaskGenerator(
        toy, None, point_grids=[grid], box_nms_thresh=1.0, **LOOSE
    )
    grey = frames[0][..., 0]
    records = generator.generate(grey)
    asked = {tuple(point) for point in np.float32(grid * [160, 96])}
    assert records
    assert {tuple(np.float32(r["point_coords"][0])) for r in records} <= asked
    assert {r["segmentation"].shape for r in records} == {(96, 160)}
    again = generator.generate(np.repeat(grey[..., None], 3, axis=2))
    assert [r["bbox"] for r in again] == [r["bbox"] for r in records]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (dict(points_per_side=None), "exclude each other"),
        (dict(point_grids=[[[0.5, 0.5]]]), "exclude each other"),
        (dict(points_per_side=0), "points_per_side is 0"),
        (dict(points_per_side=2.5), "whole number"),
        (dict(points_per_batch=0), "points_per_batch is 0"),
        (dict(crop_n_layers=-1), "crop_n_layers is -1"),
        (dict(crop_n_points_downscale_factor=0), "downscale_factor is 0"),
        (dict(points_per_side=2, crop_n_layers=2, crop_n_points_downscale_factor=2),
         "leave none in layer 2"),
        (dict(pred_iou_thresh=1.5), "pred_iou_thresh is 1.5"),
        (dict(stability_score_thresh=-0.1), "stability_score_thresh is -0.1"),
        (dict(box_nms_thresh=float("nan")), "box_nms_thresh is nan"),
        (dict(crop_nms_thresh=7), "crop_nms_thresh is 7"),
        (dict(crop_overlap_ratio=1), "crop_overlap_ratio is 1"),
        (dict(stability_score_offset=-1), "stability_score_offset is -1"),
        (dict(mask_threshold=float("inf")), "mask_threshold is inf"),
        (dict(min_mask_region_area=-5), "min_mask_region_area is -5"),
        (dict(output_mode="png"), "binary_mask, uncompressed_rle, coco_rle"),
    ],
)  # fmt: skip
def test_bad_settings_are_named_in_one_line(toy, settings, word):
    with pytest.raises(InputError, match=word) as caught:
        Sam2AutomaticMaskGenerator(toy, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 8, 3), (8, 8, 5), (8,)])
def test_bad_images_are_named(toy, shape):
    generator = Sam2AutomaticMaskGenerator(toy, points_per_side=1)
    with pytest.raises(InputError, match="give uint8"):
        generator.generate(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="give uint8"):
        generator.generate(np.zeros((8, 8, 3), np.float32))
