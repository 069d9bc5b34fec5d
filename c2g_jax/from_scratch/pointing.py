"""Which bodies a body has to do with, read off the directions of image features.

The encoder of the toy is taught to say so (`training/link_loss.py`); here is how it is
read, by that loss and by DIDM.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Of the cosine: 4 of 256 cells can have 0.9 of the whole.
SHARPNESS = 20.0
# Cells whose features are as alike are one body: `training/body_loss.py` puts the
# middle at 0.5, and of two bodies that touch no cell is to be lost.
_ONE_BODY = 0.7
# Taken from a cosine, it comes after all that are left: those are 2 apart at most.
BEHIND = 3.0


def unit(x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
    """The directions of vectors, float32; of a vector of zeros it is zero."""
    x = x.astype(jnp.float32)
    return x / jnp.sqrt(jnp.sum(x**2, axis=-1, keepdims=True) + 1e-6)


def pointing(
    directions: Float[Array, "*b s c"], to: Float[Array, "*b t c"]
) -> Float[Array, "*b s t"]:
    """How much each of s directions points at each of t: a cosine in [-1, 1].

    The channels of what is pointed at are turned by a quarter: so pointing goes one
    way, and is apart from being alike.
    """
    turned = jnp.roll(to, to.shape[-1] // 4, axis=-1)
    return jnp.einsum("...sc,...tc->...st", directions, turned)


def peaks(
    heat: Float[Array, "b t"], features: Float[Array, "#b t c"], count: int
) -> Int[Array, "b count"]:
    """The hottest of t cells, each of another body than those before it.

    `heat` has cosines, less BEHIND where a cell is not to be taken: those come after
    all others, as cells of a body that is taken do.
    """
    x = unit(features)
    x = jnp.broadcast_to(x, (*heat.shape, x.shape[-1]))
    cells = []
    for _ in range(count):
        cell = jnp.argmax(heat, axis=-1)
        cells.append(cell)
        chosen = jnp.take_along_axis(x, cell[:, None, None], axis=1)
        alike = jnp.einsum("btc,bsc->bt", x, chosen)
        heat = heat - BEHIND * (alike > _ONE_BODY)
    return jnp.stack(cells, axis=1)
