"""Which query stands for which object: the cheapest one-to-one assignment."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float


class Matching(NamedTuple):
    """For each query its object, if it has one."""

    objects: jax.Array  # int32 [q], 0 where there is none
    matched: jax.Array  # bool [q]


def match(cost: Float[Array, "q o"], valid: Bool[Array, "o"]) -> Matching:
    """Assign queries to the objects in `valid`, as many as can be, at least cost.

    Costs are finite and not negative; those of objects outside `valid` do not matter.
    """
    queries, objects = cost.shape
    # Enough columns that every query has one, be it that of no object. Those cost more
    # than any assignment without them, and no more than that, for float32 rounds.
    cost = jnp.pad(cost, ((0, 0), (0, max(queries - objects, 0))))
    valid = jnp.pad(valid, (0, cost.shape[1] - objects))
    cost = jnp.where(valid, cost, 0.0)
    cost = jnp.where(valid, cost, 1.0 + queries * jnp.max(cost))
    rows, columns = optax.assignment.hungarian_algorithm(cost)
    column = jnp.zeros(queries, jnp.int32).at[rows].set(columns.astype(jnp.int32))
    matched = valid[column]
    return Matching(jnp.where(matched, column, 0), matched)
