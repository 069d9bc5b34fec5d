"""Random weights from which SAM2.1 learns in hours.

Upstream never starts from random weights: its encoder is pretrained, and so is its
decoder when memory training starts. A plain random initialisation gets there too, but
much later.
"""

import re

import numpy as np

from c2g_jax.checkpoints.safetensors import fill_parameters, initialise, parameters
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.model import Sam2, abstract_sam2

# Scales of memory attention's initial logits: 5 for a memory cell with the same
# features, and 3 less for one that is three cells away.
_LIKENESS, _NEARNESS = 2.0, 1.5


def seeded_sam2(config: Sam2Config, seed: int) -> Sam2:
    """Return a model with random weights from a seed."""
    abstract = abstract_sam2(config)
    model = initialise(abstract, seed, embedding_std=1.0)
    values = parameters(model)
    quiet_features(values)
    matching_memory(values)
    return fill_parameters(model, values, f"seed {seed}")


def quiet_features(values: dict[str, np.ndarray]) -> None:
    """Scale image features down to the size of position encodings, in place.

    Both are added, and the decoder locates a prompt in the image by the position
    encodings. The loss term "features" keeps them small.
    """
    for name, value in values.items():
        if re.fullmatch(
            r"image_encoder\.neck\.convs\..*kernel|.*no_mask_embed.*", name
        ):
            values[name] = value / 4


def matching_memory(values: dict[str, np.ndarray]) -> None:
    """Make memory attention attend to similar and near memory cells, in place.

    Keys invert the projection of features to memories, so that they match queries,
    which are features. Queries and keys share a bias, which RoPE turns into a
    preference for cells within a few cells' distance. The other branches start small.
    With unrelated queries and keys, each cell would attend to the mean of all memories,
    which carries no information on the object's place, and attention would not learn.
    """
    made = np.asarray(values["memory_encoder.pix_feat_proj.kernel"])[0, 0]
    made = made @ np.asarray(values["memory_encoder.out_proj.kernel"])[0, 0]  # [c, m]
    cross = r"memory_attention\.layers\.\d+\.cross_attn_image\."
    for name, value in values.items():
        if re.fullmatch(cross + r"q_proj\.kernel", name):
            values[name] = np.float32(_LIKENESS) * np.eye(len(value), dtype=np.float32)
        elif re.fullmatch(cross + r"k_proj\.kernel", name):
            values[name] = np.float32(_LIKENESS) * made.T
        elif re.fullmatch(cross + r"[qk]_proj\.bias", name):
            values[name] = np.full_like(value, _NEARNESS)
        elif re.fullmatch(
            r"memory_attention\.layers\.\d+\.(self_attn\.out_proj|linear2)\.kernel",
            name,
        ):
            values[name] = value / 10
