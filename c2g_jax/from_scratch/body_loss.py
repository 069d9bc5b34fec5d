"""Which cells of the image features are parts of one body, as an aid like the classes.

A click names a place, and the mask is all that belongs to the same body: the features
of its cells are to point one way, those of others elsewhere. Every pair of cells of an
image says so, where a prompt says it of one object.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from c2g_jax.from_scratch.directions import cell_ids
from c2g_jax.from_scratch.pointing import unit

_SHARPNESS, _MIDDLE = 10.0, 0.5  # a pair is one body by sigmoid(10 (cosine - 0.5))


def body_error(
    embedding: Float[Array, "t h w c"], segments: UInt8[Array, "t S S"]
) -> Float[Array, ""]:
    """Mean cross entropy of "one body" over all pairs of a frame's cells.

    A cell belongs to the id under its centre; 0, which is no object, takes no part.
    Each cell weighs its own body as much as all else, however small the body is, and
    each body as much as another.
    """
    t, h, w, c = embedding.shape
    ids = cell_ids(segments, h)
    x = unit(embedding.reshape(t, h * w, c))
    logits = _SHARPNESS * (jnp.einsum("tic,tjc->tij", x, x) - _MIDDLE)
    known = ids > 0
    both = known[:, :, None] & known[:, None, :]
    same = both & (ids[:, :, None] == ids[:, None, :])
    other = both & ~same

    def rows(error: jax.Array, where: jax.Array) -> jax.Array:
        count = jnp.sum(where, axis=-1)
        return jnp.sum(error * where, axis=-1) / jnp.maximum(count, 1)

    each = rows(jax.nn.softplus(-logits), same) + rows(jax.nn.softplus(logits), other)
    weight = known / jnp.maximum(jnp.sum(same, axis=-1), 1)
    return jnp.sum(each * weight) / jnp.maximum(jnp.sum(weight), 1e-6)
