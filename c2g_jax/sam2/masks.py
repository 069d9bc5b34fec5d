"""Mask logits between the sizes of model, memory and video."""

import jax
import jax.numpy as jnp

NO_OBJECT = -1024.0  # the logit of every pixel where an object is not in view
LOGIT_BOUND = 32.0  # of the low-resolution logits that come back as a prompt


def resize_logits(logits: jax.Array, height: int, width: int) -> jax.Array:
    """Bilinear resize of [..., h, w], up or down, without antialiasing.

    As torch.nn.functional.interpolate does with align_corners=False.
    """
    shape = (*logits.shape[:-2], height, width)
    return jax.image.resize(logits, shape, "bilinear", antialias=False)


def shrink_masks(masks: jax.Array, height: int, width: int) -> jax.Array:
    """Bilinear resize of [..., H, W] with antialiasing, for masks that people give."""
    shape = (*masks.shape[:-2], height, width)
    return jax.image.resize(masks.astype(jnp.float32), shape, "bilinear")
