"""What each cell of the image features shows, as an aid to training from nothing.

Prompts alone teach an encoder slowly: each says something of one object. The class of
every cell says something of the whole image, and which parts belong to one body. There
is no layer to train for it, and none in the model: a class has a fixed direction in the
space of the features (fixed classifiers: arXiv 1801.04540), features turn to it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from c2g_jax.from_scratch.directions import fixed_directions
from c2g_jax.from_scratch.pointing import unit
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.types import NO_CLASS

_SHARPNESS = 16.0  # of the cosine: a probability of 0.99 among 126 needs 10
_SIDE = 4  # pixels looked at in a cell, across and down


def class_error(
    features: FrameFeatures,
    segments: UInt8[Array, "t S S"],
    categories: Int[Array, "256"],
    num_classes: int,
) -> Float[Array, ""]:
    """Mean over the three levels of `level_error`.

    The embedding sees bodies; the finer levels see what stuff and clothes look like
    close by, which is where a mask gets its edge.
    """
    levels = jax.tree.leaves(features)
    errors = [level_error(x, segments, categories, num_classes) for x in levels]
    return sum(errors) / len(errors)


def level_error(
    features: Float[Array, "t h w c"],
    segments: UInt8[Array, "t S S"],
    categories: Int[Array, "256"],
    num_classes: int,
) -> Float[Array, ""]:
    """Mean cross entropy of the cells' classes against the cosine to each direction.

    `categories` is the class of each id in `segments`, or NO_CLASS, which does not
    count. A cell with several classes is to look like each by its share.
    """
    t, h, w, c = features.shape
    codes = fixed_directions(0, num_classes, c)
    says = jax.nn.log_softmax(_SHARPNESS * unit(features) @ codes.T)
    block = segments.shape[1] // h
    step = max(block // _SIDE, 1)
    seen = segments[:, step // 2 :: step, step // 2 :: step]
    side = seen.shape[1] // h
    seen = seen.reshape(t, h, side, w, side).swapaxes(2, 3).reshape(t, h, w, side**2)
    classes = categories[seen]
    error = -jnp.take_along_axis(says, jnp.maximum(classes, 0), axis=-1)
    counted = classes != NO_CLASS
    return jnp.sum(error * counted) / jnp.maximum(jnp.sum(counted), 1)
