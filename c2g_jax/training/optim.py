"""Which parameters train, and how: one filter, groups with their own learning rates.

Parameters are dicts of arrays by their path in the module
(`checkpoints.safetensors.parameters`); regexes over these names select them everywhere.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding

from c2g_jax.from_scratch.muon import muon
from c2g_jax.types import InputError

CONSTANT, COSINE = "constant", "cosine"
Parameters = dict[str, jax.Array]


@dataclass(frozen=True)
class Group:
    """Parameters with one learning rate: those whose whole name matches `pattern`."""

    pattern: str
    lr: float
    schedule: str = CONSTANT
    lr_end: float = 0.0  # the last learning rate of COSINE

    def __post_init__(self):
        if self.schedule not in (CONSTANT, COSINE):
            raise InputError(
                f"schedule {self.schedule!r}: use one of {CONSTANT}, {COSINE}"
            )
        if self.lr <= 0 or self.lr_end < 0:
            raise InputError(
                f"lr {self.lr:g}, lr_end {self.lr_end:g}: give an lr above 0, and an "
                "lr_end of 0 or more"
            )


@dataclass(frozen=True)
class OptimConfig:
    """AdamW, and Muon for some matrices. `steps` and `warmup` count batches."""

    steps: int
    groups: Mapping[str, Group] = field(default_factory=dict)
    warmup: int = 0  # linear, from 0 to the learning rate
    b1: float = 0.9
    b2: float = 0.999
    weight_decay: float = 0.01
    no_decay: str = r".*\b(bias|scale)"  # names that do not decay
    # Names whose matrices use Muon (`from_scratch.muon`). From random weights it needs
    # less than half of AdamW's steps.
    muon: str = ""
    muon_rate: float = 10.0  # its learning rate, as a multiple of the group's
    clip_norm: float = 0.0  # global norm over all groups; 0: no clipping
    accumulate: int = 1  # batches per update
    ema: float = 0.0  # decay of a moving average of the parameters; 0: none

    def __post_init__(self):
        for name, least in {"steps": 1, "accumulate": 1, "warmup": 0}.items():
            if (value := getattr(self, name)) < least:
                raise InputError(f"{name} {value}: give at least {least}")
        if self.muon_rate <= 0:
            raise InputError(f"muon_rate {self.muon_rate:g}: give more than 0")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema {self.ema:g}: give 0, or a decay below 1")


def split_names(
    names: Iterable[str], trainable: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the names that train and those that are frozen, each sorted.

    A name trains if a pattern of `trainable` matches it whole. InputError for a pattern
    that matches none.
    """
    names, trained = sorted(names), set()
    for pattern in trainable:
        found = {name for name in names if re.fullmatch(pattern, name)}
        if not found:
            raise InputError(
                f"trainable {pattern!r} matches no parameter of the model: fix the "
                "pattern in config.trainable, or leave it out"
            )
        trained |= found
    if not trained:
        raise InputError("no parameter trains: name some in config.trainable")
    return sorted(trained), [name for name in names if name not in trained]


def group_of(names: Iterable[str], groups: Mapping[str, Group]) -> dict[str, str]:
    """Return the group of each parameter; InputError unless exactly one matches."""
    labels = {}
    for name in names:
        found = [k for k, g in groups.items() if re.fullmatch(g.pattern, name)]
        if len(found) != 1:
            what = f"groups {', '.join(found)}" if found else "no group"
            raise InputError(
                f"{name} is in {what} of the optimizer: let exactly one pattern of "
                "config.groups match it"
            )
        labels[name] = found[0]
    return labels


def schedules(config: OptimConfig) -> dict[str, optax.Schedule]:
    """Return the learning rate of each group, by the number of updates so far."""
    updates = max(config.steps // config.accumulate, 1)
    warmup = min(config.warmup // config.accumulate, updates - 1)
    return {
        name: _schedule(group, updates - warmup, warmup)
        for name, group in config.groups.items()
    }


def _schedule(group: Group, updates: int, warmup: int) -> optax.Schedule:
    rate: Callable = optax.constant_schedule(group.lr)
    if group.schedule == COSINE:
        rate = optax.cosine_decay_schedule(group.lr, updates, group.lr_end / group.lr)
    if not warmup:
        return rate
    # From lr / (warmup + 1), so that the first update is not zero.
    rise = optax.linear_schedule(group.lr / (warmup + 1), group.lr, warmup)
    return optax.join_schedules([rise, rate], [warmup])


def make_optimizer(
    config: OptimConfig, params: Parameters, sharding: NamedSharding | None = None
) -> optax.GradientTransformation:
    """Return the optimizer of these parameters; `sharding` divides Muon's work."""
    labels = group_of(params, config.groups)
    used = {k: s for k, s in schedules(config).items() if k in labels.values()}
    decays = {name: not re.fullmatch(config.no_decay, name) for name in labels}
    for name, group in labels.items():
        if params[name].ndim == 2 and re.fullmatch(config.muon, name):
            labels[name] = _orthogonal(group)

    def mask(label: str) -> Callable[[Parameters], dict[str, bool]]:
        return lambda _: {k: decays[k] and labels[k] == label for k in labels}

    each = {}
    for group, rate in used.items():
        each[group] = optax.adamw(
            rate,
            b1=config.b1,
            b2=config.b2,
            weight_decay=config.weight_decay,
            mask=mask(group),
        )
        each[_orthogonal(group)] = muon(
            lambda update, rate=rate: config.muon_rate * rate(update),
            # The product with the learning rate is then AdamW's.
            config.weight_decay / config.muon_rate,
            mask(_orthogonal(group)),
            sharding,
        )
    clip = optax.identity()
    if config.clip_norm:
        clip = optax.clip_by_global_norm(config.clip_norm)
    chain = optax.chain(clip, optax.partition(each, labels))
    if config.accumulate == 1:
        return chain
    return optax.MultiSteps(chain, config.accumulate).gradient_transformation()


def _orthogonal(group: str) -> str:
    return f"{group} by muon"


def average(
    config: OptimConfig, ema: Parameters, params: Parameters, updates: jax.Array
) -> Parameters:
    """Return the moving average after `updates` updates; its decay grows with them."""
    decay = jnp.minimum(config.ema, (1.0 + updates) / (10.0 + updates))
    return optax.incremental_update(params, ema, 1.0 - decay)
