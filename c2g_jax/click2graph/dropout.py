"""Dropout as a pure function of its random key."""

import jax
import jax.numpy as jnp


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zero each entry with probability `rate` and scale the rest by 1 / (1 - rate).

    Without a key (inference), return x unchanged.
    """
    if key is None or rate == 0.0:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0).astype(x.dtype)


def split_key(key: jax.Array | None, num: int) -> list[jax.Array | None]:
    """Return `num` independent keys, or as many Nones if `key` is None."""
    return [None] * num if key is None else list(jax.random.split(key, num))
