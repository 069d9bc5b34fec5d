"""Grids, crops and boxes by hand, and suppression against a literal twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2g_jax.sam2.predictors.mask_boxes import (
    Crop,
    check_point_grids,
    crop_boxes,
    is_near_crop_edge,
    layered_grids,
    mask_box,
    nms,
    point_grid,
)
from c2g_jax.types import InputError


def test_points_are_the_centres_of_cells_row_by_row():
    np.testing.assert_array_equal(
        point_grid(2), [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    )


def test_deeper_layers_have_fewer_points():
    grids = layered_grids(8, 2, 2)
    assert [len(grid) for grid in grids] == [64, 16, 4]
    assert [len(grid) for grid in layered_grids(7, 1, 3)] == [49, 4]  # 7 / 3 is 2
    with pytest.raises(InputError, match="layer 2"):
        layered_grids(3, 2, 2)


@pytest.mark.parametrize(
    ("grids", "layers", "word"),
    [
        ([[[0.5, 0.5]]], 1, "1 point_grids"),
        ([[0.5, 0.5]], 0, "shape"),
        ([np.zeros((0, 2))], 0, "shape"),
        ([[[0.5, 1.5]]], 0, "from 0 to 1"),
        ([[[0.5, np.nan]]], 0, "from 0 to 1"),
    ],
)
def test_bad_grids_are_named(grids, layers, word):
    with pytest.raises(InputError, match=word):
        check_point_grids(grids, layers)


def test_crops_of_an_image_of_150_by_100():
    whole, *crops = crop_boxes(100, 150, 1, 512 / 1500)
    assert whole == Crop(0, 0, 150, 100, 0)
    # 0.3413 x 100 is an overlap of 34; half of 150 + 34 is 92, of 100 + 34 is 67.
    assert crops == [
        Crop(0, 0, 92, 67, 1),
        Crop(0, 33, 92, 100, 1),
        Crop(58, 0, 150, 67, 1),
        Crop(58, 33, 150, 100, 1),
    ]
    assert crops[0].area == 92 * 67


def test_a_second_layer_of_crops():
    crops = [crop for crop in crop_boxes(100, 150, 2, 512 / 1500) if crop.layer == 2]
    # An overlap of 17; a quarter of 150 + 51 is 51 upwards, of 100 + 51 is 38.
    columns = [(0, 51), (34, 85), (68, 119), (102, 150)]
    rows = [(0, 38), (21, 59), (42, 80), (63, 100)]
    assert crops == [Crop(x0, y0, x1, y1, 2) for x0, x1 in columns for y0, y1 in rows]


@settings(max_examples=100, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    layers=st.integers(0, 3),
    ratio=st.floats(0, 0.99),
)
def test_crops_of_each_layer_cover_the_image_and_none_is_empty(
    height, width, layers, ratio
):
    crops = crop_boxes(height, width, layers, ratio)
    assert {crop.layer for crop in crops} == set(range(layers + 1))
    for layer in range(layers + 1):
        seen = np.zeros((height, width), bool)
        for x0, y0, x1, y1, _ in (crop for crop in crops if crop.layer == layer):
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            seen[y0:y1, x0:x1] = True
        assert seen.all()


def test_a_box_ends_on_the_last_column_and_row():
    mask = np.zeros((10, 12), bool)
    mask[3:7, 2] = mask[4, 2:11] = True
    assert mask_box(mask).tolist() == [2, 3, 10, 6]
    assert mask_box(mask[4:5, 5:6]).tolist() == [0, 0, 0, 0]


def test_a_mask_is_cut_off_within_20_pixels_of_a_border_inside_the_image():
    crop = Crop(100, 0, 300, 200, 1)
    free = [130, 30, 270, 170]
    assert not is_near_crop_edge(np.array(free), crop, 200, 400)
    for side, at in ((0, 120), (2, 280)):
        for step, cut in ((0, True), (1 if side == 0 else -1, False)):
            box = list(free)
            box[side] = at + step
            assert is_near_crop_edge(np.array(box), crop, 200, 400) == cut
    # Above and below the crop ends where the image does: nothing is cut there.
    assert not is_near_crop_edge(np.array([130, 0, 270, 199]), crop, 200, 400)
    whole = Crop(0, 0, 400, 200, 0)
    assert not is_near_crop_edge(np.array([0, 0, 399, 199]), whole, 200, 400)


def literal_suppress(boxes, scores, threshold):
    """Walk down the scores; keep what overlaps nothing that was kept before."""

    def area(box):
        return (box[2] - box[0]) * (box[3] - box[1])

    kept = []
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        good = True
        for other in kept:
            a, b = boxes[index], boxes[other]
            wide = min(a[2], b[2]) - max(a[0], b[0])
            high = min(a[3], b[3]) - max(a[1], b[1])
            shared = wide * high if wide > 0 and high > 0 else 0
            union = area(a) + area(b) - shared
            if union > 0 and shared / union > threshold:
                good = False
        if good:
            kept.append(index)
    return kept


coordinates = st.integers(0, 20)
one_box = st.tuples(coordinates, coordinates, coordinates, coordinates).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


@settings(max_examples=300, deadline=None)
@given(
    found=st.lists(st.tuples(one_box, st.integers(0, 5)), max_size=25),
    threshold=st.sampled_from([0.0, 0.15, 0.37, 0.61, 0.83, 1.0]),
)
def test_suppression_equals_the_literal_walk(found, threshold):
    boxes = [box for box, _ in found]
    scores = [score for _, score in found]
    kept = nms(np.array(boxes).reshape(-1, 4), np.array(scores), threshold)
    assert kept.tolist() == literal_suppress(boxes, scores, threshold)


def test_an_overlap_of_just_the_threshold_stays():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]])  # IoU 1/2
    assert nms(boxes, np.array([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert nms(boxes, np.array([0.8, 0.9]), 0.49).tolist() == [1]
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []
