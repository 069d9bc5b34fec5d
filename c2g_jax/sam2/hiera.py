"""The Hiera trunk of the image encoder: windowed and global attention, four stages.

sam2/modeling/backbones/hieradet.py.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from c2g_jax.sam2.attention import attend
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.fused_attention import attend_fused
from c2g_jax.sam2.layers import Linear, Mlp, abstract, conv, gelu, layer_norm
from c2g_jax.sam2.position import interpolate_bicubic


def partition_windows(x: jax.Array, window: int) -> jax.Array:
    """Cut x [b, h, w, c] into [b * windows, window, window, c], zero-padded."""
    b, h, w, c = x.shape
    pad_h, pad_w = -h % window, -w % window
    x = jnp.pad(x, ((0, 0), (0, pad_h), (0, pad_w), (0, 0)))
    rows, columns = (h + pad_h) // window, (w + pad_w) // window
    x = x.reshape(b, rows, window, columns, window, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, window, window, c)


def join_windows(x: jax.Array, window: int, height: int, width: int) -> jax.Array:
    """Undo `partition_windows`: return [b, height, width, c] without padding."""
    rows, columns = -(-height // window), -(-width // window)
    x = x.reshape(-1, rows, columns, window, window, x.shape[-1])
    x = x.transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(-1, rows * window, columns * window, x.shape[-1])
    return x[:, :height, :width]


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """Halve x [b, h, w, c]; an odd last row or column is dropped."""
    b, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


class PatchEmbed(nnx.Module):
    """Embedding of overlapping 7x7 patches, stride 4."""

    def __init__(self, channels: int, dtype: jnp.dtype, rngs: nnx.Rngs):
        self.proj = conv(3, channels, 7, dtype, rngs, stride=4, padding=3)

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.proj(images)


class MultiScaleAttention(nnx.Module):
    """Self-attention, with queries pooled to half the size if `pool`."""

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        pool: bool,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        fused: bool = False,
    ):
        self.num_heads, self.pool, self.fused = num_heads, pool, fused
        self.apart = False
        self.qkv = Linear(dim, 3 * dim_out, dtype, rngs)
        self.proj = Linear(dim_out, dim_out, dtype, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [b, h, w, dim] to [b, h, w, dim_out], or half that size if pooled."""
        b, h, w, _ = x.shape
        if self.fused:
            return self.proj(self._attend_fused(x))
        qkv = self.qkv(x).reshape(b, h * w, 3, self.num_heads, -1)
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)  # each [b, heads, s, d]
        if self.pool:
            q = q.transpose(0, 2, 1, 3).reshape(b, h, w, -1)
            q = max_pool_2x2(q)
            h, w = q.shape[1:3]
            q = q.reshape(b, h * w, self.num_heads, -1).transpose(0, 2, 1, 3)
        out = attend(q, k, v).transpose(0, 2, 1, 3).reshape(b, h, w, -1)
        return self.proj(out)

    def hold_apart(self) -> None:
        """Hold the projections to queries, keys and values one by one.

        A fused kernel takes each as an array of its own, which one product for all
        three would be copied to. Checkpoints have no such entries.
        """
        if self.apart:
            return
        kernel, bias = (x[...] for x in (self.qkv.kernel, self.qkv.bias))
        parts = zip(jnp.split(kernel, 3, axis=1), jnp.split(bias, 3), strict=True)
        for name, (part, shift) in zip("qkv", parts, strict=True):
            sizes = (*part.shape, self.qkv.dtype)
            layer = abstract(lambda rngs, sizes=sizes: Linear(*sizes, rngs))
            layer.kernel, layer.bias = nnx.Param(part), nnx.Param(shift)
            setattr(self, name, layer)
        del self.qkv
        self.apart = True

    def _attend_fused(self, x: jax.Array) -> jax.Array:
        """Attend without transposes: the kernel reads heads side by side."""
        b = len(x)
        if self.apart:
            xs = jax.lax.optimization_barrier((x, x, x))  # three products, not one
            q, k, v = (f(x) for f, x in zip((self.q, self.k, self.v), xs, strict=True))
        else:
            q, k, v = jnp.split(self.qkv(x), 3, axis=-1)
        if self.pool:
            q = max_pool_2x2(q)
        size = q.shape[1:3]
        q, k, v = (
            y.reshape(b, -1, self.num_heads, y.shape[-1] // self.num_heads)
            for y in (q, k, v)
        )
        return attend_fused(q, k, v).reshape(b, *size, -1)


class MultiScaleBlock(nnx.Module):
    """A transformer block; the first of a stage doubles channels and halves size."""

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        window: int,
        pool: bool,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        fused: bool = False,
    ):
        self.window, self.pool = window, pool
        self.norm1 = layer_norm(dim, dtype, rngs)
        self.attn = MultiScaleAttention(
            dim, dim_out, num_heads, pool, dtype, rngs, fused
        )
        self.norm2 = layer_norm(dim_out, dtype, rngs)
        self.mlp = Mlp((dim_out, 4 * dim_out, dim_out), dtype, rngs, gelu)
        # No attribute otherwise: checkpoints have no such entry.
        if dim != dim_out:
            self.proj = Linear(dim, dim_out, dtype, rngs)
        self.changes_width = dim != dim_out

    def __call__(self, x: jax.Array) -> jax.Array:
        shortcut = x
        x = self.norm1(x)
        if self.changes_width:
            shortcut = self.proj(x)
            if self.pool:
                shortcut = max_pool_2x2(shortcut)
        height, width = shortcut.shape[1:3]
        if self.window:
            x = self.attn(partition_windows(x, self.window))
            window = self.window // 2 if self.pool else self.window
            x = join_windows(x, window, height, width)
        else:
            x = self.attn(x)
        x = shortcut + x
        return x + self.mlp(self.norm2(x))


