"""Prompts drawn on the device: in the right place, and uniform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.training.segmenter import clicks
from c2g_jax.types import ABSENT, BOX_FIRST, BOX_SECOND, INSIDE, OUTSIDE

SIDE, DRAWS = 12, 200


@pytest.fixture(scope="module")
def masks():
    """A rectangle, a single pixel in the last corner, two parts, and nothing."""
    masks = np.zeros((4, SIDE, SIDE), bool)
    masks[0, 2:6, 3:11] = True
    masks[1, -1, -1] = True
    masks[2, 0, :3] = masks[2, 7, 5] = True
    return masks


def draw(function, *args, **options):
    """Return the function's results for many keys, stacked in front."""
    keys = jax.random.split(jax.random.key(0), DRAWS)
    args = [jnp.asarray(x) for x in args]
    return jax.jit(jax.vmap(lambda key: function(key, *args, **options)))(keys)


def test_random_pixels_cover_the_region_and_nothing_else(masks):
    pixels, found = draw(clicks.random_pixel, masks)
    assert found[0].tolist() == [True, True, True, False]
    for i in range(3):
        drawn = {(int(x), int(y)) for x, y in pixels[:, i]}
        ys, xs = np.nonzero(masks[i])
        assert drawn == set(zip(xs.tolist(), ys.tolist(), strict=True))
    # 32 pixels, 200 draws: a pixel comes 6 times on average.
    _, counts = np.unique(np.asarray(pixels[:, 0]), axis=0, return_counts=True)
    assert counts.max() < 20


def test_points_are_inside(masks):
    points, labels = draw(clicks.random_point, masks[:3])
    assert np.all(labels == INSIDE)
    x, y = np.moveaxis(np.asarray(points, int), -1, 0)
    assert masks[np.arange(3), y, x].all()


def test_boxes_stay_near_and_on_the_image(masks):
    corners, labels = draw(clicks.random_box, masks[:2])
    assert np.all(labels == jnp.array([BOX_FIRST, BOX_SECOND]))
    # Rectangle: x from 3 to 10, y from 2 to 5; a tenth of 7 and of 3.
    off = np.asarray(corners[:, 0]) - np.array([[3, 2], [10, 5]])
    assert np.abs(off[..., 0]).max() <= 0.7
    assert np.abs(off[..., 1]).max() <= 0.3001
    assert np.abs(off).max() > 0.5
    assert off.std() > 0.1
    assert np.all(corners[:, 1] == SIDE - 1)  # one pixel has no size to be off by


def test_noise_of_boxes_is_at_most_20_pixels():
    mask = np.ones((1, 300, 300), bool)
    corners, _ = draw(clicks.random_box, mask)
    assert corners[:, :, 0].max() <= 20
    assert corners[:, :, 1].min() >= 279
    assert corners.min() >= 0
    assert corners.max() <= 299
    assert corners[:, :, 0].max() > 15


def test_first_prompts_are_points_or_boxes_with_room_to_spare(masks):
    prompts = draw(clicks.first_prompts, masks[:3], 0.5, num_slots=5)
    labels = np.asarray(prompts.point_labels)
    boxed = labels[..., 0] == BOX_FIRST
    assert 0.35 < boxed.mean() < 0.65
    assert np.all(labels[boxed][:, 1] == BOX_SECOND)
    assert np.all(labels[~boxed][:, 0] == INSIDE)
    assert np.all(labels[~boxed][:, 1] == ABSENT)
    assert np.all(labels[..., 2:] == ABSENT)
    counts = jax.vmap(lambda p: p.num_points)(prompts)
    assert np.array_equal(counts, np.where(boxed, 2, 1))


@pytest.mark.parametrize(("share", "kind"), [(0.0, INSIDE), (1.0, BOX_FIRST)])
def test_all_prompts_may_be_of_one_kind(masks, share, kind):
    prompts = draw(clicks.first_prompts, masks[:3], share)
    assert np.all(prompts.point_labels[..., 0] == kind)


def test_corrections_click_on_what_is_wrong(masks):
    answers = masks.copy()
    answers[0, 2:4, 3:5] = False  # missed
    answers[0, 8, 0] = True  # too much
    answers[1] = False
    answers[2, 7, 6] = True
    points, labels = draw(clicks.correction, masks, answers)
    x, y = np.moveaxis(np.asarray(points, int), -1, 0)
    rows = np.broadcast_to(np.arange(4), x.shape)
    wrong = (masks != answers)[rows, y, x]
    assert wrong[:, :3].all()
    assert np.array_equal(labels == INSIDE, masks[rows, y, x])
    assert set(np.unique(labels[:, 0])) == {INSIDE, OUTSIDE}
    assert np.all(labels[:, 1] == INSIDE)
    assert np.all(labels[:, 2] == OUTSIDE)
    # What is not there and was not seen: OUTSIDE, anywhere.
    assert np.all(labels[:, 3] == OUTSIDE)
    assert len(np.unique(np.asarray(points[:, 3]), axis=0)) > 50


def test_a_correction_of_a_perfect_mask_is_inside(masks):
    points, labels = draw(clicks.correction, masks[:3], masks[:3])
    x, y = np.moveaxis(np.asarray(points, int), -1, 0)
    assert masks[np.arange(3), y, x].all()
    assert np.all(labels == INSIDE)


def test_a_point_is_added_in_its_slot(masks):
    prompts = clicks.first_prompts(jax.random.key(0), masks[:2], 1.0, 4)
    more = clicks.add_point(prompts, 2, jnp.array([[1.0, 2.0]] * 2), jnp.array([1, 0]))
    assert more.point_labels.tolist() == [[2, 3, 1, ABSENT], [2, 3, 0, ABSENT]]
    assert more.point_coords[1, 2].tolist() == [1.0, 2.0]
    assert np.array_equal(more.point_coords[:, :2], prompts.point_coords[:, :2])
