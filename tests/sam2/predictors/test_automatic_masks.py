"""Automatic masks of scripted model outputs, with records computed by hand."""

import json
import tracemalloc

import numpy as np
import pytest
from pycocotools import mask as coco

from c2g_jax.media.rle import run_lengths
from c2g_jax.sam2.predictors import automatic_masks
from tests.sam2.predictors.conftest import block

KEYS = {
    "segmentation",
    "area",
    "bbox",
    "predicted_iou",
    "point_coords",
    "stability_score",
    "crop_box",
}


def square_at(x, y, half=3):
    """A square around a point of the model image, at the size of its masks."""
    column, row = int(x) // 4, int(y) // 4
    return block(max(row - half, 0), row + half, max(column - half, 0), column + half)


IMAGE = np.zeros((32, 32, 3), np.uint8)  # so that masks come at the model's own size


def test_a_record_by_hand(scripted):
    generator = scripted(
        lambda x, y: [(block(4, 10, 6, 20), 0.9)], points_per_side=1, use_m2m=True
    )
    (record,) = generator.generate(IMAGE)
    assert set(record) == KEYS
    expected = np.zeros((32, 32), bool)
    expected[4:10, 6:20] = True
    np.testing.assert_array_equal(record["segmentation"], expected)
    assert record["segmentation"].dtype == bool
    assert record["area"] == 6 * 14
    assert record["bbox"] == [6, 4, 13, 5]  # to the last column and row
    assert record["predicted_iou"] == pytest.approx(0.9)
    assert record["point_coords"] == [[16, 16]]
    assert record["stability_score"] == 1
    assert record["crop_box"] == [0, 0, 32, 32]
    np.testing.assert_array_equal(generator.asked, [[[64, 64]]])


def test_batches_have_one_shape_and_their_padding_leaves_no_record(scripted):
    def answer(x, y):
        return [(square_at(x, y), 0.9)]

    generator = scripted(answer, points_per_side=3, points_per_batch=4)
    records = generator.generate(IMAGE)
    assert [points.shape for points in generator.asked] == [(4, 2)] * 3
    # A padded point would be a square in the corner at (0, 0).
    centres = [
        [16 / 3 + 32 / 3 * i, 16 / 3 + 32 / 3 * j] for j in range(3) for i in range(3)
    ]
    points = [record["point_coords"][0] for record in records]
    np.testing.assert_allclose(sorted(points), sorted(centres), rtol=1e-6)


def test_a_small_grid_is_one_batch(scripted):
    generator = scripted(lambda x, y: [(square_at(x, y), 0.9)], points_per_side=2)
    assert len(generator.generate(IMAGE)) == 4
    assert [points.shape for points in generator.asked] == [(4, 2)]


def test_the_filters_stand_where_sam2_has_them(scripted):
    steady = block(4, 14, 4, 14)
    soft = steady.copy()
    soft[4:14, 4] = 0.5  # 90 of 100 above 1
    answers = [(steady, 0.8), (block(20, 30, 4, 14), np.nextafter(np.float32(0.8), 1))]
    generator = scripted(lambda x, y: answers, points_per_side=1)
    # The IoU must be above the threshold ...
    assert [r["bbox"][1] for r in generator.generate(IMAGE)] == [20]
    for threshold, count in ((0.9, 1), (0.91, 0)):
        # ... and the stability reach it.
        generator = scripted(
            lambda x, y: [(soft, 0.9)],
            points_per_side=1,
            stability_score_thresh=threshold,
        )
        records = generator.generate(IMAGE)
        assert len(records) == count
        assert all(r["stability_score"] == pytest.approx(0.9) for r in records)


def test_threshold_and_offset_move_the_cuts(scripted):
    logits = block(4, 14, 4, 14, inside=2.0)
    logits[4:14, 4:9] = 5.0
    settings = dict(points_per_side=1, mask_threshold=3.0, stability_score_thresh=0.3)
    (record,) = scripted(lambda x, y: [(logits, 0.9)], **settings).generate(IMAGE)
    assert record["area"] == 50
    assert record["stability_score"] == 1  # above 4 and above 2: not the 2s
    settings["stability_score_offset"] = 1.5
    (record,) = scripted(lambda x, y: [(logits, 0.9)], **settings).generate(IMAGE)
    assert record["stability_score"] == 0.5


def test_stability_is_measured_at_full_size(scripted):
    """The slopes at the border of a small mask count after resizing, not before."""
    generator = scripted(
        lambda x, y: [(block(10, 14, 10, 14), 0.9)],
        points_per_side=1,
        stability_score_thresh=0,
    )
    (small,) = generator.generate(IMAGE)
    (large,) = generator.generate(np.zeros((320, 320, 3), np.uint8))
    assert small["stability_score"] == 1
    assert 0.8 < large["stability_score"] < 1


