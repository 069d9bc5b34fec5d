"""Memory attention: a frame attends to its memories and object pointers.

sam2/modeling/memory_attention.py.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from c2g_jax.sam2.attention import Attention, attend
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.fused_attention import attend_tokens
from c2g_jax.sam2.layers import TORCH_EPS, Linear, layer_norm
from c2g_jax.sam2.position import rotary_table, rotate

# Objects attend in groups of at most this many memory tokens, one object at least. A
# full bank at 1024 pixels has 28,736: it keeps a device busy by itself, and with its
# keys and hidden layers takes a quarter of a gigabyte.
_MAX_TOKENS = 1 << 15


class RotaryAttention(Attention):
    """Single-head attention with axial rotary position encoding of queries and keys.

    sam2/modeling/sam/transformer.py:263-311.
    """

    def __call__(
        self,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        valid: jax.Array | None = None,
        num_pointers: int = 0,
    ) -> jax.Array:
        """Attend from q [b, hw, c] to k, v [b, t, ck], t = frames * hw + num_pointers.

        The hw keys of each frame are rotated by the same table as the queries; the last
        `num_pointers` keys have no position in the image and are not rotated.
        """
        size = q.shape[1]
        side = round(size**0.5)
        q, k = self.q_proj(q), self.k_proj(k)
        table = rotary_table(side, side, q.shape[-1])
        num_spatial = k.shape[1] - num_pointers
        frames = k[:, :num_spatial]
        frames = frames.reshape(k.shape[0], num_spatial // size, size, -1)
        rotated = rotate(frames, table).reshape(k.shape[0], num_spatial, -1)
        k = jnp.concatenate([rotated, k[:, num_spatial:]], axis=1)
        q = jnp.broadcast_to(rotate(q, table), (k.shape[0], *q.shape[1:]))
        # The weights of a query sum to one, so the value projection commutes with the
        # weighted mean. Projecting afterwards is cheaper: memories are a quarter as
        # wide as their projection, and outnumber the queries.
        if self.fused:
            out = attend_tokens(q, k, v, 1, valid)
        else:
            out = attend(q[:, None], k[:, None], v[:, None], valid)[:, 0]
        return self.out_proj(self.v_proj(out))


class MemoryAttentionLayer(nnx.Module):
    """Self-attention, cross-attention to the memories, MLP; each with pre-norm."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        c, dtype, hidden = config.d_model, config.compute_dtype, config.memory_mlp_dim
        self.self_attn = RotaryAttention(c, 1, dtype, rngs, fused=config.fused)
        self.cross_attn_image = RotaryAttention(
            c, 1, dtype, rngs, key_channels=config.mem_dim, fused=config.fused
        )
        self.linear1 = Linear(c, hidden, dtype, rngs)
        self.linear2 = Linear(hidden, c, dtype, rngs)
        self.norm1 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.norm2 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.norm3 = layer_norm(c, dtype, rngs, TORCH_EPS)

    def attend_to_self(self, x: jax.Array) -> jax.Array:
        """Apply the self-attention of the layer to image tokens [n, s, c]."""
        y = self.norm1(x)
        return x + self.self_attn(y, y, y)

    def attend_to_memory(
        self,
        x: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        valid: jax.Array,
        num_pointers: int,
    ) -> jax.Array:
        """Apply cross-attention and MLP to image tokens [n, s, c].

        `keys` [n, t, m] include their position encoding, `values` do not; `valid` bool
        [n, t] masks missing ones. The last `num_pointers` are object pointer tokens.
        """
        y = self.norm2(x)
        x = x + self.cross_attn_image(y, keys, values, valid, num_pointers)
        return x + self.linear2(jax.nn.relu(self.linear1(self.norm3(x))))


class MemoryAttention(nnx.Module):
    """Memory attention layers and a final norm."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        self.layers = nnx.List(
            MemoryAttentionLayer(config, rngs) for _ in range(config.memory_layers)
        )
        self.norm = layer_norm(config.d_model, config.compute_dtype, rngs, TORCH_EPS)
        self.fused = config.fused

    def __call__(
        self,
        image: jax.Array,
        position: jax.Array,
        memory: jax.Array,
        memory_position: jax.Array,
        valid: jax.Array,
        num_pointers: int,
    ) -> jax.Array:
        """Return features [n, hw, c] of the frame, conditioned on each object's memory.

        image [1 or n, hw, c] (with 1, the first self-attention is shared by all
        objects), position [hw, c], memory and memory_position [n, t, m], valid bool
        [n, t]. The last `num_pointers` of t are object pointer tokens.
        """
        first, *others = self.layers
        x = first.attend_to_self(image + 0.1 * position.astype(image.dtype))
        keys = memory + memory_position.astype(memory.dtype)

        def attend_to(memories):
            y = first.attend_to_memory(x, *memories, num_pointers)
            for layer in others:
                y = layer.attend_to_self(y)
                y = layer.attend_to_memory(y, *memories, num_pointers)
            return self.norm(y)

        n, t = valid.shape
        group_size = max(1, _MAX_TOKENS // t)
        if self.fused or n <= group_size or image.shape[0] > 1:
            return attend_to((keys, memory, valid))

        def group(part: jax.Array) -> jax.Array:
            padded = jnp.pad(part, [(0, -n % group_size)] + [(0, 0)] * (part.ndim - 1))
            return padded.reshape(-1, group_size, *part.shape[1:])

        groups = jax.tree.map(group, (keys, memory, valid))
        return jax.lax.map(attend_to, groups).reshape(-1, *x.shape[1:])[:n]
