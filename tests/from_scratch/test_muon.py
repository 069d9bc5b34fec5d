"""Muon against optax's, matrix by matrix, and shared by devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers, scale_by_muon

from c2g_jax.from_scratch.muon import make_orthogonal, muon, newton_schulz
from c2g_jax.training import sharding

SHAPES = {"a": (8, 12), "b": (12, 8), "c": (8, 12), "d": (5, 5), "e": (7, 1)}


def gradients(seed: int) -> dict[str, jax.Array]:
    rng = np.random.default_rng(seed)
    return {k: jnp.asarray(rng.normal(size=s), jnp.float32) for k, s in SHAPES.items()}


def test_singular_values_come_near_one_and_vectors_stay():
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    v, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    x = u @ np.diag([5.0, 1.0, 0.5, 0.2]) @ v[:4]
    made = np.asarray(newton_schulz(jnp.asarray(x[None], jnp.float32))[0])
    inside = u.T @ made @ v.T
    values = np.diag(inside)
    assert ((values > 0.65) & (values < 1.25)).all(), values
    np.testing.assert_allclose(inside[:, :4], np.diag(values), atol=1e-5)
    np.testing.assert_allclose(inside[:, 4:], 0.0, atol=1e-5)
    assert not np.asarray(newton_schulz(jnp.zeros((1, 2, 3)))).any()


def test_steps_become_those_of_optax():
    ours = muon(0.1, 0.01, lambda _: dict.fromkeys(SHAPES, True))
    wide = optax.stateless(
        lambda updates, _: {
            k: x * np.sqrt(max(1.0, x.shape[1] / x.shape[0]))
            for k, x in updates.items()
        }
    )
    numbers = {k: MuonDimensionNumbers(0, 1) for k in SHAPES}
    theirs = optax.chain(
        scale_by_muon(weight_dimension_numbers=numbers),
        wide,
        optax.add_decayed_weights(0.01),
        optax.scale(-0.1),
    )
    params = gradients(9)
    states = [ours.init(params), theirs.init(params)]
    updates = [jax.jit(ours.update), jax.jit(theirs.update)]
    for step in range(200):
        (got, states[0]), (want, states[1]) = (
            update(gradients(step), state, params)
            for update, state in zip(updates, states, strict=True)
        )
        # optax corrects the bias of momentum and gradient each, which makes other
        # updates at first; the difference fades as 0.95 ** step.
        worst = max(float(jnp.abs(got[k] - want[k]).max()) for k in SHAPES)
        if step in (0, 199):
            assert worst < 1e-5, step
        elif step == 3:
            assert worst > 0.01


def test_momentum_is_the_only_difference_from_optax():
    """With the same momentum, optax gives the same updates matrix by matrix."""
    numbers = {k: MuonDimensionNumbers(0, 1) for k in SHAPES}
    theirs = scale_by_muon(beta=0.0, nesterov=False, weight_dimension_numbers=numbers)
    want, _ = theirs.update(gradients(0), theirs.init(gradients(0)))
    got = make_orthogonal(gradients(0))
    for name, (rows, columns) in SHAPES.items():
        scale = np.sqrt(max(1.0, columns / rows))
        np.testing.assert_allclose(got[name], scale * want[name], atol=1e-6)


@pytest.mark.parametrize("devices", [1, 2, 8])
def test_devices_share_the_work_and_agree(devices):
    mesh = sharding.data_mesh(jax.devices()[:devices])
    updates = sharding.put_replicated(mesh, gradients(0))
    shared = jax.jit(lambda x: make_orthogonal(x, sharding.sharded(mesh)))(updates)
    alone = make_orthogonal(gradients(0))
    for name, value in alone.items():
        assert shared[name].sharding.is_fully_replicated
        np.testing.assert_allclose(shared[name], value, atol=1e-5)
