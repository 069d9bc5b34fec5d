"""Small Click2Graphs with random weights, made without compiling anything."""

import dataclasses

from c2g_jax.checkpoints.pretrained import abstract_click2graph
from c2g_jax.checkpoints.safetensors import initialise
from c2g_jax.click2graph.model import Click2Graph, click2graph_config
from c2g_jax.from_scratch.sch import GEOMETRY, sch_config
from c2g_jax.sam2.config import sam2_config
from tests.small_sam2 import embolden, one_block_config

SIZE = 64


def random_model(size: int = SIZE, seed: int = 0) -> Click2Graph:
    """The toy size."""
    config = click2graph_config(sam2_config("toy", size))
    return initialise(abstract_click2graph(config), seed)


def bold_model(size: int = SIZE, seed: int = 0) -> Click2Graph:
    """Fewer layers than the toy size, for they compile; sees objects everywhere.

    Most of its queries lie on the subject itself, and count here. Its SCH reads
    pointers, features and geometry.
    """
    config = click2graph_config(one_block_config(size))
    sch = sch_config(**dataclasses.asdict(config.sch), predicate=GEOMETRY)
    config = dataclasses.replace(
        config,
        sch=sch,
        didm=dataclasses.replace(config.didm, num_layers=1),
        rules=dataclasses.replace(config.rules, subject_iou=None),
    )
    model = initialise(abstract_click2graph(config), seed)
    embolden(model.sam2)
    return model
