"""What object pointers say of relations, as an aid like those of the image features.

SCH reads predicates off the pointers of a frozen SAM2.1. Masks alone do not teach a
pointer what its object does, and a toy has not seen a million videos by the way: so
while it learns to segment, two pointers are to say together what holds between them.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from c2g_jax.from_scratch.directions import fixed_directions
from c2g_jax.from_scratch.pointing import unit

_SHARPNESS = 8.0  # of two cosines: a probability of 0.99 among 57 needs 9 in all


def pointer_error(
    pointers: Float[Array, "n c"],
    holds: Bool[Array, "n n p"],
    present: Bool[Array, "n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Cross entropy of the predicates that hold between i and j, summed over pairs.

    A predicate has two fixed directions, as classes have in `class_loss`: one for who
    does it and one for what it is done to. A pair with several predicates is to look
    like each alike; one without any does not count, nor what is not in view. Returns
    the sum, and over how many pairs.
    """
    codes = fixed_directions(2, 2, holds.shape[-1], pointers.shape[-1])
    x = unit(pointers)
    does, done = x @ codes[0].T, x @ codes[1].T
    says = jax.nn.log_softmax(_SHARPNESS * (does[:, None] + done[None]))
    number = jnp.sum(holds, axis=-1)
    error = -jnp.sum(says * holds, axis=-1) / jnp.maximum(number, 1)
    counted = (number > 0) & present[:, None] & present[None]
    return jnp.sum(error * counted), jnp.sum(counted.astype(jnp.float32))
