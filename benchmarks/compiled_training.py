"""Training steps of the project's configurations, to be compiled for described GPUs.

For `benchmarks.compiled --training`: DIDM and SCH around a frozen SAM2.1, as the paper
trains them (configs/open_pvsg.py), and SAM2.1 itself, fine-tuned
(configs/sam2_toy.py:finetune). Nothing is read but the configurations: models, batches
and optimizer states are shapes.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.fused_attention import FUSED
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.training import sharding, tasks
from c2g_jax.training import state as states
from c2g_jax.training.config_files import load_config
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

_CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def training_programs(
    mesh: jax.sharding.Mesh,
    size: str,
    image_size: int | None,
    dtype: str,
    attention: str,
) -> Iterator[tuple[str, Callable, tuple]]:
    """Yield the name, step and abstract arguments of each training, a clip a device.

    Without an `image_size` it is that of each configuration.
    """
    devices = mesh.size

    def step(config: ConfigDict) -> tuple[Callable, tuple]:
        if image_size is not None:
            config.sam2.image_size = image_size
        return training_step(config, size, dtype, mesh, attention)

    config = load_config(f"{_CONFIGS / 'open_pvsg.py'}:{devices}")
    yield f"click2graph_{devices}", *step(config)
    config = load_config(f"{_CONFIGS / 'sam2_toy.py'}:finetune")
    config.batch_size = devices
    yield f"finetune_{devices}", *step(config)


def training_step(
    config: ConfigDict,
    size: str,
    dtype: str,
    mesh: jax.sharding.Mesh,
    attention: str = FUSED,
) -> tuple[Callable, tuple]:
    """Return the step of a configuration around a SAM2.1 of a size, and its arguments.

    The arguments are abstract, and lie on the devices of the mesh.
    """
    sam2 = sam2_config(size, config.sam2.image_size, dtype, attention)
    vocabulary = load_vocabulary()
    task = tasks.make_task(config, abstract_sam2(sam2), vocabulary, None)
    parts, optim = states.split_params(task), tasks.optim_config(config)
    state = jax.eval_shape(lambda x: states.initial_state(optim, x), parts.trained)
    clips = tasks.clip_config(config, sam2.image_size)
    batch = abstract_batch(clips, vocabulary, config.batch_size)
    step = states.make_train_step(task, optim, parts, mesh, config.seed)
    whole, divided = sharding.replicated(mesh), sharding.sharded(mesh)
    return step, (
        placed(state, whole),
        placed(parts.frozen, whole),
        placed(batch, divided),
    )


def placed(tree: Any, where: jax.sharding.Sharding) -> Any:
    """Return the abstract arrays of a tree, with a sharding."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), tree
    )


def abstract_batch(
    config: ClipConfig, vocabulary: Vocabulary, count: int
) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes of a batch of `count` clips, as `data.clips` lists them."""
    t, side, p = config.num_frames, config.image_size, len(vocabulary.predicates)
    arrays = {
        "frames": ((t, side, side, 3), jnp.uint8),
        "segments": ((t, side, side), jnp.uint8),
        "start": ((), jnp.int32),
        "video_index": ((), jnp.int32),
    }
    if config.task == "relations":
        k, o = config.max_subjects, config.object_slots
        arrays |= {
            "subjects": ((k,), jnp.int32),
            "subject_labels": ((k,), jnp.int32),
            "objects": ((k, o), jnp.int32),
            "object_labels": ((k, o), jnp.int32),
            "predicates": ((k, o, t, p), jnp.bool_),
            "points": ((k, o, t, 2), jnp.float32),
            "point_valid": ((k, o, t), jnp.bool_),
            "prompt_kind": ((k,), jnp.int32),
            "prompt_coords": ((k, 2, 2), jnp.float32),
            "prompt_labels": ((k, 2), jnp.int32),
            "overflow": ((), jnp.int32),
        }
    else:
        n = config.max_objects
        arrays |= {
            "objects": ((n,), jnp.int32),
            "categories": ((256,), jnp.int32),
            "holds": ((n, n, t, p), jnp.bool_),
        }
    return {
        name: jax.ShapeDtypeStruct((count, *shape), dtype)
        for name, (shape, dtype) in arrays.items()
    }
