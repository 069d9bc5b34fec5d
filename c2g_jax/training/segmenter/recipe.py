"""How clips are prompted and corrected in training SAM2.1.

Upstream's recipe (sam2/configs/sam2.1_training).
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from c2g_jax.training.segmenter.loss import SegmentLoss


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a clip is prompted and corrected."""

    loss: SegmentLoss = dataclasses.field(default_factory=SegmentLoss)
    num_classes: int = 126  # objects in the vocabulary, for `class_loss`
    # Probability that a video starts from masks; images never do.
    mask_prompts: float = 0.5
    boxes: float = 0.5  # share of boxes among the other prompts
    # Correction clicks per corrected frame, one after the other. A step corrects the
    # first frame and up to `corrected_frames` - 1 random ones.
    corrections: int = 7
    corrected_frames: int = 2
    corrected: float = 1.0  # probability of corrections, if not started from masks
    reverse: float = 0.5  # probability that a clip runs backward in time
    # Whether memories use the true presence of an object instead of the predicted one,
    # which upstream uses. From random weights the prediction is useless at first.
    true_presence: bool = False
    remat: bool = False  # recompute each frame in the backward pass to save memory
    # False: the auxiliary losses of image features alone (`from_scratch.aid_losses`).
    prompted: bool = True


class Plan(NamedTuple):
    """What a step does with its clips; the same for all, so that none waits."""

    from_masks: jax.Array  # bool
    corrected: jax.Array  # bool [t]


def draw_plan(key: PRNGKeyArray, recipe: Recipe, num_frames: int) -> Plan:
    """Draw the plan of one training step."""
    keys = jax.random.split(key, 4)
    from_masks = jax.random.uniform(keys[0]) < recipe.mask_prompts
    from_masks &= num_frames > 1
    corrected = jnp.zeros(num_frames, bool)
    if recipe.corrections:
        most = min(recipe.corrected_frames, num_frames)
        count = jax.random.randint(keys[1], (), 1, most + 1)
        later = jax.random.permutation(keys[2], jnp.arange(1, num_frames))
        corrected = corrected.at[0].set(True)
        corrected = corrected.at[later].set(jnp.arange(1, num_frames) < count)
        corrected &= jax.random.uniform(keys[3]) < recipe.corrected
    return Plan(from_masks, corrected & ~from_masks)


def plain_plan(num_frames: int) -> Plan:
    """Return the plan of evaluation: points and boxes, no corrections."""
    return Plan(jnp.zeros((), bool), jnp.zeros(num_frames, bool))
