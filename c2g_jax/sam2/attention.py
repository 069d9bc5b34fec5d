"""Scaled dot-product attention, with bounded memory for long sequences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from c2g_jax.sam2.fused_attention import attend_tokens
from c2g_jax.sam2.layers import Linear

# Longer sequences are processed in blocks of at most this many queries and keys: the
# scores of a frame against a full memory bank would take half a gigabyte an object,
# those of a block stay in a processor's cache.
_BLOCK = 2048


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
    """Scaled dot-product attention of q [b, h, s, d] over k, v [b, h, t, d].

    Returns [b, h, s, d]. `valid` bool [b, t] masks keys. Rows without any valid key
    give finite values, which callers discard.
    """
    b, h, s, _ = q.shape
    if s * k.shape[2] <= _BLOCK**2:
        return _attend(q, k, v, None if valid is None else valid[:, None])
    if valid is None:
        valid = jnp.ones((b, k.shape[2]), bool)
    valid = jnp.repeat(valid, h, axis=0)
    heads = (*(x.reshape(b * h, *x.shape[2:]) for x in (q, k, v)), valid)
    # One head after another on a CPU, all at once on an accelerator.
    out = jax.lax.platform_dependent(
        heads,
        cpu=functools.partial(jax.lax.map, _attend_in_blocks),
        default=jax.vmap(_attend_in_blocks),
    )
    return out.reshape(b, h, s, -1)


def _attend(q, k, v, valid):
    """Attention of q [..., s, d], k, v [..., t, d], valid [..., t], without blocks."""
    scores = _scores(q, k)
    if valid is not None:
        scores = jnp.where(valid[..., None, :], scores, jnp.float32(-1e30))
    # No gradient: the result does not depend on what is subtracted.
    highest = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
    weights = jnp.exp(scores - highest)
    # Normalise last: there are fewer sums than weights.
    return (_sums(weights, v) / weights.sum(-1, keepdims=True)).astype(v.dtype)


def _attend_in_blocks(head):
    """Attention of q [s, d], k, v [t, d], valid [t], by online softmax over blocks.

    Weights are relative to the running maximum of the scores; when a later block has a
    greater one, the previous sums are rescaled (Milakov and Gimelshein, arXiv
    1805.02867).
    """
    q, *memory = head
    k, v, valid = (_in_blocks(x) for x in memory)
    # An invalid key is replaced by a copy of a valid one and gets weight 0: scores then
    # need no mask, which would be one more pass over all of them.
    k = jnp.where(valid[..., None], k, memory[0][jnp.argmax(memory[2])])
    v = jnp.where(valid[..., None], v, 0)
    valid = valid.astype(jnp.float32)

    def attend_from(q):
        def add(carry, block):
            k, v, valid = block
            old_max, sums, total = carry
            scores = _scores(q, k)
            new_max = jnp.maximum(old_max, scores.max(-1, keepdims=True))
            weights, rescale = jnp.exp(scores - new_max), jnp.exp(old_max - new_max)
            sums = sums * rescale + _sums(weights, v)
            total = total * rescale + weights @ valid[:, None]
            return (new_max, sums, total), None

        zeros = jnp.zeros((q.shape[0], 1), jnp.float32)
        sums = jnp.zeros((q.shape[0], v.shape[-1]), jnp.float32)
        start = (zeros - np.float32(np.inf), sums, zeros)
        (_, sums, total), _ = jax.lax.scan(add, start, (k, v, valid))
        # The maximum has weight 1, so `total` is below 1 only without any valid key.
        return (sums / jnp.maximum(total, 1)).astype(v.dtype)

    out = jax.lax.map(attend_from, _in_blocks(q))
    return out.reshape(-1, out.shape[-1])[: q.shape[0]]


def _scores(q, k):
    """Return attention scores [..., s, t] in float32."""
    scores = jnp.einsum("...sd,...td->...st", q, k, preferred_element_type=jnp.float32)
    return scores * np.float32(q.shape[-1] ** -0.5)


def _sums(weights, v):
    """Return weighted sums [..., s, d] of values [..., t, d] in float32."""
    return jnp.einsum(
        "...st,...td->...sd",
        weights.astype(v.dtype),
        v,
        preferred_element_type=jnp.float32,
    )


def _in_blocks(x):
    """Split [n, ...] evenly into [blocks, rows, ...], zero-padded."""
    blocks = -(-len(x) // _BLOCK)
    rows = -(-len(x) // blocks)
    x = jnp.pad(x, [(0, blocks * rows - len(x))] + [(0, 0)] * (x.ndim - 1))
    return x.reshape(blocks, rows, *x.shape[1:])


class Attention(nnx.Module):
    """Multi-head attention with projections.

    sam2/modeling/sam/transformer.py:190-260.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
        inner: int | None = None,
        key_channels: int | None = None,
        fused: bool = False,
    ):
        inner, key_channels = inner or channels, key_channels or channels
        self.num_heads, self.fused = num_heads, fused
        self.q_proj = Linear(channels, inner, dtype, rngs)
        self.k_proj = Linear(key_channels, inner, dtype, rngs)
        self.v_proj = Linear(key_channels, inner, dtype, rngs)
        self.out_proj = Linear(inner, channels, dtype, rngs)

    def __call__(
        self, q: jax.Array, k: jax.Array, v: jax.Array, valid: jax.Array | None = None
    ) -> jax.Array:
        """Attend from q [b, s, c] to k, v [b, t, ck], valid [b, t]: [b, s, c]."""
        if self.fused:
            # XLA would join products of one input, and take them apart again.
            q, k, v = jax.lax.optimization_barrier((q, k, v))
            q, k, v = self.q_proj(q), self.k_proj(k), self.v_proj(v)
            return self.out_proj(attend_tokens(q, k, v, self.num_heads, valid))
        q = split_heads(self.q_proj(q), self.num_heads)
        k = split_heads(self.k_proj(k), self.num_heads)
        v = split_heads(self.v_proj(v), self.num_heads)
        return self.out_proj(merge_heads(attend(q, k, v, valid)))
