"""Predictions and targets of a clip, small enough to compute its loss by hand."""

import jax.numpy as jnp

from c2g_jax.click2graph.clip import ClipPrediction, Queries
from c2g_jax.click2graph.didm import DidmOutput
from c2g_jax.click2graph.sch import SchLogits
from c2g_jax.click2graph.targets import ClipTargets
from c2g_jax.sam2.track import Segmentation

CLASSES, PREDICATES = 3, 2


def queries(points, t=1, k=1) -> Queries:
    """Queries at points [q, 2], the same for all frames and subjects; all logits 0."""
    points = jnp.broadcast_to(jnp.asarray(points), (t, k, len(points), 2))
    shape = points.shape[:3]
    logits = SchLogits(
        jnp.zeros((*shape, CLASSES)),
        jnp.zeros((*shape, CLASSES + 1)),
        jnp.zeros((*shape, PREDICATES + 1)),
    )
    return Queries(
        points, jnp.zeros((*shape, 2, 2)), jnp.zeros(shape), jnp.ones(shape), logits
    )


def prediction(found: Queries) -> ClipPrediction:
    t, k = found.points.shape[:2]
    subjects = Segmentation(
        jnp.zeros((t, k, 2, 2)),
        jnp.ones((t, k)),
        jnp.ones((t, k)),
        jnp.zeros((t, k, 4)),
        candidates=None,
        candidate_ious=None,
    )
    discovered = DidmOutput(found.points, found.points[:, None])
    return ClipPrediction(subjects, discovered, found, None)


def targets(points, predicates, t=1) -> ClipTargets:
    """One subject with o objects at points [o, 2] or [t, o, 2], predicates [o, p]."""
    points, predicates = jnp.asarray(points), jnp.asarray(predicates, bool)
    o = predicates.shape[-2]
    masks = jnp.zeros((t, 1, o, 2, 2)).at[..., 0, 0].set(1.0)
    return ClipTargets(
        subject_masks=jnp.ones((t, 1, 2, 2)),
        subject_labels=jnp.zeros(1, jnp.int32),
        subject_valid=jnp.ones((t, 1), bool),
        object_masks=masks,
        object_labels=jnp.arange(o)[None] % CLASSES,
        points=jnp.broadcast_to(points, (t, o, 2))[:, None],
        predicates=jnp.broadcast_to(predicates, (t, o, PREDICATES))[:, None],
    )
