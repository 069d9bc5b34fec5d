"""A frame attends to its memories (sam2/modeling/memory_attention.py)."""

import jax
import jax.numpy as jnp
from flax import nnx

from c2g_jax.sam2.attention import Attention, attend
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.layers import TORCH_EPS, layer_norm
from c2g_jax.sam2.position import rotary_table, rotate

# As many objects attend together as have so many memories in all, one at least: a full
# bank at 1024 pixels is 28,736, keeps a device busy by itself, and with its keys and
# hidden layers is a quarter of a gigabyte.
_MAX_MEMORIES = 1 << 15


class RotaryAttention(Attention):
    """One head, whose queries and spatial keys turn with their place in the image.

    sam2/modeling/sam/transformer.py:263-311.
    """

    def __call__(
        self,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        valid: jax.Array | None = None,
        num_unplaced: int = 0,
    ) -> jax.Array:
        """Attend from q [b, hw, c] to k, v [b, t, ck], t = frames * hw + unplaced.

        Each frame of hw keys turns by the same table as the queries; the last
        `num_unplaced` keys have no place in the image and do not turn.
        """
        size = q.shape[1]
        side = round(size**0.5)
        q, k = self.q_proj(q), self.k_proj(k)
        table = rotary_table(side, side, q.shape[-1])
        placed = k.shape[1] - num_unplaced
        frames = k[:, :placed].reshape(k.shape[0], placed // size, size, -1)
        turned = rotate(frames, table).reshape(k.shape[0], placed, -1)
        k = jnp.concatenate([turned, k[:, placed:]], axis=1)
        q = jnp.broadcast_to(rotate(q, table), (k.shape[0], *q.shape[1:]))
        # The weights of a query sum to one, so means of values are values of means:
        # memories are a quarter as wide as what they are projected to, and many more
        # than the queries.
        out = attend(q[:, None], k[:, None], v[:, None], valid)
        return self.out_proj(self.v_proj(out[:, 0]))


class MemoryAttentionLayer(nnx.Module):
    """Self-attention, attention to the memories, MLP; each pre-normed."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        c, dtype, hidden = config.d_model, config.compute_dtype, config.memory_mlp_dim
        self.self_attn = RotaryAttention(c, 1, dtype, rngs)
        self.cross_attn_image = RotaryAttention(
            c, 1, dtype, rngs, key_channels=config.mem_dim
        )
        self.linear1 = nnx.Linear(c, hidden, dtype=dtype, rngs=rngs)
        self.linear2 = nnx.Linear(hidden, c, dtype=dtype, rngs=rngs)
        self.norm1 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.norm2 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.norm3 = layer_norm(c, dtype, rngs, TORCH_EPS)

    def attend_to_itself(self, x: jax.Array) -> jax.Array:
        """Tokens [n, s, c] after the first third of the layer, without memory."""
        y = self.norm1(x)
        return x + self.self_attn(y, y, y)

    def attend_to_memory(
        self,
        x: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        valid: jax.Array,
        num_unplaced: int,
    ) -> jax.Array:
        """Tokens [n, s, c] after the rest of the layer.

        `keys` [n, t, m] have their positions, `values` do not; `valid` bool [n, t] says
        which exist. The last `num_unplaced` are pointers, which have no place.
        """
        y = self.norm2(x)
        x = x + self.cross_attn_image(y, keys, values, valid, num_unplaced)
        return x + self.linear2(jax.nn.relu(self.linear1(self.norm3(x))))


class MemoryAttention(nnx.Module):
    """A stack of such layers and a last norm."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        self.layers = nnx.List(
            MemoryAttentionLayer(config, rngs) for _ in range(config.memory_layers)
        )
        self.norm = layer_norm(config.d_model, config.compute_dtype, rngs, TORCH_EPS)

    def __call__(
        self,
        image: jax.Array,
        position: jax.Array,
        memory: jax.Array,
        memory_position: jax.Array,
        valid: jax.Array,
        num_pointer_tokens: int,
    ) -> jax.Array:
        """Features [n, hw, c] of the frame, in the light of each object's memory.

        image [1 or n, hw, c] (with 1, the first self-attention runs once for all
        objects), position [hw, c], memory and memory_position [n, t, m], valid bool
        [n, t]. The last `num_pointer_tokens` of t are object pointers.
        """
        first, *others = self.layers
        x = first.attend_to_itself(image + 0.1 * position.astype(image.dtype))
        keys = memory + memory_position.astype(memory.dtype)

        def attend_to(memories):
            y = first.attend_to_memory(x, *memories, num_pointer_tokens)
            for layer in others:
                y = layer.attend_to_itself(y)
                y = layer.attend_to_memory(y, *memories, num_pointer_tokens)
            return self.norm(y)

        n, t = valid.shape
        together = max(1, _MAX_MEMORIES // t)
        if n <= together or image.shape[0] > 1:
            return attend_to((keys, memory, valid))

        def group(part: jax.Array) -> jax.Array:
            filled = jnp.pad(part, [(0, -n % together)] + [(0, 0)] * (part.ndim - 1))
            return filled.reshape(-1, together, *part.shape[1:])

        groups = jax.tree.map(group, (keys, memory, valid))
        return jax.lax.map(attend_to, groups).reshape(-1, *x.shape[1:])[:n]
