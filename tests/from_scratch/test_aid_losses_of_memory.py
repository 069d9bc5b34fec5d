"""Auxiliary losses of memories and object pointers, against plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.from_scratch.aid_losses import memory_loss, pointer_loss


def plain_memory_losses(
    image: np.ndarray, shares: np.ndarray, code: np.ndarray
) -> list[float]:
    """The definition, cell by cell: image [n, h, w, c], shares [n, h, w]."""
    errors = []
    for cells, parts in zip(image, shares, strict=True):
        sums = np.zeros(2)
        for x, part in zip(cells.reshape(-1, code.size), parts.ravel(), strict=True):
            logit = x @ code
            sums += (
                part * np.log1p(np.exp(-logit)),
                (1 - part) * np.log1p(np.exp(logit)),
            )
        here, elsewhere = sums / (parts.sum(), (1 - parts).sum())
        errors.append(here + elsewhere)
    return errors


def here_direction(channels: int) -> np.ndarray:
    code = np.asarray(jax.random.normal(jax.random.key(1), (channels,)))
    return code / np.linalg.norm(code)


def test_an_object_and_the_rest_of_the_frame_weigh_the_same():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(3, 4, 4, 8)).astype(np.float32)
    shares = rng.choice([0, 0, 0.25, 1.0], (3, 4, 4)).astype(np.float32)
    errors = plain_memory_losses(image, shares, here_direction(8))
    where = jnp.array([True, False, True])
    total, count = memory_loss(image, shares, where)
    assert float(total) == pytest.approx(errors[0] + errors[2], rel=1e-5)
    assert float(count) == 2


def test_the_memory_error_falls_as_features_point_at_the_object():
    shares = jnp.zeros((1, 4, 4)).at[0, 1, 1].set(1.0)
    sure = 12 * (2 * shares - 1)[..., None] * here_direction(8)
    here = jnp.ones(1, bool)
    assert float(memory_loss(sure, shares, here)[0]) < 1e-4
    assert float(memory_loss(-sure, shares, here)[0]) > 20
    unsure = float(memory_loss(0 * sure, shares, here)[0])
    assert unsure == pytest.approx(2 * np.log(2), rel=1e-5)


def test_an_absent_object_adds_nothing_infinite():
    image = jnp.ones((1, 4, 4, 8))
    total, count = memory_loss(image, jnp.zeros((1, 4, 4)), jnp.zeros(1, bool))
    assert float(total) == 0
    assert float(count) == 0


def predicate_directions(predicates: int, channels: int) -> np.ndarray:
    codes = jax.random.normal(jax.random.key(2), (2, predicates, channels))
    return np.asarray(codes / jnp.linalg.norm(codes, axis=-1, keepdims=True))


def plain_pointer_loss(pointers: np.ndarray, holds: np.ndarray, present: np.ndarray):
    """The definition, pair by pair: the sum and the number of pairs."""
    does, done = predicate_directions(holds.shape[-1], pointers.shape[-1])
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
    total, pairs = plain_pointer_loss(pointers, holds, present)
    assert 0 < pairs < holds.any(-1).sum()
    got, count = pointer_loss(pointers, jnp.asarray(holds), present)
    assert float(got) == pytest.approx(total, rel=1e-4)
    assert float(count) == pairs


def test_the_pointer_error_falls_as_pointers_turn_to_the_predicate():
    does, done = predicate_directions(57, 256)
    holds = jnp.zeros((2, 2, 57), bool).at[0, 1, 3].set(True)
    there = jnp.ones(2, bool)

    def error(subject: int, other: int) -> float:
        pointers = 7 * jnp.stack([does[subject], done[other]])
        return float(pointer_loss(pointers, holds, there)[0])

    assert error(3, 3) < 0.01
    assert error(3, 3) < error(4, 3) < error(4, 4)


def test_pairs_without_relation_have_no_error():
    pointers = jnp.zeros((3, 16))
    for holds in (jnp.zeros((3, 3, 5), bool), jnp.ones((3, 3, 5), bool)):
        got, count = pointer_loss(pointers, holds, jnp.zeros(3, bool))
        assert float(got) == float(count) == 0
