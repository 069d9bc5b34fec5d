"""Whether memory says where the object is, as an aid like those of the image features.

Without it memory learns through the decoder alone, which has no prompt on a tracked
frame and so sees nothing until the features say whose mask is wanted.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from c2g_jax.from_scratch.directions import fixed_directions


def memory_error(
    image: Float[Array, "n h w c"],
    shares: Float[Array, "n h w"],
    where: Bool[Array, "n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Cross entropy of "the object is here" over the cells, summed over `where`.

    `image` is a frame as each object sees it after its memories, `shares` how much of
    each cell is the object. One fixed direction of the features says "here", as in
    `class_loss`; they leave a norm, so their length is known. The object weighs as
    much as all else, however small it is. Returns the sum, and of how many objects.
    """
    c = image.shape[-1]
    logits = image.astype(jnp.float32) @ fixed_directions(1, c)

    def mean(error: jax.Array, weight: jax.Array) -> jax.Array:
        total = jnp.sum(weight, axis=(1, 2))
        return jnp.sum(error * weight, axis=(1, 2)) / jnp.maximum(total, 1e-6)

    each = mean(jax.nn.softplus(-logits), shares)
    each += mean(jax.nn.softplus(logits), 1 - shares)
    return jnp.sum(each * where), jnp.sum(where.astype(jnp.float32))
