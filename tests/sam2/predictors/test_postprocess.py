"""Post-processing of masks against plain reference computations."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2g_jax.sam2.predictors.postprocess import (
    enlarge_logits,
    fill_holes,
    remove_small_regions,
    remove_sprinkles,
    suppress_overlaps,
    window_above,
)


@pytest.mark.parametrize("size", [(96, 160), (64, 64), (20, 33), (7, 200)])
def test_enlarging_equals_bilinear_resize_without_antialiasing(size):
    logits = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
    expected = jax.image.resize(logits, (2, *size), "bilinear", antialias=False)
    np.testing.assert_allclose(enlarge_logits(logits, *size), expected, atol=1e-5)


def literal_fill(logits, max_area):
    """Flood each background region by hand; eight neighbours count."""
    out = logits.copy()
    height, width = logits.shape
    seen = logits > 0
    for start in np.argwhere(~seen):
        region, open_cells = [], [tuple(start)]
        while open_cells:
            row, column = open_cells.pop()
            inside = 0 <= row < height and 0 <= column < width
            if not inside or seen[row, column]:
                continue
            seen[row, column] = True
            region.append((row, column))
            steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            open_cells += [(row + dy, column + dx) for dy, dx in steps]
        if len(region) <= max_area:
            for cell in region:
                out[cell] = 0.1
    return out


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), density=st.floats(0.3, 0.9), area=st.integers(1, 9))
def test_filling_equals_the_literal_flood(seed, density, area):
    rng = np.random.default_rng(seed)
    logits = np.where(rng.random((12, 14)) < density, 1.0, -1.0).astype(np.float32)
    np.testing.assert_array_equal(fill_holes(logits, area), literal_fill(logits, area))
    # A sprinkle is a hole of the negated mask.
    turned = literal_fill(-logits, area)
    cleared = np.where(turned == np.float32(0.1), np.float32(-10), logits)
    np.testing.assert_array_equal(remove_sprinkles(logits, area), cleared)


def test_holes_of_eight_fill_and_of_nine_stay_even_when_linked_diagonally():
    logits = np.ones((3, 16, 16), np.float32)
    logits[0, 4:6, 4:8] = -1  # 8 pixels
    logits[1, 4:7, 4:7] = -1  # 9 pixels
    logits[2, 4:6, 4:6] = logits[2, 6:8, 6:8] = -1  # 4 + 4, corner to corner
    logits[2, 8, 8] = -1  # and one more
    before = logits.copy()
    filled = fill_holes(logits, 8)
    assert (filled[0] > 0).all()
    assert (filled[0, 4:6, 4:8] == np.float32(0.1)).all()
    np.testing.assert_array_equal(filled[1:], before[1:])
    np.testing.assert_array_equal(logits, before)  # the input is as it was
    np.testing.assert_array_equal(fill_holes(logits, 0), before)


def test_each_pixel_goes_to_the_highest_logit():
    logits = np.float32([[[2, -20, 3]], [[1, -3, 4]]])
    np.testing.assert_array_equal(
        suppress_overlaps(logits), [[[2, -20, -10]], [[-10, -3, 4]]]
    )
    np.testing.assert_array_equal(suppress_overlaps(logits[:1]), logits[:1])


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 1000),
    density=st.floats(0, 0.2),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    floor=st.sampled_from([-1.0, 0.0, 2.5]),
)
def test_a_window_holds_all_that_is_above_the_floor(seed, density, size, floor):
    rng = np.random.default_rng(seed)
    high = rng.random((16, 16)) < density
    logits = np.where(high, 5 * rng.random((16, 16)) + floor, floor - 1)
    whole = enlarge_logits(logits, *size)
    window = window_above(logits, floor, *size)
    part = enlarge_logits(logits, *size, window)
    np.testing.assert_array_equal(part, whole[window])  # and not nearly so
    outside = whole.copy()
    outside[window] = floor
    assert not (outside > floor).any()


def test_a_window_is_as_small_as_its_mask():
    logits = np.full((64, 64), -5.0)
    logits[10:20, 30:34] = 5
    rows, columns = window_above(logits, -1, 640, 640)
    assert (rows.start, columns.start) >= (90, 290)
    assert rows.stop <= 210
    assert columns.stop <= 350


def test_small_regions_of_a_mask():
    mask = np.zeros((12, 12), bool)
    mask[1:8, 1:8] = True
    mask[3, 3:5] = False  # a hole of 2
    mask[5, 4] = mask[6, 5] = mask[5, 6] = False  # a hole of 3, corner to corner
    mask[10, 10] = mask[11, 11] = True  # an island of 2
    expected = mask.copy()
    np.testing.assert_array_equal(remove_small_regions(mask, 2), mask)
    expected[3, 3:5] = True
    expected[10, 10] = expected[11, 11] = False
    np.testing.assert_array_equal(remove_small_regions(mask, 3), expected)
    expected[1:8, 1:8] = True
    np.testing.assert_array_equal(remove_small_regions(mask, 4), expected)
    # Where all that is left is small, the largest island stays.
    islands = np.zeros((12, 12), bool)
    islands[1, 1:3] = islands[6, 1:4] = islands[11, 11] = True
    largest = np.zeros((12, 12), bool)
    largest[6, 1:4] = True
    np.testing.assert_array_equal(remove_small_regions(islands, 9), largest)
    nothing = np.zeros((12, 12), bool)
    np.testing.assert_array_equal(remove_small_regions(nothing, 9), nothing)
    assert remove_small_regions(~nothing, 9).all()
