"""Automatic masks of crops: coordinates, preference, masks cut off by a crop."""

import numpy as np
import pytest

from c2g_jax.sam2.predictors.mask_boxes import crop_boxes
from tests.sam2.predictors.conftest import block


def test_masks_of_crops_lie_where_the_crop_does_and_smaller_crops_lead(scripted):
    """The same answer in each crop is a mask in another place."""
    answer = [(block(10, 22, 10, 22), 0.9)]
    generator = scripted(lambda x, y: answer, points_per_side=1, crop_n_layers=1)
    records = generator.generate(np.zeros((100, 150, 3), np.uint8))
    boxes = [record["crop_box"] for record in records]
    assert boxes == [
        [0, 0, 92, 67],
        [0, 33, 92, 67],
        [58, 0, 92, 67],
        [58, 33, 92, 67],
        [0, 0, 150, 100],
    ]
    assert [record["point_coords"] for record in records] == [
        [[46, 33.5]],
        [[46, 66.5]],
        [[104, 33.5]],
        [[104, 66.5]],
        [[75, 50]],
    ]
    for record in records:
        x, y, width, height = record["crop_box"]
        left, top, wide, high = record["bbox"]
        # 10/32 to 22/32 of the crop.
        assert left - x == pytest.approx(width * 10 / 32, abs=1)
        assert top - y == pytest.approx(height * 10 / 32, abs=1)
        assert wide == pytest.approx(width * 12 / 32 - 1, abs=1)
        assert high == pytest.approx(height * 12 / 32 - 1, abs=1)
        mask = record["segmentation"]
        assert mask.shape == (100, 150)
        assert mask.sum() == record["area"]
        inside = mask[int(top) : int(top + high) + 1, int(left) : int(left + wide) + 1]
        assert inside.sum() == record["area"]


def test_across_crops_the_smaller_crop_wins_over_a_better_iou(scripted):
    """One object, columns and rows 200 to 310 of 512: all four crops show it whole."""
    crops = iter(crop_boxes(512, 512, 1, 512 / 1500))

    def answer(x, y):
        crop = next(crops)
        low, high = (
            [
                round(32 * (at - start) / (crop.x1 - crop.x0))
                for start in (crop.y0, crop.x0)
            ]
            for at in (200, 310)
        )
        square = block(low[0], high[0], low[1], high[1])
        return [(square, 0.9 if crop.layer else 0.99)]

    settings = dict(crop_nms_thresh=0.5, stability_score_thresh=0.5)
    generator = scripted(answer, points_per_side=1, crop_n_layers=1, **settings)
    (record,) = generator.generate(np.zeros((512, 512, 3), np.uint8))
    assert record["crop_box"] == [0, 0, 343, 343]
    assert record["predicted_iou"] == pytest.approx(0.9)
    np.testing.assert_allclose(record["bbox"], [200, 200, 110, 110], atol=10)


def test_masks_that_a_crop_cuts_off_are_left_out(scripted):
    image = np.zeros((128, 128, 3), np.uint8)
    whole_crop = [(block(0, 32, 0, 32), 0.9)]
    generator = scripted(lambda x, y: whole_crop, points_per_side=1, crop_n_layers=1)
    (record,) = generator.generate(image)
    assert record["crop_box"] == [0, 0, 128, 128]
    assert record["area"] == 128 * 128
