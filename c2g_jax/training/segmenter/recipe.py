"""How clips are prompted and corrected while SAM2.1 trains on them.

The recipe is upstream's (sam2/configs/sam2.1_training).
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
    num_classes: int = 126  # of the vocabulary, for the loss of classes
    mask_prompts: float = 0.5  # how often a video starts from masks; images never do
    boxes: float = 0.5  # share of boxes among the other prompts
    # So many clicks correct a frame in turn. The first frame is among the corrected
    # ones, of which there are one to `corrected_frames`, drawn for each step.
    corrections: int = 7
    corrected_frames: int = 2
    corrected: float = 1.0  # how often a step that does not start from masks corrects
    reverse: float = 0.5  # how often a clip runs backward in time
    # True: whether an object is in view is taken from the truth where memories are
    # made. Upstream takes its own prediction, which is worth nothing at first.
    true_presence: bool = False
    remat: bool = False  # compute each frame again in the backward pass, to save memory


class Plan(NamedTuple):
    """What a step does with all of its clips: no clip of a batch waits for another."""

    from_masks: jax.Array  # bool
    corrected: jax.Array  # bool [t]


def draw_plan(key: PRNGKeyArray, recipe: Recipe, num_frames: int) -> Plan:
    """The plan of one training step."""
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
    """The plan of evaluation: points and boxes, and no corrections."""
    return Plan(jnp.zeros((), bool), jnp.zeros(num_frames, bool))
