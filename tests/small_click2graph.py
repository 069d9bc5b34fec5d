"""Click2Graph on a small SAM2.1, quick to compile, with parameters from a seed."""

import functools

import numpy as np
from PIL import Image

from c2g_jax.checkpoints.pretrained import abstract_click2graph
from c2g_jax.checkpoints.safetensors import fill_parameters, parameters
from c2g_jax.click2graph.model import Click2Graph, click2graph_config
from c2g_jax.tracking.loop import track_video
from c2g_jax.types import Prompt, TrackRules
from c2g_jax.vocabulary import Vocabulary
from tests.small_sam2 import one_block_config

HEIGHT, WIDTH = 48, 80
VOCABULARY = Vocabulary(("cat", "ball", "hat"), ("sky",), ("on", "holding"))
SAM2 = one_block_config(
    64,
    embed_dim=8,
    d_model=32,
    mem_dim=16,
    memory_mlp_dim=32,
    decoder_mlp_dim=32,
    iou_head_dim=16,
)
CONFIG = click2graph_config(SAM2, VOCABULARY, TrackRules(max_tracks=3))


@functools.cache
def abstract() -> Click2Graph:
    return abstract_click2graph(CONFIG)


def build(seed: int) -> Click2Graph:
    """A seeded model, its matrices scaled to keep activations near 1."""
    rng, values = np.random.default_rng(seed), {}
    for name, leaf in parameters(abstract()).items():
        scale = 1.0 if len(leaf.shape) < 2 else np.prod(leaf.shape[:-1]) ** -0.5
        if name.endswith("embed") or "embed." in name:
            scale = 1.0
        values[name] = np.float32(scale * rng.normal(size=leaf.shape))
        if name.endswith("scale"):
            values[name] = np.ones(leaf.shape, np.float32)
        elif name.endswith("bias"):
            values[name] = 0.1 * values[name]
    # Objects are in view, which chance would decide otherwise.
    values["sam2.sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += 5
    return fill_parameters(abstract(), values, "the seed")


def resize(rgb: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).resize((size, size)))


def run(model, video, prompts):
    return list(track_video(model, video, prompts, resize, len(video)))


def click(frame: int, object_id: int, x: float, y: float) -> Prompt:
    return Prompt(frame, object_id, points=np.float32([[x, y]]))
