"""Masks of a clip's objects from its segments, on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8


def object_masks(
    segments: UInt8[Array, "t S S"], ids: Int[Array, "n"]
) -> Bool[Array, "t n S S"]:
    """Return the mask of each id; empty for id 0, which is padding, not background."""
    ids = ids[:, None, None]
    return (segments[:, None] == ids) & (ids > 0)


def cell_shares(masks: jax.Array, size: int) -> Float[Array, "... s s"]:
    """Return the covered share of each of size x size cells of masks [..., S, S]."""
    block = masks.shape[-1] // size
    cells = masks.reshape(*masks.shape[:-2], size, block, size, block)
    return jnp.mean(cells.astype(jnp.float32), axis=(-3, -1))