def test_an_empty_mask_is_no_record_even_without_thresholds(scripted):
    """The official generator returns empty masks there, with a stability of nan."""
    answers = [(block(0, 0, 0, 0), 0.9), (block(0, 0, 0, 0, outside=-0.5), 0.9)]
    generator = scripted(
        lambda x, y: answers,
        points_per_side=2,
        pred_iou_thresh=0,
        stability_score_thresh=0,
        min_mask_region_area=10,
        crop_n_layers=1,
    )
    assert generator.generate(IMAGE) == []


def test_of_overlapping_masks_the_better_stays_and_leads(scripted):
    masks = [
        (block(2, 12, 2, 12), 0.85),
        (block(2, 12, 3, 12), 0.95),  # overlaps the first by 8/9
        (block(20, 30, 2, 12), 0.9),
    ]
    generator = scripted(lambda x, y: masks, points_per_side=3, points_per_batch=2)
    records = generator.generate(IMAGE)
    assert [r["bbox"] for r in records] == [[3, 2, 8, 9], [2, 20, 9, 9]]
    # Of the nine equal answers, the first point's.
    np.testing.assert_allclose(records[0]["point_coords"], [[16 / 3, 16 / 3]])


def test_small_holes_and_islands_go_then_what_became_alike(scripted):
    ragged = block(4, 20, 4, 20)
    ragged[10, 10:12] = -8  # a hole of 2
    ragged[15, 15:18] = -8  # and of 3
    ragged[28, 28] = 8  # an island of 1
    clean = block(4, 20, 4, 20)
    answers = [(ragged, 0.95), (clean, 0.9)]
    settings = dict(points_per_side=1)
    records = scripted(lambda x, y: answers, **settings).generate(IMAGE)
    assert [r["area"] for r in records] == [252, 256]  # boxes overlap by 15²/24²
    settings["min_mask_region_area"] = 3
    records = scripted(lambda x, y: answers, **settings).generate(IMAGE)
    # A hole of 3 stays; the two now overlap, and the unchanged one is preferred.
    assert [(r["area"], r["bbox"]) for r in records] == [(256, [4, 4, 15, 15])]
    assert records[0]["predicted_iou"] == pytest.approx(0.9)
    alone = scripted(lambda x, y: answers[:1], **settings).generate(IMAGE)
    assert [(r["area"], r["bbox"]) for r in alone] == [(253, [4, 4, 15, 15])]


@pytest.mark.parametrize("size", [(32, 32), (45, 70)])
def test_run_lengths_in_both_forms_are_the_mask(scripted, size):
    rng = np.random.default_rng(0)
    noise = [(rng.normal(size=(32, 32)).astype(np.float32) + 1, 0.9) for _ in range(3)]
    settings = dict(points_per_side=1, stability_score_thresh=0, box_nms_thresh=1.0)
    image = np.zeros((*size, 3), np.uint8)
    by_mode = {}
    for mode in automatic_masks.OUTPUT_MODES:
        generator = scripted(lambda x, y: noise, output_mode=mode, **settings)
        by_mode[mode] = generator.generate(image)
    assert len(by_mode["binary_mask"]) == 3
    for plain, long, short in zip(*by_mode.values(), strict=True):
        mask = plain["segmentation"]
        assert long["segmentation"]["size"] == short["segmentation"]["size"] == [*size]
        packed = coco.frPyObjects(long["segmentation"], *size)
        np.testing.assert_array_equal(coco.decode(packed), mask)
        assert packed["counts"].decode() == short["segmentation"]["counts"]
        assert sum(long["segmentation"]["counts"][1::2]) == mask.sum() == plain["area"]
        json.dumps([long, short])  # as they are


def test_run_lengths_count_columns_and_start_with_zeros():
    mask = np.array([[True, False, True], [True, False, False]])
    assert run_lengths(mask) == {"size": [2, 3], "counts": [0, 2, 2, 1, 1]}
    assert run_lengths(~mask) == {"size": [2, 3], "counts": [2, 2, 1, 1]}
    assert run_lengths(mask[:, 1:2]) == {"size": [2, 1], "counts": [2]}


def test_memory_does_not_grow_by_a_full_size_array_a_mask(scripted):
    """192 masks of 600 x 800: 369 MB as floats at once, 92 MB as bools."""
    rng = np.random.default_rng(0)

    def answer(x, y):
        row, column = rng.integers(0, 24, 2)
        return [(block(row, row + 8, column, column + 8), 0.9)] * 3

    generator = scripted(
        answer,
        points_per_side=8,
        stability_score_thresh=0,
        box_nms_thresh=1.0,
        output_mode="coco_rle",
    )
    image = np.zeros((600, 800, 3), np.uint8)
    tracemalloc.start()
    try:
        records = generator.generate(image)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records) == 192
    assert peak < 16e6  # eight full-size floats
