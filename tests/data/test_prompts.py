import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from c2g_jax.data import prompts

DRAWS = 4000
TOO_UNLIKELY = 1e-4  # of a right sampler; the seeds are fixed, so it does not flicker


def rectangle(height=7, width=9, rows=slice(None), columns=slice(None)):
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = True
    return mask


def ring():
    mask = rectangle(11, 11, slice(1, 10), slice(1, 10))
    mask[3:8, 3:8] = False
    return mask


SHAPES = {
    "one pixel": rectangle(rows=3, columns=4),
    "pixel in the corner": rectangle(rows=6, columns=8),
    "line": rectangle(rows=2, columns=slice(1, 8)),
    "line along the border": rectangle(rows=0),
    "ring": ring(),
    "touches the border": rectangle(rows=slice(0, 5), columns=slice(0, 4)),
    "whole image": rectangle(),
    "two parts": rectangle(rows=slice(0, 3)) | rectangle(rows=6, columns=slice(5, 9)),
}
shapes = pytest.mark.parametrize("mask", SHAPES.values(), ids=SHAPES.keys())


def slow_distance(mask):
    """Each pixel's distance to every pixel outside, those around the image included."""
    padded = np.pad(mask, 1)
    outside = np.argwhere(~padded)
    distance = np.zeros(padded.shape)
    for pixel in np.argwhere(padded):
        distance[tuple(pixel)] = np.sqrt(((outside - pixel) ** 2).sum(axis=1)).min()
    return distance[1:-1, 1:-1]


def drawn(mask, draws=DRAWS, **options):
    """int [H, W]: how often each pixel was drawn."""
    rng = np.random.default_rng(0)
    counts = np.zeros(mask.shape, int)
    for _ in range(draws):
        x, y = prompts.interior_point(mask, rng, **options)
        counts[int(y), int(x)] += 1
    return counts


@shapes
def test_distance_counts_what_lies_beyond_the_image_as_outside(mask):
    np.testing.assert_allclose(prompts.interior_distance(mask), slow_distance(mask))


@shapes
def test_a_point_is_drawn_in_proportion_to_its_depth(mask):
    counts, distance = drawn(mask), slow_distance(mask)
    assert counts[~mask].sum() == 0
    if mask.sum() > 1:
        expected = DRAWS * distance[mask] / distance.sum()
        assert stats.chisquare(counts[mask], expected).pvalue > TOO_UNLIKELY
        uniform = stats.chisquare(counts[mask]).pvalue
        # The test can tell the two laws apart, where they differ.
        assert (uniform < TOO_UNLIKELY) == bool(np.ptp(distance[mask]) > 0)


@shapes
def test_a_thinned_mask_still_gives_points_inside(mask):
    counts = drawn(mask, 500, max_side=3)
    assert counts[~mask].sum() == 0
    assert counts.sum() == 500


def test_thinning_keeps_every_pixel_in_reach_and_prefers_the_depth():
    mask = rectangle(24, 24, slice(2, 22), slice(2, 22))
    counts, exact = drawn(mask, max_side=10), slow_distance(mask)
    assert (counts[mask] > 0).mean() > 0.95
    depth = (counts * exact).sum() / DRAWS
    assert depth == pytest.approx((exact**2).sum() / exact.sum(), rel=0.1)


def test_an_empty_mask_is_an_error():
    empty, rng = np.zeros((4, 5), bool), np.random.default_rng(0)
    for draw in (
        lambda: prompts.interior_point(empty, rng),
        lambda: prompts.mask_box(empty),
        lambda: prompts.draw_prompt(empty, prompts.BOX, 8, rng),
        lambda: prompts.draw_prompt(empty, prompts.MASK, 8, rng),
        lambda: prompts.evaluation_points(empty, "a", 1),
    ):
        with pytest.raises(ValueError, match="mask is empty"):
            draw()


@shapes
def test_box_holds_the_outermost_pixels(mask):
    y, x = np.nonzero(mask)
    box = prompts.mask_box(mask)
    assert box.tolist() == [x.min(), y.min(), x.max(), y.max()]


def many_boxes(box, size, draws=DRAWS):
    rng = np.random.default_rng(1)
    return np.stack([prompts.noisy_box(box, size, rng) for _ in range(draws)])


def test_box_noise_is_uniform_within_a_tenth_of_the_side():
    moved = many_boxes([100, 200, 180, 240], (640, 480)) - [100, 200, 180, 240]
    for shift, reach in zip(moved.T, (8, 4, 8, 4), strict=True):
        assert np.abs(shift).max() <= reach + 1e-4  # float32
        law = stats.uniform(-reach, 2 * reach)
        assert stats.kstest(shift, law.cdf).pvalue > TOO_UNLIKELY


def test_box_noise_ends_at_20_pixels_and_at_the_image():
    moved = many_boxes([300, 5, 900, 719], (1280, 720))
    reach = np.abs(moved - [300, 5, 900, 719]).max(axis=0)
    assert reach[[0, 2]].max() <= 20
    assert reach[[0, 2]].min() > 19.5
    assert moved.min() == 0
    assert moved[:, 3].max() == 719