class Hiera(nnx.Module):
    """Encode images [b, S, S, 3] to outputs of four stages, strides 4, 8, 16, 32."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        dtype, dim, heads = config.compute_dtype, config.embed_dim, config.num_heads
        self.dtype = dtype
        self.patch_embed = PatchEmbed(dim, dtype, rngs)
        window = config.window_spec[0]
        self.pos_embed = nnx.Param(jnp.zeros((*config.pos_embed_size, dim)))
        self.pos_embed_window = nnx.Param(jnp.zeros((window, window, dim)))

        self.stage_ends = tuple(
            sum(config.stages[: i + 1]) - 1 for i in range(len(config.stages))
        )
        blocks = []
        for stage, depth in enumerate(config.stages):
            for position in range(depth):
                first = stage > 0 and position == 0
                # The first block of a stage uses the window size of the previous stage.
                window = config.window_spec[stage - 1 if first else stage]
                if len(blocks) in config.global_att_blocks:
                    window = 0
                dim_out = dim * 2 if first else dim
                heads = heads * 2 if first else heads
                block = MultiScaleBlock(
                    dim, dim_out, heads, window, first, dtype, rngs, config.fused
                )
                blocks.append(block)
                dim = dim_out
        self.blocks = nnx.List(blocks)

    def hold_position(self, size: int) -> None:
        """Hold the position embedding of images of one size: it depends on no image."""
        position = self.position_embedding(size // 4, size // 4)
        self.position = nnx.Param(position.astype(self.dtype))

    def position_embedding(self, height: int, width: int) -> jax.Array:
        """Return the embedding [h, w, c]: resized global plus tiled window part."""
        whole = interpolate_bicubic(self.pos_embed[...], height, width)
        window = self.pos_embed_window[...]
        return whole + jnp.tile(
            window, (height // window.shape[0], width // window.shape[1], 1)
        )

    def __call__(self, images: jax.Array) -> list[jax.Array]:
        x = self.patch_embed(images)
        if hasattr(self, "position"):
            x = x + self.position[...]
        else:
            x = x + self.position_embedding(*x.shape[1:3]).astype(x.dtype)
        outputs = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.stage_ends:
                outputs.append(x)
        return outputs
