"""Feature pyramid network (neck), and the image encoder of trunk and neck.

sam2/modeling/backbones/image_encoder.py.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.hiera import Hiera
from c2g_jax.sam2.layers import conv


def upsample_nearest(x: jax.Array) -> jax.Array:
    """Double x [b, h, w, c] by repetition."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


class FpnNeck(nnx.Module):
    """1x1 convolutions to d_model; top-down sum from stride 32 to stride 16 only."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        # Coarse to fine, the order in checkpoints.
        self.convs = nnx.List(
            conv(
                channels,
                config.d_model,
                1,
                config.compute_dtype,
                rngs,
                fused=config.fused,
            )
            for channels in reversed(config.stage_channels)
        )

    def __call__(self, stages: list[jax.Array]) -> list[jax.Array]:
        """Return levels of stride 4, 8, 16 and 32, each [b, h, w, d_model]."""
        fine, middle, coarse, coarsest = stages
        top = self.convs[0](coarsest)
        merged = self.convs[1](coarse) + upsample_nearest(top.astype(jnp.float32))
        return [self.convs[3](fine), self.convs[2](middle), merged, top]


class ImageEncoder(nnx.Module):
    """Trunk and neck; the level of stride 32 is dropped after the top-down sum."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        self.trunk = Hiera(config, rngs)
        self.neck = FpnNeck(config, rngs)

    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Return levels of stride 4, 8 and 16 of images [b, S, S, 3]."""
        return self.neck(self.trunk(images))[:3]
