"""What training from nothing asks of the image features, besides what prompts do."""

import jax
import jax.numpy as jnp

from c2g_jax.from_scratch.body_loss import body_error
from c2g_jax.from_scratch.class_loss import class_error
from c2g_jax.from_scratch.link_loss import link_error
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.training.segmenter.loss import SegmentLoss


def feature_terms(
    config: SegmentLoss,
    features: FrameFeatures,
    clip: dict[str, jax.Array],
    num_classes: int,
) -> dict[str, jax.Array]:
    """The terms of the features by name, unweighted: those that have a weight.

    `clip` is what the loader makes for the task "segments". "features" is there in any
    case: the mean square over the three levels.
    """
    levels = [jnp.mean(x.astype(jnp.float32) ** 2) for x in jax.tree.leaves(features)]
    terms = {"features": sum(levels) / len(levels)}
    embedding, segments = features.embed, clip["segments"]
    if config.classes:
        terms["classes"] = class_error(
            features, segments, clip["categories"], num_classes
        )
    if config.bodies:
        terms["bodies"] = body_error(embedding, segments)
    if config.links:
        terms["links"] = link_error(embedding, segments, clip["objects"], clip["holds"])
    return terms
