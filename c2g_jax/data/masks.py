"""The masks of the objects of a clip, from its segments: on the device."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8


def object_masks(
    segments: UInt8[Array, "t S S"], ids: Int[Array, "n"]
) -> Bool[Array, "t n S S"]:
    """Where each id is; nowhere for 0, which is padding and not the void."""
    ids = ids[:, None, None]
    return (segments[:, None] == ids) & (ids > 0)


def cell_shares(masks: jax.Array, size: int) -> Float[Array, "... s s"]:
    """The mean of each of size x size equal cells of masks [..., S, S]."""
    block = masks.shape[-1] // size
    cells = masks.reshape(*masks.shape[:-2], size, block, size, block)
    return jnp.mean(cells.astype(jnp.float32), axis=(-3, -1))
