"""Which bodies a body has to do with, as an aid like the classes of cells.

DIDM looks in a frozen encoder's features for what a subject interacts with. A large
SAM2.1 has seen enough of the world to tell a hand that holds from one that hangs; a toy
that learned masks alone has not, and no head can find what is not there.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from c2g_jax.from_scratch.directions import cell_ids
from c2g_jax.from_scratch.pointing import SHARPNESS, pointing, unit


def link_error(
    embedding: Float[Array, "t h w c"],
    segments: UInt8[Array, "t S S"],
    objects: Int[Array, "n"],
    holds: Bool[Array, "n n t p"],
) -> Float[Array, ""]:
    """Mean cross entropy of where the objects of each subject's cells are.

    The share of a cell's pointing (`pointing`) that falls on each related body is to be
    all, or as many as they are; cells of no object of `objects` (0 is none) take no
    part. A cell belongs to the id under its centre; each subject weighs as much as
    another, however small it is. 0 where nothing is related.
    """
    t, h, w, c = embedding.shape
    ids = cell_ids(segments, h)[:, :, None]
    member = ((ids == objects) & (objects > 0)).astype(jnp.float32)  # [t, cells, n]
    x = unit(embedding.reshape(t, h * w, c))
    says = SHARPNESS * pointing(x, x)
    known = jnp.any(member > 0, axis=-1)
    says = jax.nn.softmax(jnp.where(known[:, None], says, -1e9))
    share = says @ member
    related = jnp.moveaxis(jnp.any(holds, axis=-1), -1, 0).astype(jnp.float32)
    size = jnp.sum(member, axis=1)  # [t, n], cells
    aimed = (member @ related) * (size > 0)[:, None]
    error = jnp.sum(-jnp.log(share + 1e-30) * aimed, axis=-1)
    error /= jnp.maximum(jnp.sum(aimed, axis=-1), 1)
    own = jnp.sum(member * size[:, None], axis=-1)
    weight = jnp.any(aimed > 0, axis=-1) / jnp.maximum(own, 1)
    return jnp.sum(error * weight) / jnp.maximum(jnp.sum(weight), 1e-6)
