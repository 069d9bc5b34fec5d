"""Dropout as a pure function of its key."""

import jax
import jax.numpy as jnp


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zero each entry with probability `rate` and scale the rest by 1 / (1 - rate).

    Without a key (inference) x comes back as it is.
    """
    if key is None or rate == 0.0:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), 0).astype(x.dtype)


def split_key(key: jax.Array | None, num: int) -> list[jax.Array | None]:
    """So many independent keys, or so many Nones where there is no key."""
    return [None] * num if key is None else list(jax.random.split(key, num))
