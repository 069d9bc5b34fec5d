"""Which objects are related to an object, read from the image features.

A cell "points" at another if their feature directions match after a fixed rotation. An
encoder trained from scratch learns this from a loss of this package; the same function
is read by that loss and by `from_scratch.didm`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Inverse temperature of the cosines: 4 of 256 cells can then receive 0.9 of a softmax.
SHARPNESS = 20.0
# Cells with a higher cosine similarity belong to the same object. The loss that trains
# this separates objects at 0.5; the margin keeps all cells of touching objects.
_SAME_OBJECT = 0.7
# Subtracted from the cosine of excluded cells, which ranks them after all others:
# cosines differ by 2 at most.
EXCLUDED = 3.0


def unit(x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
    """Return vectors scaled to length 1, float32; zero vectors stay zero."""
    x = x.astype(jnp.float32)
    return x / jnp.sqrt(jnp.sum(x**2, axis=-1, keepdims=True) + 1e-6)


def pointing(
    directions: Float[Array, "*b s c"], to: Float[Array, "*b t c"]
) -> Float[Array, "*b s t"]:
    """Return how much each of s directions points at each of t: a cosine in [-1, 1].

    The channels of `to` are rotated by a quarter of their number, which makes pointing
    asymmetric and independent of similarity.
    """
    rotated = jnp.roll(to, to.shape[-1] // 4, axis=-1)
    return jnp.einsum("...sc,...tc->...st", directions, rotated)


def peaks(
    heat: Float[Array, "b t"], features: Float[Array, "#b t c"], count: int
) -> Int[Array, "b count"]:
    """Return the cells of highest heat, each on another object than those before it.

    `heat` holds cosines, minus EXCLUDED for excluded cells. These, and cells of objects
    already chosen, are chosen only when no other cell is left.
    """
    x = unit(features)
    x = jnp.broadcast_to(x, (*heat.shape, x.shape[-1]))
    cells = []
    for _ in range(count):
        cell = jnp.argmax(heat, axis=-1)
        cells.append(cell)
        chosen = jnp.take_along_axis(x, cell[:, None, None], axis=1)
        similarity = jnp.einsum("btc,bsc->bt", x, chosen)
        heat = heat - EXCLUDED * (similarity > _SAME_OBJECT)
    return jnp.stack(cells, axis=1)
