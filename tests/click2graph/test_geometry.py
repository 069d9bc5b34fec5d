"""Where masks lie, and how two masks lie to each other, against figures by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.click2graph.geometry import MOMENTS, PAIR, mask_moments, pair_geometry


def rectangle(x: int, y: int, width: int, height: int, size=(40, 80)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def numbers(subject, other) -> np.ndarray:
    """The 16 numbers of one pair of moments, without their waves."""
    return np.asarray(pair_geometry(np.float32(subject), np.float32(other)))[:16]


def test_moments_by_hand():
    mask = np.zeros((4, 10), bool)
    mask[1, [2, 3, 8]] = True  # x of their centres: 2.5, 3.5, 8.5 of 10; y: 1.5 of 4
    x = np.array([0.25, 0.35, 0.85])
    expected = [x.mean(), 0.375, x.std(), 0.0, 3 / 40]
    found = mask_moments(np.stack([mask, np.zeros_like(mask)]))
    assert found.dtype == np.float32
    assert found.shape == (2, MOMENTS)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    np.testing.assert_array_equal(found[1], 0)


def test_moments_are_the_same_on_the_device_and_at_another_size():
    masks = np.random.default_rng(0).random((5, 24, 32)) > 0.7
    found = mask_moments(masks)
    compiled = jax.jit(mask_moments)(jnp.asarray(masks))
    np.testing.assert_allclose(compiled, found, atol=1e-6)
    larger = mask_moments(masks.repeat(8, axis=1).repeat(8, axis=2))
    # A pixel is not a point: its own spread is 1 / sqrt(12) of it.
    np.testing.assert_allclose(larger, found, atol=5e-4)


def test_the_geometry_of_two_rectangles_by_hand():
    # In image sides: a square of 0.2 at the left, a rectangle of 0.1 x 0.4 beside it.
    subject = [0.3, 0.5, 0.2 / math.sqrt(12), 0.2 / math.sqrt(12), 0.04]
    other = [0.5, 0.6, 0.1 / math.sqrt(12), 0.4 / math.sqrt(12), 0.04]
    small = 0.001
    unit = 2 * (0.2 + small)
    lengths = [0.2, 0.1, 0.2, 0.2, 0.1, 0.4]  # offset, and both boxes
    # x and y from the subject's left and top, then its right and bottom, to the
    # other's left and top, its right and bottom. Side by side: a gap of 0.05.
    lengths += [0.25, 0.0, 0.35, 0.4, 0.05, -0.2, 0.15, 0.2]
    expected = [length / unit for length in lengths]
    expected += [0.0, math.log(unit) / 2]
    np.testing.assert_allclose(numbers(subject, other), expected, atol=1e-5)


def test_waves_follow_the_numbers_and_what_is_far_is_just_far():
    pairs = np.random.default_rng(1).random((2, 7, MOMENTS)).astype(np.float32)
    found = np.asarray(pair_geometry(*pairs))
    assert found.shape == (7, PAIR)
    assert np.abs(found).max() <= 2
    plain = found[:, :16]
    for place, multiple in enumerate((0.5, 1, 2, 4)):
        waves = found[:, 16 + 32 * place :][:, :32]
        angle = math.pi * multiple * plain
        expected = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
        np.testing.assert_allclose(waves, expected, atol=1e-5)
    near = [0.1, 0.5, 0.01, 0.01, 0.001]
    assert numbers(near, [0.9, 0.5, 0.01, 0.01, 0.001])[0] == 2


def test_it_tells_contact_from_distance_and_needs_no_mask_to_be_there():
    masks = [
        rectangle(10, 10, 10, 20),
        rectangle(20, 10, 6, 6),
        rectangle(50, 10, 6, 6),
    ]
    body, held, away = mask_moments(np.stack(masks))
    left = 6 + 4  # x from the body's right edge to the other's left edge
    assert abs(numbers(body, held)[left]) < 0.01
    assert numbers(body, away)[left] > 0.9
    nothing = mask_moments(np.zeros((1, 8, 8), bool))[0]
    for pair in ((body, nothing), (nothing, body), (nothing, nothing)):
        assert np.isfinite(pair_geometry(*pair)).all()


@pytest.mark.parametrize("shift", [(0, 0), (12, 7)])
def test_it_is_the_same_wherever_the_pair_is(shift):
    dx, dy = shift
    masks = [rectangle(8 + dx, 5 + dy, 9, 14), rectangle(20 + dx, 12 + dy, 5, 8)]
    here = [rectangle(8, 5, 9, 14), rectangle(20, 12, 5, 8)]
    moved = pair_geometry(*mask_moments(np.stack(masks)))
    np.testing.assert_allclose(
        moved, pair_geometry(*mask_moments(np.stack(here))), atol=1e-4
    )
