"""Losses of masks against values worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.click2graph import losses

# Two masks of two pixels each, by probability: (1/2, 3/4) and (1/4, 1/4).
LOGITS = jnp.log(jnp.array([[[1.0, 3.0]], [[1 / 3, 1 / 3]]]))
TARGET = jnp.array([[[True, True]], [[False, True]]])
HALF, QUARTER, THREE = np.log(2.0), np.log(4.0), np.log(4 / 3)


def test_bce_is_the_mean_over_the_pixels_of_each_mask():
    expected = [(HALF + THREE) / 2, (THREE + QUARTER) / 2]
    np.testing.assert_allclose(losses.mask_bce(LOGITS, TARGET), expected, rtol=1e-6)


def test_focal_weighs_by_class_and_by_what_is_missed():
    # alpha (1 - p)^2 ce on a true pixel, (1 - alpha) p^2 ce on a false one.
    expected = [
        (0.25 * 0.25 * HALF + 0.25 * 0.0625 * THREE) / 2,
        (0.75 * 0.0625 * THREE + 0.25 * 0.5625 * QUARTER) / 2,
    ]
    np.testing.assert_allclose(losses.mask_focal(LOGITS, TARGET), expected, rtol=1e-5)


def test_dice_adds_one_to_both_sides_of_the_fraction():
    # |PT| = 1.25, |P| = 1.25, |T| = 2; then 0.25, 0.5 and 1.
    expected = [1 - (2 * 1.25 + 1) / (1.25 + 2 + 1), 1 - (2 * 0.25 + 1) / (0.5 + 1 + 1)]
    np.testing.assert_allclose(losses.mask_dice(LOGITS, TARGET), expected, rtol=1e-6)


def test_dice_of_nothing_seen_where_nothing_is_is_0():
    empty = losses.mask_dice(jnp.full((4, 4), -1024.0), jnp.zeros((4, 4)))
    assert float(empty) == pytest.approx(0.0, abs=1e-6)


def test_iou_cuts_logits_at_0_and_targets_at_a_half():
    logits = jnp.array([[[1.0, 1.0, -1.0, -1.0]], [[-1.0] * 4]])
    target = jnp.array([[[0.6, 0.4, 0.6, 0.4]], [[0.0] * 4]])
    assert losses.mask_iou(logits, target).tolist() == [pytest.approx(1 / 3), 1.0]


def test_error_of_iou_moves_the_prediction_alone():
    def error(predicted, logits):
        return jnp.sum(losses.iou_error(predicted, logits, TARGET))

    predicted = jnp.array([0.75, 0.5])
    # Of the first mask one pixel lies on the edge, 0, and is out: 1/2; second: 0.
    assert float(error(predicted, LOGITS)) == pytest.approx(0.25 + 0.5)
    to_predicted, to_logits = jax.grad(error, (0, 1))(predicted, LOGITS)
    assert to_predicted.tolist() == [1.0, 1.0]
    assert not np.any(to_logits)


def test_score_is_a_logit():
    error = losses.score_error(jnp.zeros(2), jnp.array([True, False]))
    np.testing.assert_allclose(error, [HALF, HALF], rtol=1e-6)


def test_mean_counts_what_counts_whatever_the_rest_is():
    values = jnp.array([1.0, 3.0, jnp.inf, jnp.nan])
    where = jnp.array([True, True, False, False])
    assert float(losses.masked_mean(values, where)) == 2.0
    assert float(losses.masked_mean(values, jnp.zeros(4, bool))) == 0.0
    weights = jnp.array([1.0, 3.0, 0.0, 0.0])
    assert float(losses.masked_mean(values, weights)) == 2.5


@pytest.mark.parametrize("name", ["mask_bce", "mask_focal", "mask_dice"])
def test_losses_are_finite_float32_at_the_logits_of_what_is_absent(name):
    logits = jnp.full((3, 4, 4), -1024.0, jnp.bfloat16)

    def loss(logits):
        return jnp.sum(getattr(losses, name)(logits, jnp.ones((4, 4), bool)))

    value, gradient = jax.value_and_grad(loss)(logits)
    assert value.dtype == jnp.float32
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient.astype(jnp.float32)))
