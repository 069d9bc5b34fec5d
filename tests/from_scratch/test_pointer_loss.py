"""What pointers say of relations, against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.from_scratch.pointer_loss import pointer_error


def directions(predicates: int, channels: int) -> np.ndarray:
    codes = jax.random.normal(jax.random.key(2), (2, predicates, channels))
    return np.asarray(codes / jnp.linalg.norm(codes, axis=-1, keepdims=True))


def plain(pointers: np.ndarray, holds: np.ndarray, present: np.ndarray):
    """The definition, pair by pair: the sum and the number of pairs."""
    does, done = directions(holds.shape[-1], pointers.shape[-1])
    units = pointers / np.linalg.norm(pointers, axis=1, keepdims=True)
    total, pairs = 0.0, 0
    for i, j in np.argwhere(holds.any(-1)):
        if not (present[i] and present[j]):
            continue
        logits = 8 * (does @ units[i] + done @ units[j])
        says = logits - np.log(np.exp(logits).sum())
        total -= says[holds[i, j]].mean()
        pairs += 1
    return total, pairs


def test_every_related_pair_in_view_counts_once():
    rng = np.random.default_rng(0)
    pointers = rng.normal(size=(4, 16)).astype(np.float32)
    holds = rng.random((4, 4, 5)) < 0.15
    present = np.array([True, True, False, True])
    total, pairs = plain(pointers, holds, present)
    assert 0 < pairs < holds.any(-1).sum()
    got, count = pointer_error(pointers, jnp.asarray(holds), present)
    assert float(got) == pytest.approx(total, rel=1e-4)
    assert float(count) == pairs


def test_an_error_falls_as_the_pointers_turn_there():
    does, done = directions(57, 256)
    holds = jnp.zeros((2, 2, 57), bool).at[0, 1, 3].set(True)
    there = jnp.ones(2, bool)

    def error(subject: int, other: int) -> float:
        pointers = 7 * jnp.stack([does[subject], done[other]])
        return float(pointer_error(pointers, holds, there)[0])

    assert error(3, 3) < 0.01
    assert error(3, 3) < error(4, 3) < error(4, 4)


def test_nothing_related_is_no_error():
    pointers = jnp.zeros((3, 16))
    for holds in (jnp.zeros((3, 3, 5), bool), jnp.ones((3, 3, 5), bool)):
        got, count = pointer_error(pointers, holds, jnp.zeros(3, bool))
        assert float(got) == float(count) == 0
