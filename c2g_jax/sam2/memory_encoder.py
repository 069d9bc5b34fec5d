"""Memory encoder: image features and a mask to the memory of a frame.

sam2/modeling/memory_encoder.py.
"""

import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.layers import DepthwiseConv, Linear, conv, gelu, layer_norm

# Masks are encoded in groups of at most this many pixels, one mask at least: the
# activations of one mask at 1024 pixels stay in a processor's cache.
_MAX_PIXELS = 1 << 20


class MaskDownsampler(nnx.Module):
    """Downsample masks [n, S, S, 1] to [n, S/16, S/16, c] in four steps."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        dtype, widths = config.compute_dtype, (1, 4, 16, 64, 256)
        convs = [
            conv(n, m, 3, dtype, rngs, stride=2, padding=1)
            for n, m in itertools.pairwise(widths)
        ]
        convs.append(
            conv(widths[-1], config.d_model, 1, dtype, rngs, fused=config.fused)
        )
        self.convs = nnx.List(convs)
        self.norms = nnx.List(layer_norm(m, dtype, rngs) for m in widths[1:])

    def __call__(self, masks: jax.Array) -> jax.Array:
        x = masks
        for layer, norm in zip(list(self.convs)[:-1], self.norms, strict=True):
            x = gelu(norm(layer(x)))
        return self.convs[-1](x)


class CXBlock(nnx.Module):
    """ConvNeXt block."""

    def __init__(
        self, channels: int, dtype: jnp.dtype, rngs: nnx.Rngs, fused: bool = False
    ):
        self.dwconv = DepthwiseConv(channels, 7, dtype, rngs, fused)
        self.norm = layer_norm(channels, dtype, rngs)
        self.pwconv1 = Linear(channels, 4 * channels, dtype, rngs)
        self.pwconv2 = Linear(4 * channels, channels, dtype, rngs)
        self.gamma = nnx.Param(jnp.full(channels, 1e-6, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self.pwconv2(gelu(self.pwconv1(self.norm(self.dwconv(x)))))
        return x + self.gamma[...].astype(y.dtype) * y


class Fuser(nnx.Module):
    """Two ConvNeXt blocks."""

    def __init__(
        self, channels: int, dtype: jnp.dtype, rngs: nnx.Rngs, fused: bool = False
    ):
        self.layers = nnx.List(CXBlock(channels, dtype, rngs, fused) for _ in range(2))

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nnx.Module):
    """Fuse image features and masks to the memory of a frame."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        c, dtype = config.d_model, config.compute_dtype
        self.mask_downsampler = MaskDownsampler(config, rngs)
        self.pix_feat_proj = conv(c, c, 1, dtype, rngs, fused=config.fused)
        self.fuser = Fuser(c, dtype, rngs, config.fused)
        self.out_proj = conv(c, config.mem_dim, 1, dtype, rngs, fused=config.fused)
        self.fused = config.fused

    def __call__(self, image: jax.Array, masks: jax.Array) -> jax.Array:
        """Encode features [1 or n, h, w, c] and masks [n, S, S] as [n, h, w, m].

        The masks are scaled probabilities, computed by `Sam2.encode_memory`.
        """
        features = self.pix_feat_proj(image)

        def encode(masks: jax.Array) -> jax.Array:
            x = features + self.mask_downsampler(masks[..., None])
            return self.out_proj(self.fuser(x))

        group_size = max(1, _MAX_PIXELS // masks[0].size)
        if self.fused or len(masks) <= group_size or len(image) > 1:
            return encode(masks)
        return jax.lax.map(lambda x: encode(x[None])[0], masks, batch_size=group_size)
