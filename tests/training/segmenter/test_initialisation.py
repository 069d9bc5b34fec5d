"""What the random initialisation gives memory attention."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.checkpoints.safetensors import initialise, parameters
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.memory import Memories
from c2g_jax.sam2.model import FrameFeatures, Sam2, abstract_sam2
from c2g_jax.training.segmenter.initialisation import seeded_sam2

SIDE = 8  # cells of the image, across and down
CONFIG = sam2_config("toy", 16 * SIDE)


def share_inside(model: Sam2) -> float:
    """Return the share of a mask's effect on the next frame that lies in the mask."""
    config = model.config
    shape = (1, SIDE, SIDE, config.d_model)
    features = FrameFeatures(jax.random.normal(jax.random.key(0), shape), ())
    here, soft = jnp.ones(1, bool), jnp.zeros(1, bool)
    inside = np.zeros((SIDE, SIDE), bool)
    inside[1:4, 2:5] = True
    mask = jnp.kron(jnp.where(inside, 10.0, -10.0), jnp.ones((16, 16)))[None]

    def seen(mask: jax.Array) -> jax.Array:
        memory = model.encode_memory(features, mask, here, soft)
        memories = Memories(
            spatial=memory[:, None],
            spatial_time=jnp.full((1, 1), 6),
            spatial_valid=jnp.ones((1, 1), bool),
            pointers=jnp.zeros((1, 1, config.d_model)),
            pointer_time=jnp.ones((1, 1)),
            pointer_valid=jnp.zeros((1, 1), bool),
        )
        return model.with_memory(features, memories, 8)[0]

    change = np.asarray(jnp.sum((seen(mask) - seen(-jnp.abs(mask))) ** 2, axis=-1))
    return change[inside].sum() / change.sum()


@pytest.fixture(scope="module")
def seeded():
    return seeded_sam2(CONFIG, 0)


def test_initial_memory_attention_keeps_a_mask_s_place(seeded):
    plain = initialise(abstract_sam2(CONFIG), 0)
    assert share_inside(plain) < 0.2  # it covers 0.14 of the image
    assert share_inside(seeded) > 0.4  # the rest are its neighbours


def test_initial_prompts_know_their_place(seeded):
    decoder, encoder = seeded.sam_mask_decoder, seeded.sam_prompt_encoder
    cross = decoder.transformer.layers[1].cross_attn_image_to_token
    cell = np.array([2, 5])  # (x, y)
    grid = encoder.dense_position().reshape(SIDE * SIDE, -1)
    point = encoder.pe_layer(jnp.array([(cell + 0.5) / SIDE]))
    width = cross.q_proj.kernel.shape[1] // CONFIG.decoder_heads
    query, key = grid @ cross.q_proj.kernel[...], point @ cross.k_proj.kernel[...]
    logits = (query * key).reshape(SIDE, SIDE, -1, width).sum(-1) / np.sqrt(width)
    for head in range(4):
        peak = np.unravel_index(np.argmax(logits[..., head]), (SIDE, SIDE))
        assert peak[::-1] == (2, 5)
        assert logits[5, 2, head] == pytest.approx(6, abs=0.01)
    right, left, below, above = np.moveaxis(np.asarray(logits[..., 4:]), -1, 0)
    np.testing.assert_allclose(right, -left, atol=1e-5)
    np.testing.assert_allclose(below, -above, atol=1e-5)
    assert right[:, 3:].min() > 3
    assert left[:, :2].min() > 3
    assert below[6:].min() > 3
    assert above[:5].min() > 3


def test_a_seed_makes_the_same_model_again(seeded):
    one, same, other = (
        parameters(model)
        for model in (seeded, seeded_sam2(CONFIG, 0), seeded_sam2(CONFIG, 1))
    )
    assert all(np.array_equal(one[name], same[name]) for name in one)
    kernel = "image_encoder.neck.convs.0.kernel"
    assert not np.array_equal(one[kernel], other[kernel])
    scale = np.std(np.asarray(one[kernel])) * np.sqrt(one[kernel].shape[-2])
    assert scale == pytest.approx(0.25, rel=0.1)
