"""Whether memory says where the object is, against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.from_scratch.memory_loss import memory_error


def plain(image: np.ndarray, shares: np.ndarray, code: np.ndarray) -> list[float]:
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


def direction(channels: int) -> np.ndarray:
    code = np.asarray(jax.random.normal(jax.random.key(1), (channels,)))
    return code / np.linalg.norm(code)


def test_objects_weigh_as_much_as_all_else():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(3, 4, 4, 8)).astype(np.float32)
    shares = rng.choice([0, 0, 0.25, 1.0], (3, 4, 4)).astype(np.float32)
    errors = plain(image, shares, direction(8))
    where = jnp.array([True, False, True])
    total, count = memory_error(image, shares, where)
    assert float(total) == pytest.approx(errors[0] + errors[2], rel=1e-5)
    assert float(count) == 2


def test_an_error_falls_as_the_features_point_there():
    shares = jnp.zeros((1, 4, 4)).at[0, 1, 1].set(1.0)
    sure = 12 * (2 * shares - 1)[..., None] * direction(8)
    here = jnp.ones(1, bool)
    assert float(memory_error(sure, shares, here)[0]) < 1e-4
    assert float(memory_error(-sure, shares, here)[0]) > 20
    unsure = float(memory_error(0 * sure, shares, here)[0])
    assert unsure == pytest.approx(2 * np.log(2), rel=1e-5)


def test_an_object_that_is_nowhere_adds_nothing_infinite():
    image = jnp.ones((1, 4, 4, 8))
    total, count = memory_error(image, jnp.zeros((1, 4, 4)), jnp.zeros(1, bool))
    assert float(total) == 0
    assert float(count) == 0
