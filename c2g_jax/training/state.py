"""The train state, and the two compiled programs of a run: train and eval step."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from c2g_jax.checkpoints.safetensors import check_names, parameters, with_parameters
from c2g_jax.training import optim, sharding
from c2g_jax.training.optim import OptimConfig, Parameters

Metrics = dict[str, jax.Array]
LOSS, GRADIENT, RATE = "loss", "gradient_norm", "lr/"  # logged beside the terms


class Task(Protocol):
    """What the loop trains: a model, a filter of parameters, and a loss."""

    model: nnx.Module
    trainable: Sequence[str]  # regexes over the names of parameters

    def loss(
        self,
        model: Any,
        batch: dict[str, jax.Array],
        key: jax.Array,
        clip_keys: jax.Array,
        train: bool = True,
    ) -> tuple[jax.Array, Metrics]:
        """Return the mean loss of some clips, and the means of the terms to log.

        `batch` holds b clips, those of one device; `clip_keys` [b] a random key for
        each, and `key` is the same on all devices.
        """
        ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """All that a step changes. Random keys depend on the seed and `step` alone."""

    step: jax.Array  # int32 [], batches seen
    params: Parameters  # those that train
    opt_state: optax.OptState
    ema: Parameters | None  # moving average of `params`


@dataclass(frozen=True)
class SplitParams:
    """A task's abstract model, and its trained and frozen parameters by name."""

    skeleton: nnx.Module  # shapes without values
    trained: Parameters
    frozen: Parameters

    def whole(
        self, trained: Parameters, frozen: Parameters | None = None
    ) -> nnx.Module:
        """Return the model with these parameters; also inside jit."""
        frozen = self.frozen if frozen is None else frozen
        return with_parameters(self.skeleton, {**trained, **frozen})


def split_params(task: Task) -> SplitParams:
    """Split the parameters of a task's model by its filter."""
    values = parameters(task.model)
    trained, frozen = optim.split_names(values, task.trainable)
    return SplitParams(
        jax.eval_shape(lambda: task.model),
        {name: values[name] for name in trained},
        {name: values[name] for name in frozen},
    )


def describe(parts: SplitParams) -> None:
    """Log how many parameters train and how many are frozen."""
    for what, values in (("train", parts.trained), ("are frozen", parts.frozen)):
        count = sum(x.size for x in values.values())
        logging.info("%s parameters in %d arrays %s", f"{count:,}", len(values), what)


def first_state(config: OptimConfig, parts: SplitParams, mesh: Mesh) -> TrainState:
    """Return the state before the first step, on all devices."""
    return sharding.put_replicated(mesh, initial_state(config, parts.trained))


def initial_state(config: OptimConfig, trained: Parameters) -> TrainState:
    """Return the state before the first step."""
    optimizer = optim.make_optimizer(config, trained)
    # Copies, because the state is donated to the step.
    params = jax.tree.map(jnp.array, trained)
    return TrainState(
        jnp.zeros((), jnp.int32),
        params,
        jax.jit(optimizer.init)(params),
        jax.tree.map(jnp.array, trained) if config.ema else None,
    )


def make_train_step(
    task: Task, config: OptimConfig, parts: SplitParams, mesh: Mesh, seed: int
) -> Callable[..., tuple[TrainState, Metrics]]:
    """Return the jitted `step(state, frozen, batch)`, which donates the state.

    Only trained parameters have gradients and moments. Each device computes loss and
    gradients of its own clips, as a program of its own: XLA cannot divide the fused
    kernels of attention by itself. The means over devices are those of the batch,
    since all have equally many clips.
    """
    replicated, sharded = sharding.replicated(mesh), sharding.sharded(mesh)
    optimizer = optim.make_optimizer(config, parts.trained, sharded)
    rates = optim.schedules(config)

    def gradients(params: Parameters, frozen: Parameters, batch, key, clip_keys):
        def loss_of(params: Parameters):
            return task.loss(parts.whole(params, frozen), batch, key, clip_keys)

        return jax.value_and_grad(loss_of, has_aux=True)(params)

    over_devices = sharding.mean_over_devices(mesh, gradients, _DIVIDED)

    def step(state: TrainState, frozen: Parameters, batch: dict[str, jax.Array]):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        keys = _keys(key, batch)
        (loss, terms), grads = over_devices(state.params, frozen, batch, *keys)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema, seen = state.ema, state.step + 1
        if ema is not None:
            count = seen // config.accumulate
            new = optim.average(config, ema, params, count)
            due = seen % config.accumulate == 0
            ema = jax.tree.map(lambda a, b: jnp.where(due, a, b), new, ema)
        metrics = {LOSS: loss, GRADIENT: optax.global_norm(grads), **terms}
        for name, rate in rates.items():
            metrics[f"{RATE}{name}"] = rate(state.step // config.accumulate)
        return TrainState(seen, params, opt_state, ema), metrics

    return jax.jit(
        step,
        in_shardings=(replicated, replicated, sharded),
        out_shardings=replicated,
        donate_argnums=0,
    )


def make_eval_step(
    task: Task, parts: SplitParams, mesh: Mesh, seed: int
) -> Callable[..., Metrics]:
    """Return the jitted `evaluate(params, frozen, batch, number)`: loss and terms.

    There is no dropout, and the key depends on the batch's number alone, so that all
    evaluations draw the same prompts.
    """

    def loss_of(params, frozen, batch, key, clip_keys):
        model = parts.whole(params, frozen)
        return task.loss(model, batch, key, clip_keys, train=False)

    over_devices = sharding.mean_over_devices(mesh, loss_of, _DIVIDED)

    def evaluate(params, frozen, batch, number):
        key = jax.random.fold_in(jax.random.key(seed + 1), number)
        loss, terms = over_devices(params, frozen, batch, *_keys(key, batch))
        return {LOSS: loss, **terms}

    replicated, sharded = sharding.replicated(mesh), sharding.sharded(mesh)
    return jax.jit(
        evaluate,
        in_shardings=(replicated, replicated, sharded, replicated),
        out_shardings=replicated,
    )


# Of the arguments of loss and gradients, batch and clip_keys are divided over devices.
_DIVIDED = (False, False, True, False, True)
_NO_CLIP = 2**31  # more than a batch has clips: `split` makes its keys by their number


def _keys(
    key: jax.Array, batch: Mapping[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Return the key that all clips of a batch share, and those of each: [], [b]."""
    count = len(next(iter(batch.values())))
    return jax.random.fold_in(key, _NO_CLIP), jax.random.split(key, count)


def to_host(state: TrainState) -> dict[str, np.ndarray]:
    """Return the arrays of a state by name, on the host."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    values = jax.device_get([leaf for _, leaf in leaves])
    return {_name(path): x for (path, _), x in zip(leaves, values, strict=True)}


def from_host(
    like: TrainState, values: Mapping[str, np.ndarray], mesh: Mesh, source: str
) -> TrainState:
    """Return a state with the structure of `like` from arrays by name.

    Raises InputError, which names `source`, if names, shapes or dtypes differ.
    """
    paths, tree = jax.tree_util.tree_flatten_with_path(like)
    check_names({_name(path): leaf for path, leaf in paths}, values, source)
    leaves = [values[_name(path)] for path, _ in paths]
    return sharding.put_replicated(mesh, jax.tree.unflatten(tree, leaves))


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def not_finite(metrics: Mapping[str, float]) -> str:
    """List the non-finite metrics, as "NAME is VALUE"; "" if all are finite."""
    wrong = [name for name, value in metrics.items() if not np.isfinite(value)]
    return ", ".join(f"{name} is {metrics[name]}" for name in wrong)
