"""How SAM2.1 starts where it learns from nothing.

Upstream never does: its encoder is pretrained, and so is its decoder when memory begins
to learn. All kernels drawn alike would do in the end; these do in hours.
"""

import re

import numpy as np

from c2g_jax.checkpoints.safetensors import fill_parameters, initialise, parameters
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.model import Sam2, abstract_sam2

# At first: five in the logit of a cell of memory that looks the same, and three less
# for one that is three cells away.
_LIKENESS, _NEARNESS = 2.0, 1.5


def seeded_sam2(config: Sam2Config, seed: int) -> Sam2:
    """A model to train, from a seed."""
    abstract = abstract_sam2(config)
    model = initialise(abstract, seed, embedding_std=1.0)
    values = parameters(model)
    quiet_features(values)
    matching_memory(values)
    return fill_parameters(model, values, f"seed {seed}")


def quiet_features(values: dict[str, np.ndarray]) -> None:
    """Make image features no larger than position encodings.

    They are added to each other, and by the position alone the decoder finds a prompt's
    place in the image. `SegmentLoss.features` keeps them so.
    """
    for name, value in values.items():
        if re.fullmatch(
            r"image_encoder\.neck\.convs\..*kernel|.*no_mask_embed.*", name
        ):
            values[name] = value / 4


def matching_memory(values: dict[str, np.ndarray]) -> None:
    """Make memory attention look for what is alike and near.

    Keys turn a memory back into the features it was made of, which queries are, and
    both have a bias in common: as they turn with their place, it is felt over a few
    cells. The other branches begin small. Where queries and keys know nothing of each
    other, each cell sees the mean of all memories, and as that says nothing of where an
    object is, attention does not learn to do better.
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
