"""Scaled dot-product attention, with bounded memory for long sequences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

# Longer attentions run in blocks of at most so many queries and keys: the scores of a
# frame against a full memory bank would take half a gigabyte an object, those of a
# block stay in a processor's cache.
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
    """Attention of q [b, h, s, d] over k, v [b, h, t, d]: [b, h, s, d].

    `valid` bool [b, t] says which keys exist; the others take no part at all. A row
    without any valid key gives finite values, which callers discard.
    """
    b, h, s, _ = q.shape
    if s * k.shape[2] <= _BLOCK**2:
        return _attend(q, k, v, None if valid is None else valid[:, None])
    if valid is None:
        valid = jnp.ones((b, k.shape[2]), bool)
    valid = jnp.repeat(valid, h, axis=0)
    heads = (*(x.reshape(b * h, *x.shape[2:]) for x in (q, k, v)), valid)
    # A processor takes head after head, an accelerator all together.
    out = jax.lax.platform_dependent(
        heads,
        cpu=functools.partial(jax.lax.map, _attend_in_blocks),
        default=jax.vmap(_attend_in_blocks),
    )
    return out.reshape(b, h, s, -1)


def _attend(q, k, v, valid):
    """The same of q [..., s, d], k, v [..., t, d], valid [..., t], at once."""
    scores, greatest = _scores(q, k, valid)
    sums, total = _sums(scores, greatest, v)
    return (sums / total).astype(v.dtype)  # divided last: fewer sums than weights


def _attend_in_blocks(head):
    """The same of q [s, d], k, v [t, d], valid [t], by a softmax that is corrected.

    What a block of keys adds counts from the greatest score so far; where a later block
    has a greater one, all before shrinks (Milakov and Gimelshein, arXiv 1805.02867).
    """
    q, *memory = head
    memory = tuple(_in_blocks(x) for x in memory)

    def attend_from(q):
        def add(so_far, block):
            k, v, valid = block
            old, sums, total = so_far
            scores, greatest = _scores(q, k, valid)
            greatest = jnp.maximum(old, greatest)
            new_sums, new_total = _sums(scores, greatest, v)
            shrink = jnp.exp(old - greatest)
            return (
                greatest,
                sums * shrink + new_sums,
                total * shrink + new_total,
            ), None

        nothing = jnp.zeros((q.shape[0], 1), jnp.float32)
        sums = jnp.zeros((q.shape[0], memory[1].shape[-1]), jnp.float32)
        start = (nothing - np.float32(np.inf), sums, nothing)
        (_, sums, total), _ = jax.lax.scan(add, start, memory)
        return (sums / total).astype(memory[1].dtype)

    out = jax.lax.map(attend_from, _in_blocks(q))
    return out.reshape(-1, out.shape[-1])[: q.shape[0]]


def _scores(q, k, valid):
    """Scores [..., s, t] in float32 and the greatest of each row [..., s, 1]."""
    scores = jnp.einsum("...sd,...td->...st", q, k, preferred_element_type=jnp.float32)
    scores = scores * np.float32(q.shape[-1] ** -0.5)
    if valid is not None:
        scores = jnp.where(valid[..., None, :], scores, jnp.float32(-1e30))
    return scores, scores.max(-1, keepdims=True)


def _sums(scores, greatest, v):
    """Sums [..., s, d] of values weighted by exp(scores - greatest), and of weights."""
    weights = jnp.exp(scores - greatest)
    sums = jnp.einsum(
        "...st,...td->...sd",
        weights.astype(v.dtype),
        v,
        preferred_element_type=jnp.float32,
    )
    return sums, weights.sum(-1, keepdims=True)


def _in_blocks(x):
    """Cut [n, ...] into [blocks, rows, ...], as even as can be, zero-padded."""
    blocks = -(-len(x) // _BLOCK)
    rows = -(-len(x) // blocks)
    x = jnp.pad(x, [(0, blocks * rows - len(x))] + [(0, 0)] * (x.ndim - 1))
    return x.reshape(blocks, rows, *x.shape[1:])


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
