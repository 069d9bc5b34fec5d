"""Directions in the space of features, which the aids to training compare with."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8


def fixed_directions(seed: int, *shape: int) -> Float[Array, "..."]:
    """Unit vectors along the last axis, always the same: no layer is trained for them.

    A fixed classifier, as in arXiv 1801.04540.
    """
    codes = jax.random.normal(jax.random.key(seed), shape)
    return codes / jnp.linalg.norm(codes, axis=-1, keepdims=True)


def cell_ids(segments: UInt8[Array, "t S S"], side: int) -> UInt8[Array, "t cells"]:
    """The id under the centre of each of side x side cells."""
    block = segments.shape[1] // side
    ids = segments[:, block // 2 :: block, block // 2 :: block]
    return ids.reshape(len(segments), side * side)
