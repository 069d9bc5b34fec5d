"""Moments of run-length-coded masks, and of the masks that a person gives."""

import numpy as np
import pytest

from c2g_jax.click2graph.geometry import mask_moments
from c2g_jax.media.rle import encode_mask
from c2g_jax.session.moments import moments_of


def spots(seed: int, size: tuple[int, int], share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < share


@pytest.mark.parametrize(
    "mask",
    [
        spots(0, (7, 5), 0.5),
        spots(1, (1, 9), 0.4),
        spots(2, (9, 1), 0.4),
        spots(3, (64, 48), 0.02),
        spots(4, (33, 70), 0.97),
        np.ones((6, 4), bool),
        np.zeros((6, 4), bool),
        np.eye(5, dtype=bool),
    ],
)
def test_they_are_those_of_the_decoded_mask(mask):
    found = moments_of(encode_mask(mask))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mask_moments(mask[None])[0], atol=2e-6)


def test_a_large_mask_is_exact():
    mask = np.zeros((2160, 3840), bool)
    mask[1000:1003, 3000:3004] = True
    found = moments_of(encode_mask(mask))
    spread = [np.sqrt((n**2 - 1) / 12) / side for n, side in ((4, 3840), (3, 2160))]
    expected = [3002 / 3840, 1001.5 / 2160, *spread, 12 / mask.size]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_no_mask_has_none():
    np.testing.assert_array_equal(moments_of(None), np.zeros(5, np.float32))


@pytest.mark.parametrize("height", [1, 2, 40])
def test_a_mask_of_a_person_counts_as_it_is(session, height):
    """Even where the logits, in cells of four pixels, have nothing of it."""
    mask = np.zeros((64, 64), bool)
    mask[10 : 10 + height, 30] = True
    session.mask(2, mask)
    obj = session._history.now.objects[1]
    found = obj.observations[2].moments
    np.testing.assert_allclose(found, mask_moments(mask[None])[0], atol=1e-6)
