"""Masks are encoded independently of the size of their group."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.sam2 import memory_encoder
from c2g_jax.sam2.config import sam2_config


@pytest.mark.parametrize("together", [1, 2, 5])
def test_any_number_of_masks_is_encoded_as_each_alone(together, monkeypatch):
    config = sam2_config("toy", 64)
    encoder = memory_encoder.MemoryEncoder(config, nnx.Rngs(0))
    rng, side = np.random.default_rng(0), config.feature_size
    image = jnp.asarray(rng.normal(size=(1, side, side, config.d_model)), jnp.float32)
    masks = jnp.asarray(rng.normal(size=(5, 64, 64)), jnp.float32)
    alone = [encoder(image, masks[i : i + 1]) for i in range(5)]
    monkeypatch.setattr(memory_encoder, "_MAX_PIXELS", together * 64 * 64)
    # Sums over a batch are rounded in another order.
    np.testing.assert_allclose(encoder(image, masks), jnp.concatenate(alone), atol=1e-5)
