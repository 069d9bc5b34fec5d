"""Small Click2Graphs with random weights, made without compiling anything."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import nnx

from c2g_jax.click2graph import Click2Graph, click2graph_config
from c2g_jax.pretrained import abstract_click2graph
from c2g_jax.sam2.config import sam2_config
from c2g_jax.weights import initialise

SIZE = 64


def random_model(size: int = SIZE, seed: int = 0) -> Click2Graph:
    """The toy size."""
    config = click2graph_config(sam2_config("toy", size))
    return initialise(abstract_click2graph(config), seed)


def bold_model(size: int = SIZE, seed: int = 0) -> Click2Graph:
    """Fewer layers than the toy size, for they compile; sees objects everywhere."""
    sam2 = dataclasses.replace(
        sam2_config("toy", size),
        stages=(1, 1, 1, 1),
        global_att_blocks=(2,),
        memory_layers=1,
    )
    config = click2graph_config(sam2)
    config = dataclasses.replace(
        config, didm=dataclasses.replace(config.didm, num_layers=1)
    )
    model = initialise(abstract_click2graph(config), seed)
    decoder = model.sam2.sam_mask_decoder
    decoder.pred_obj_score_head.layers[-1].bias = nnx.Param(jnp.full(1, 10.0))
    # Random networks answer with faint masks: make them as bold as trained ones.
    for mlp in decoder.output_hypernetworks_mlps:
        kernel = np.asarray(mlp.layers[-1].kernel[...])
        mlp.layers[-1].kernel = nnx.Param(jnp.asarray(20 * kernel))
    for layer in model.sam2.memory_encoder.fuser.layers:
        gamma = np.full(layer.gamma[...].shape, 0.5, np.float32)
        layer.gamma = nnx.Param(jnp.asarray(gamma))
    return model
