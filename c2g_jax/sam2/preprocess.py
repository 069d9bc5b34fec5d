"""Normalisation of frames for the image encoder."""

import jax
import jax.numpy as jnp
import numpy as np

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def normalize_frames(frames: jax.Array) -> jax.Array:
    """Normalise uint8 RGB frames [..., S, S, 3] by ImageNet's statistics: float32."""
    return (frames.astype(jnp.float32) / 255.0 - MEAN) / STD
