"""What trains, by name, and how: one filter, groups with their own learning rates.

Parameters are dicts of arrays by their path in the module (`weights.parameters`), so
that a regex says which ones are meant, everywhere in the same way.
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
    """Parameters that share a learning rate: those whose whole name fits `pattern`."""

    pattern: str
    lr: float
    schedule: str = CONSTANT
    lr_end: float = 0.0  # where COSINE ends

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
    """AdamW, or Muon where asked for. `steps` and `warmup` count batches."""

    steps: int
    groups: Mapping[str, Group] = field(default_factory=dict)
    warmup: int = 0  # from 0 to the learning rate in a line
    b1: float = 0.9
    b2: float = 0.999
    weight_decay: float = 0.01
    no_decay: str = r".*\b(bias|scale)"  # names that do not decay
    # Names whose matrices learn by Muon: momentum made orthogonal, each direction as
    # long as any other. From nothing it needs less than half of AdamW's steps.
    muon: str = ""
    muon_rate: float = 10.0  # its learning rate, in times the group's
    clip_norm: float = 0.0  # of the gradients of all groups together; 0: any length
    accumulate: int = 1  # batches whose mean gradient makes an update
    ema: float = 0.0  # decay of a moving average of the parameters; 0: none

    def __post_init__(self):
        for name, least in {"steps": 1, "accumulate": 1, "warmup": 0}.items():
            if (value := getattr(self, name)) < least:
                raise InputError(f"{name} {value}: give at least {least}")
        if self.muon_rate <= 0:
            raise InputError(f"muon_rate {self.muon_rate:g}: give more than 0")
        if not 0 <= self.ema < 1:
            raise InputError(f"ema {self.ema:g}: give 0, or a decay below 1")


def is_trainable(name: str, trainable: Sequence[str]) -> bool:
    """Whether a parameter trains. The one filter: split, optimiser and checkpoint."""
    return any(re.fullmatch(pattern, name) for pattern in trainable)


def split_names(
    names: Iterable[str], trainable: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The names that train and those that are frozen, each in order."""
    names = sorted(names)
    for pattern in trainable:
        if not any(re.fullmatch(pattern, name) for name in names):
            raise InputError(
                f"trainable {pattern!r} fits no parameter of the model: mend the "
                "pattern in config.trainable, or leave it out"
            )
    trained = [name for name in names if is_trainable(name, trainable)]
    if not trained:
        raise InputError("no parameter trains: name some in config.trainable")
    return trained, [name for name in names if not is_trainable(name, trainable)]


def group_of(names: Iterable[str], groups: Mapping[str, Group]) -> dict[str, str]:
    """The group of each trainable parameter; InputError unless it is exactly one."""
    labels = {}
    for name in names:
        found = [k for k, g in groups.items() if re.fullmatch(g.pattern, name)]
        if len(found) != 1:
            what = f"groups {', '.join(found)}" if found else "no group"
            raise InputError(
                f"{name} is in {what} of the optimiser: let one pattern of "
                "config.groups fit it"
            )
        labels[name] = found[0]
    return labels


def schedules(config: OptimConfig) -> dict[str, optax.Schedule]:
    """Learning rate of each group after so many updates."""
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
    # One update late, so that the first one moves something.
    rise = optax.linear_schedule(group.lr / (warmup + 1), group.lr, warmup)
    return optax.join_schedules([rise, rate], [warmup])


def make_optimizer(
    config: OptimConfig, params: Parameters, cut: NamedSharding | None = None
) -> optax.GradientTransformation:
    """The optimiser of these parameters; Muon's work is shared as `cut` has it."""
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
            # Multiplied by the learning rate, it is to be as much as AdamW's.
            config.weight_decay / config.muon_rate,
            mask(_orthogonal(group)),
            cut,
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
    """The moving average after `updates` updates; it is quicker at the beginning."""
    decay = jnp.minimum(config.ema, (1.0 + updates) / (10.0 + updates))
    return optax.incremental_update(params, ema, 1.0 - decay)
