"""What training from nothing asks of the image features, besides what prompts do."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt8

from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.training.body_loss import body_error
from c2g_jax.training.class_loss import class_error
from c2g_jax.training.segment_loss import SegmentLoss


def feature_terms(
    config: SegmentLoss,
    features: FrameFeatures,
    segments: UInt8[Array, "t S S"],
    categories: Int[Array, "256"],
    num_classes: int,
) -> dict[str, jax.Array]:
    """The terms of the features by name, unweighted: those that have a weight.

    "features" is there in any case: the mean square over the three levels.
    """
    levels = [jnp.mean(x.astype(jnp.float32) ** 2) for x in jax.tree.leaves(features)]
    terms = {"features": sum(levels) / len(levels)}
    if config.classes:
        terms["classes"] = class_error(features, segments, categories, num_classes)
    if config.bodies:
        terms["bodies"] = body_error(features.embed, segments)
    return terms
