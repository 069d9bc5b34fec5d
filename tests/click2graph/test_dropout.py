"""Dropout with a key of its own."""

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.click2graph.dropout import dropout


def test_dropout_keeps_the_mean_and_scales_what_stays():
    x = jnp.full((100, 100), 3.0)
    y = np.asarray(dropout(x, 0.25, jax.random.key(0)))
    np.testing.assert_allclose(np.unique(y), [0, 4])
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert dropout(x, 0.25, None) is x
    assert dropout(x, 0.0, jax.random.key(0)) is x
