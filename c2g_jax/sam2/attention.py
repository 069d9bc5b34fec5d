"""Scaled dot-product attention, with bounded memory for long sequences."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

# Above this many scores an attention runs in blocks of queries: the scores of one
# frame against a full memory bank would take half a gigabyte an object.
_MAX_SCORES = 1 << 24


def split_heads(x: jax.Array, num_heads: int) -> jax.Array:
    """Map [b, s, c] to [b, heads, s, c / heads]."""
    b, s, c = x.shape
    return x.reshape(b, s, num_heads, c // num_heads).transpose(0, 2, 1, 3)


def merge_heads(x: jax.Array) -> jax.Array:
    """Map [b, heads, s, d] to [b, s, heads * d]."""
    b, h, s, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(b, s, h * d)


def attend(
    q: jax.Array, k: jax.Array, v: jax.Array, valid: jax.Array | None = None
) -> jax.Array:
    """Attention of q [b, h, s, d] over k, v [b, h, t, d]: [b, h, s, d].

    `valid` bool [b, t] says which keys exist; the others take no part at all. A row
    without any valid key gives the mean of all values, which callers discard.
    """
    blocks = _num_blocks(q.shape[0] * q.shape[1], q.shape[2], k.shape[2])
    if blocks == 1:
        return _attend(q, k, v, valid)
    b, h, s, d = q.shape
    parts = q.reshape(b, h, blocks, s // blocks, d).transpose(2, 0, 1, 3, 4)
    out = jax.lax.map(lambda part: _attend(part, k, v, valid), parts)
    return out.transpose(1, 2, 0, 3, 4).reshape(b, h, s, -1)


def _attend(q, k, v, valid):
    scores = jnp.einsum("bhsd,bhtd->bhst", q, k, preferred_element_type=jnp.float32)
    scores = scores * np.float32(q.shape[-1] ** -0.5)
    if valid is not None:
        scores = jnp.where(valid[:, None, None, :], scores, jnp.float32(-1e30))
    weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    return jnp.einsum("bhst,bhtd->bhsd", weights, v)


def _num_blocks(batch: int, queries: int, keys: int) -> int:
    """The least power of two that keeps a block's scores within bounds."""
    blocks = 1
    while (
        batch * queries * keys // blocks > _MAX_SCORES and queries % (2 * blocks) == 0
    ):
        blocks *= 2
    return blocks


class Attention(nnx.Module):
    """Projections around attention (sam2/modeling/sam/transformer.py:190-260)."""

    def __init__(
        self,
        channels: int,
        num_heads: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        inner: int | None = None,
        key_channels: int | None = None,
    ):
        inner, key_channels = inner or channels, key_channels or channels
        self.num_heads = num_heads
        self.q_proj = nnx.Linear(channels, inner, dtype=dtype, rngs=rngs)
        self.k_proj = nnx.Linear(key_channels, inner, dtype=dtype, rngs=rngs)
        self.v_proj = nnx.Linear(key_channels, inner, dtype=dtype, rngs=rngs)
        self.out_proj = nnx.Linear(inner, channels, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        valid: jax.Array | None = None,
    ) -> jax.Array:
        """Attend from q [b, s, c] to k, v [b, t, ck]: [b, s, c]; valid [b, t]."""
        q = split_heads(self.q_proj(q), self.num_heads)
        k = split_heads(self.k_proj(k), self.num_heads)
        v = split_heads(self.v_proj(v), self.num_heads)
        return self.out_proj(merge_heads(attend(q, k, v, valid)))
