"""Groups, schedules, accumulation: what moves, and by how much."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from c2g_jax.training.loop import LoopConfig
from c2g_jax.training.optim import (
    Group,
    OptimConfig,
    average,
    group_of,
    make_optimizer,
    schedules,
    split_names,
)
from c2g_jax.types import InputError

PARAMS = {
    "didm.layers.0.kernel": jnp.ones((2, 2)),
    "didm.layers.0.bias": jnp.ones(2),
    "sch.kernel": jnp.ones((2, 2)),
}
GROUPS = {
    "didm": Group(r"didm\..*", 5e-5, "cosine", 1e-5),
    "sch": Group(r"sch\..*", 5e-4),
}


def config(**options) -> OptimConfig:
    return OptimConfig(**({"steps": 100, "groups": GROUPS, "clip_norm": 0.0} | options))


def step(optimizer, state, grads, params):
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state


def test_the_filter_splits_by_whole_names():
    names = ["sam2.didm.x", "didm.x", "sch.y"]
    assert split_names(names, (r"didm\..*",)) == (["didm.x"], ["sam2.didm.x", "sch.y"])
    with pytest.raises(InputError, match=r"trainable 'dimd.*' matches no parameter"):
        split_names(names, (r"dimd\..*",))
    with pytest.raises(InputError, match="no parameter trains"):
        split_names(names, ())


def test_every_parameter_is_in_one_group():
    assert set(group_of(PARAMS, GROUPS).values()) == {"didm", "sch"}
    with pytest.raises(InputError, match=r"sch.kernel is in no group"):
        group_of(PARAMS, {"didm": GROUPS["didm"]})
    with pytest.raises(InputError, match="is in groups didm, all of the optimizer"):
        group_of(PARAMS, {"didm": GROUPS["didm"], "all": Group(".*", 1.0)})


def test_learning_rates_follow_their_schedules():
    rates = schedules(config())
    assert float(rates["didm"](0)) == pytest.approx(5e-5)
    assert float(rates["didm"](50)) == pytest.approx(3e-5)  # half way down a cosine
    assert float(rates["didm"](100)) == pytest.approx(1e-5)
    assert float(rates["sch"](0)) == float(rates["sch"](100)) == pytest.approx(5e-4)
    # Counted in batches, 4 of which are an update.
    late = schedules(config(warmup=40, accumulate=4))["didm"]
    assert 0 < float(late(0)) < float(late(9)) < float(late(10))
    assert float(late(10)) == pytest.approx(5e-5)
    assert float(late(25)) == pytest.approx(1e-5)


def test_groups_move_at_their_own_rates_and_biases_do_not_decay():
    optimizer = make_optimizer(config(weight_decay=0.1), PARAMS)
    state = optimizer.init(PARAMS)
    grads = jax.tree.map(jnp.ones_like, PARAMS)
    moved, _ = step(optimizer, state, grads, PARAMS)
    # The first step of Adam is the learning rate, whatever the gradient.
    assert moved["didm.layers.0.bias"] == pytest.approx(1 - 5e-5, abs=1e-7)
    assert moved["didm.layers.0.kernel"] == pytest.approx(1 - 5e-5 * 1.1, abs=1e-7)
    assert moved["sch.kernel"] == pytest.approx(1 - 5e-4 * 1.1, abs=1e-7)


def test_muon_moves_matrices_by_orthogonal_steps_and_nothing_else():
    params = PARAMS | {"sch.kernel": jnp.ones((2, 2, 2))}  # no matrix
    options = {"muon": r".*kernel", "muon_rate": 4.0, "weight_decay": 0.1}
    optimizer = make_optimizer(config(**options), params)
    plain = make_optimizer(config(weight_decay=0.1), params)
    grads = jax.tree.map(jnp.ones_like, params)
    grads["didm.layers.0.kernel"] = jnp.array([[3.0, 0.0], [0.0, 0.5]])
    moved, _ = step(optimizer, optimizer.init(params), grads, params)
    wanted, _ = step(plain, plain.init(params), grads, params)
    # Less the decay, which is AdamW's: the rate, whatever the gradient's own lengths;
    # five iterations bring singular values of 1 and 1/6 to between 0.7 and 1.2.
    step_taken = 1 - 5e-5 * 0.1 - moved["didm.layers.0.kernel"]
    lengths = np.linalg.svd(np.asarray(step_taken) / (4 * 5e-5), compute_uv=False)
    assert ((lengths > 0.65) & (lengths < 1.25)).all(), lengths
    np.testing.assert_array_equal(
        moved["didm.layers.0.bias"], wanted["didm.layers.0.bias"]
    )
    np.testing.assert_array_equal(moved["sch.kernel"], wanted["sch.kernel"])


def test_gradients_are_clipped_by_their_common_norm():
    params = {"a.kernel": jnp.zeros(1), "b.kernel": jnp.zeros(1)}
    groups = {"a": Group("a.*", 1.0), "b": Group("b.*", 1.0)}
    options = {"groups": groups, "weight_decay": 0.0, "clip_norm": 1.0}
    optimizer = make_optimizer(config(**options), params)
    grads = {"a.kernel": jnp.array([30.0]), "b.kernel": jnp.array([40.0])}
    _, state = step(optimizer, optimizer.init(params), grads, params)
    leaves = jax.tree_util.tree_leaves_with_path(state)
    first = {jax.tree_util.keystr(p): x for p, x in leaves}
    found = sorted(float(x[0]) for p, x in first.items() if ".mu[" in p)
    assert found == pytest.approx([0.1 * 0.6, 0.1 * 0.8])


def test_accumulated_batches_make_one_update():
    one, four = (make_optimizer(config(accumulate=k), PARAMS) for k in (1, 4))
    rng = np.random.default_rng(0)
    parts = [
        {k: jnp.array(rng.normal(size=v.shape), jnp.float32) for k, v in PARAMS.items()}
        for _ in range(4)
    ]
    mean = jax.tree.map(lambda *x: sum(x) / 4, *parts)
    wanted, _ = step(one, one.init(PARAMS), mean, PARAMS)
    params, state = PARAMS, four.init(PARAMS)
    for grads in parts[:3]:
        params, state = step(four, state, grads, params)
        assert all(np.array_equal(params[k], PARAMS[k]) for k in PARAMS)
    params, state = step(four, state, parts[3], params)
    for name in PARAMS:
        np.testing.assert_allclose(params[name], wanted[name], rtol=1e-6)


def test_the_decay_of_the_average_grows():
    old, new = {"a": jnp.zeros(())}, {"a": jnp.ones(())}
    early = average(config(ema=0.99), old, new, jnp.int32(1))
    late = average(config(ema=0.99), old, new, jnp.int32(10**6))
    assert float(early["a"]) == pytest.approx(1 - 2 / 11)
    assert float(late["a"]) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Group(".*", 1e-3, "linear"), "schedule 'linear': use one of constant"),
        (lambda: Group(".*", 0.0), "lr 0, lr_end 0: give an lr above 0"),
        (lambda: config(accumulate=0), "accumulate 0: give at least 1"),
        (lambda: config(warmup=-1), "warmup -1: give at least 0"),
        (lambda: config(muon_rate=0.0), "muon_rate 0: give more than 0"),
        (
            lambda: LoopConfig(steps=5, eval_batches=0),
            "eval_batches 0: give at least 1",
        ),
        (lambda: LoopConfig(steps=5, eval_every=-1), "eval_every -1: give at least 0"),
        (lambda: config(ema=1.0), "ema 1: give 0, or a decay below 1"),
    ],
)
def test_invalid_settings_are_refused(make, line):
    with pytest.raises(InputError, match=line):
        make()
