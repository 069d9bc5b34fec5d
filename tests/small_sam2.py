"""Small SAM2.1 models that compile quickly, with objects always present or absent."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import nnx

from c2g_jax.sam2.config import Sam2Config, sam2_config
from c2g_jax.sam2.model import Sam2


def one_block_config(size: int, **changes) -> Sam2Config:
    """The toy size with one block a stage and one memory attention layer; `changes`."""
    less = dict(stages=(1, 1, 1, 1), global_att_blocks=(2,), memory_layers=1)
    return dataclasses.replace(sam2_config("toy", size), **less | changes)


def embolden(model: Sam2) -> Sam2:
    """Make a random model find an object everywhere; compiles nothing."""
    decoder = model.sam_mask_decoder
    decoder.pred_obj_score_head.layers[-1].bias = nnx.Param(jnp.full(1, 10.0))
    # Scale the mask logits of random networks to the size of trained ones.
    for mlp in decoder.output_hypernetworks_mlps:
        kernel = np.asarray(mlp.layers[-1].kernel[...])
        mlp.layers[-1].kernel = nnx.Param(jnp.asarray(20 * kernel))
    # As in a trained network, the memory should matter.
    for layer in model.memory_encoder.fuser.layers:
        gamma = np.full(layer.gamma[...].shape, 0.5, np.float32)
        layer.gamma = nnx.Param(jnp.asarray(gamma))
    return model


def blinded(model: Sam2) -> Sam2:
    """The same model with negative object scores."""
    blind = nnx.merge(*nnx.split(model))
    head = blind.sam_mask_decoder.pred_obj_score_head.layers[-1]
    head.bias = nnx.Param(head.bias[...] - 30)
    return blind