def test_a_box_of_one_pixel_stays():
    assert (many_boxes([4, 5, 4, 5], (9, 9), 20) == [4, 5, 4, 5]).all()


def test_kinds_come_in_the_shares_of_the_mix():
    rng = np.random.default_rng(0)
    kinds = np.bincount([prompts.choose_kind(rng) for _ in range(DRAWS)], minlength=3)
    expected = DRAWS * np.array([0.49, 0.49, 0.02])
    assert stats.chisquare(kinds, expected).pvalue > TOO_UNLIKELY
    assert {prompts.choose_kind(rng, (0, 3, 0)) for _ in range(20)} == {prompts.BOX}
    for mix in ((0, 0, 0), (1, 1), (1, -1, 1)):
        with pytest.raises(ValueError, match="not three shares"):
            prompts.choose_kind(rng, mix)


def test_rescaling_keeps_the_place_in_the_image():
    coords = np.array([[0, 0], [639, 479], [319.5, 239.5]])
    got = prompts.rescale(coords, (640, 480), 1024)
    want = (coords + 0.5) / (640, 480)
    np.testing.assert_allclose((got + 0.5) / 1024, want, rtol=1e-6)
    np.testing.assert_array_equal(prompts.rescale(coords, (32, 32), 32), coords)


def test_prompts_as_the_model_takes_them():
    mask, rng = rectangle(8, 16, 3, 4), np.random.default_rng(0)
    coords, labels = prompts.draw_prompt(mask, prompts.POINT, 32, rng)
    assert coords.tolist() == [[8.5, 13.5], [0, 0]]  # (4.5, 3.5) of 16x8, in 32x32
    assert labels.tolist() == [1, -2]
    coords, labels = prompts.draw_prompt(mask, prompts.BOX, 32, rng)
    assert coords.tolist() == [[8.5, 13.5], [8.5, 13.5]]
    assert labels.tolist() == [2, 3]
    coords, labels = prompts.draw_prompt(mask, prompts.MASK, 32, rng)
    assert not coords.any()
    assert labels.tolist() == [-1, -2]


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["host", "device"])
def test_extents_and_jitter_are_the_same_on_host_and_device(array):
    masks = np.stack([rectangle(rows=slice(1, 4), columns=slice(2, 8)), rectangle()])
    extents = prompts.mask_extents(array(masks))
    assert extents.tolist() == [[2, 1, 7, 3], [0, 0, 8, 6]]
    shifts = np.array([[1, -1, 0.5, 1], [-1, 1, 1, 1]], np.float32)
    boxes = array(extents).astype(np.float32)
    moved = prompts.jitter_boxes(boxes, array(shifts), (9, 7))
    assert moved.dtype == np.float32
    wanted = [[2.5, 0.8, 7.25, 3.2], [0, 0.6, 8, 6]]
    np.testing.assert_allclose(moved, wanted, rtol=1e-6)
    empty = prompts.mask_extents(array(masks & False))
    assert empty.tolist() == [[0, 0, 8, 6]] * 2


def test_evaluation_never_clicks_a_pixel_twice():
    mask = rectangle(rows=slice(1, 6), columns=slice(2, 7))  # 25 pixels
    points = prompts.evaluation_points(mask, "0001_4164158586", 7, 25)
    assert {tuple(p) for p in points.tolist()} == {
        (x, y) for x in range(2, 7) for y in range(1, 6)
    }
    # Asking for fewer runs does not move the ones there are.
    fewer = prompts.evaluation_points(mask, "0001_4164158586", 7, 10)
    np.testing.assert_array_equal(fewer, points[:10])
    other = prompts.evaluation_points(mask, "0001_4164158586", 8, 25)
    assert (other != points).any()


@pytest.mark.parametrize("run", [0, 24])
def test_evaluation_clicks_are_uniform(run):
    mask = ring()
    counts = np.zeros(mask.shape, int)
    for subject in range(2000):
        x, y = prompts.evaluation_points(mask, "a", subject, run + 1)[run]
        counts[int(y), int(x)] += 1
    assert counts[~mask].sum() == 0
    assert stats.chisquare(counts[mask]).pvalue > TOO_UNLIKELY


def test_few_pixels_are_clicked_again():
    mask = rectangle(rows=3, columns=slice(2, 5))
    points = prompts.evaluation_points(mask, "a", 1, 25)
    assert points.shape == (25, 2)
    assert {tuple(p) for p in points.tolist()} == {(2, 3), (3, 3), (4, 3)}


def test_seeds_are_the_same_in_every_process():
    code = "from c2g_jax.data.prompts import stable_seed; print(stable_seed('a', 1, 2))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{prompts.stable_seed('a', 1, 2)}\n".encode()}
    assert prompts.stable_seed("a", 1, 2) != prompts.stable_seed("a", 12)
