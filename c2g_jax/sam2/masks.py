"""Resizing of masks and mask logits on the device."""

import jax
import jax.numpy as jnp

NO_OBJECT = -1024.0  # logit of all pixels of an absent object (sam2_base.py)
LOGIT_BOUND = 32.0  # low-resolution logits are clipped to it as a mask prompt


def resize_logits(logits: jax.Array, height: int, width: int) -> jax.Array:
    """Resize [..., h, w] bilinearly, up or down, without antialiasing.

    Equal to torch.nn.functional.interpolate with align_corners=False.
    """
    shape = (*logits.shape[:-2], height, width)
    return jax.image.resize(logits, shape, "bilinear", antialias=False)


def shrink_masks(masks: jax.Array, height: int, width: int) -> jax.Array:
    """Resize mask prompts [..., H, W] bilinearly with antialiasing."""
    shape = (*masks.shape[:-2], height, width)
    return jax.image.resize(masks.astype(jnp.float32), shape, "bilinear")
