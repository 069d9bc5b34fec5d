"""Set-based Hungarian matching of queries and objects (paper 3.5, after DETR)."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.click2graph.clip import Queries
from c2g_jax.click2graph.losses import mask_dice
from c2g_jax.click2graph.targets import ClipTargets
from c2g_jax.types import InputError

FRAME, CLIP = "frame", "clip"


@dataclass(frozen=True)
class MatchingCost:
    """Cost of assigning a query to an object; the paper leaves it open.

    Distance alone is cheap, stable, and known before any mask is decoded. The other
    terms sharpen it late in training.
    """

    match_point: float = 20.0  # times the squared distance of the points
    match_object: float = 0.0  # times 1 - the probability of the object's class
    match_mask: float = 0.0  # times the Dice loss of the masks
    match_per: str = FRAME  # CLIP: one object per query for all frames of a clip

    def __post_init__(self):
        if self.match_per not in (FRAME, CLIP):
            raise InputError(f"match_per {self.match_per!r}: use {FRAME} or {CLIP}")


class Matching(NamedTuple):
    """The object of each query, if it has one."""

    objects: jax.Array  # int32 [..., q], 0 where unmatched
    matched: jax.Array  # bool [..., q]


def assign(
    config: MatchingCost, found: Queries, targets: ClipTargets
) -> tuple[Int[Array, "t k q"], Bool[Array, "t k q"]]:
    """Match the q queries of each subject to its o objects, by the whole cost."""
    extra = 0.0
    if config.match_object:
        likely = jax.nn.softmax(found.class_logits.object)  # [t, k, q, classes]
        labels = targets.object_labels[None, :, None, :]
        labels = jnp.broadcast_to(labels, (*likely.shape[:3], labels.shape[-1]))
        extra += config.match_object * (
            1.0 - jnp.take_along_axis(likely, labels, axis=-1)
        )
    if config.match_mask:
        pairs = mask_dice(
            found.mask_logits[:, :, :, None], targets.object_masks[:, :, None]
        )
        extra += config.match_mask * pairs
    return assign_points(config, found.points, targets, extra)


def assign_points(
    config: MatchingCost,
    points: Float[Array, "t k q 2"],
    targets: ClipTargets,
    extra: Float[Array, "t k q o"] | float = 0.0,
) -> tuple[Int[Array, "t k q"], Bool[Array, "t k q"]]:
    """Match by the distance of points, plus an extra cost of each pair."""
    offset = points[:, :, :, None] - targets.points[:, :, None]
    cost = config.match_point * jnp.sum(offset**2, axis=-1) + extra  # [t, k, q, o]
    cost, active = jax.lax.stop_gradient(cost), targets.active
    if config.match_per == CLIP:
        cost = jnp.sum(cost * active[:, :, None], axis=0)
        matching = jax.vmap(match)(cost, jnp.any(active, axis=0))
        shape = (points.shape[0], *matching.objects.shape)
        objects = jnp.broadcast_to(matching.objects, shape)
        matched = matching.matched & jnp.take_along_axis(active, objects, axis=-1)
        return objects, matched
    matching = jax.vmap(jax.vmap(match))(cost, active)
    return matching.objects, matching.matched


def match(cost: Float[Array, "q o"], valid: Bool[Array, "o"]) -> Matching:
    """Assign queries to the `valid` objects one to one, as many as possible, optimally.

    Costs are finite and not negative; those of invalid objects are ignored.
    """
    queries, objects = cost.shape
    # Pad to a column per query. Padding and invalid objects cost more than any real
    # assignment, but as little more as possible, for float32 rounds.
    cost = jnp.pad(cost, ((0, 0), (0, max(queries - objects, 0))))
    valid = jnp.pad(valid, (0, cost.shape[1] - objects))
    cost = jnp.where(valid, cost, 0.0)
    cost = jnp.where(valid, cost, 1.0 + queries * jnp.max(cost))
    rows, columns = optax.assignment.hungarian_algorithm(cost)
    column = jnp.zeros(queries, jnp.int32).at[rows].set(columns.astype(jnp.int32))
    matched = valid[column]
    return Matching(jnp.where(matched, column, 0), matched)
