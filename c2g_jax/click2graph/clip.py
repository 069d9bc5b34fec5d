"""Forward pass of Click2Graph over a training clip (paper 3.6: 8-frame clips).

It differs from inference (`tracking`) in two ways: DIDM runs on every frame, and the
objects that it discovers are segmented and classified on each frame independently, so
that no gradient runs through the memory bank.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from c2g_jax.click2graph.didm import DidmOutput
from c2g_jax.click2graph.dropout import split_key
from c2g_jax.click2graph.geometry import mask_moments
from c2g_jax.click2graph.model import Click2Graph, apply_prompts, segment_points
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.click2graph.sch import SchLogits
from c2g_jax.data.masks import object_masks
from c2g_jax.data.prompts import MASK
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.model import FrameFeatures, normalize_frames
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.sam2.track import Segmentation
from c2g_jax.types import NOT_A_POINT


class Queries(NamedTuple):
    """Masks and class logits at q points of each of k subjects on a frame."""

    points: jax.Array  # float32 [k, q, 2], (x, y) in [0, 1]
    mask_logits: jax.Array  # float32 [k, q, 4h, 4w]
    iou: jax.Array  # float32 [k, q]
    object_score: jax.Array  # float32 [k, q]
    class_logits: SchLogits  # [k, q, classes]


class ClipPrediction(NamedTuple):
    """Output of the model for a clip; all fields have a leading axis t."""

    subjects: Segmentation  # of k prompted subjects, without candidates
    discovered: DidmOutput
    found: Queries  # at DIDM's points
    at_truth: Queries | None  # at ground-truth points, where those were given


def encode_clip(model: Click2Graph, frames: UInt8[Array, "t S S 3"]) -> FrameFeatures:
    """Return the features of all frames, without gradient."""
    features = model.sam2.encode_image(normalize_frames(frames))
    return jax.lax.stop_gradient(features)


def follow_clip(
    model: Click2Graph, clip: Mapping[str, jax.Array]
) -> tuple[FrameFeatures, Segmentation]:
    """Return features and subjects of a clip of the loader's task "relations"."""
    features = encode_clip(model, clip["frames"])
    subjects = follow_subjects(
        model,
        features,
        Prompts(clip["prompt_coords"], clip["prompt_labels"]),
        object_masks(clip["segments"][:1], clip["subjects"])[0],
        clip["prompt_kind"] == MASK,
    )
    return features, subjects


def follow_subjects(
    model: Click2Graph,
    features: FrameFeatures,
    prompts: Prompts,
    masks: Bool[Array, "k S S"],
    by_mask: Bool[Array, "k"],
) -> Segmentation:
    """Prompt k subjects on the first frame and track them to the last.

    All fields of the result have a leading axis t; it has no candidates.

    Subjects in `by_mask` are prompted by `masks`, the others by `prompts`. SAM2.1 is
    frozen, so the result has no gradient.
    """
    sam2, count = model.sam2, by_mask.shape[0]
    labels = jnp.where(by_mask[:, None], NOT_A_POINT, prompts.point_labels)
    prompts = prompts._replace(point_labels=labels)
    start = features.frame(0)
    first = apply_prompts(
        sam2, start, None, prompts, masks.astype(jnp.float32), ~by_mask, by_mask
    )
    all_slots = jnp.ones(count, bool)
    bank = memory.empty_bank(sam2.config, count)
    zero = jnp.zeros((), jnp.int32)
    bank = track.remember(sam2, bank, start, first, zero, all_slots, all_slots)

    def step(bank, frame_and_features):
        frame, here = frame_and_features
        here = jax.tree.map(lambda x: x[None], here)
        bank, answer = track.track_step(sam2, bank, here, frame, all_slots)
        return bank, answer.without_candidates()

    length = features.embed.shape[0]
    rest = (jnp.arange(1, length), jax.tree.map(lambda x: x[1:], features))
    _, later = jax.lax.scan(step, bank, rest, unroll=_loops_are_slow(model))
    first = jax.tree.map(lambda x: x[None], first.without_candidates())
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, later)
    return jax.lax.stop_gradient(joined)


def predict_clip(
    model: Click2Graph,
    features: FrameFeatures,
    subjects: Segmentation,
    key: jax.Array | None = None,
    true_points: Float[Array, "t k o 2"] | None = None,
    detach_points: bool = False,
    detach_pointers: bool = False,
) -> ClipPrediction:
    """Run DIDM and SCH on every frame of a clip.

    Gradients of object masks and of the pairs' classes reach DIDM through the
    coordinates of its points, unless `detach_points`; those of the classes not with
    `detach_pointers`. SCH also classifies the objects at `true_points`, if given.
    Dropout is applied only with a `key`.
    """
    length = features.embed.shape[0]

    def frame(inputs):
        here, subject, frame_key, given = inputs
        here = jax.tree.map(lambda x: x[None], here)
        keys = split_key(frame_key, 3)
        discovered = model.didm(here.embed, subject.mask_logits > 0, keys[0])
        points = discovered.points
        points = jax.lax.stop_gradient(points) if detach_points else points
        found = classify_points(model, here, subject, points, keys[1], detach_pointers)
        found = found._replace(points=discovered.points)
        at_truth = None
        if given is not None:
            at_truth = classify_points(model, here, subject, given, keys[2])
        return discovered, found, at_truth

    keys = None if key is None else jax.random.split(key, length)
    frames = (features, subjects, keys, true_points)
    if _loops_are_slow(model):
        return ClipPrediction(subjects, *jax.vmap(frame)(frames))
    return ClipPrediction(subjects, *jax.lax.map(frame, frames))


def classify_points(
    model: Click2Graph,
    features: FrameFeatures,
    subjects: Segmentation,
    points: Float[Array, "k q 2"],
    key: jax.Array | None = None,
    detach_pointers: bool = False,
) -> Queries:
    """Segment objects at q points of k subjects on one frame; classify the pairs.

    With `detach_pointers`, the class logits have no gradient in the points.
    """
    shape = points.shape[:2]
    rows = segment_points(model.sam2, features, points.reshape(-1, 2))
    pointers = jax.lax.stop_gradient(rows.obj_ptr) if detach_pointers else rows.obj_ptr

    def pairs(of_subjects: jax.Array) -> jax.Array:
        return jnp.repeat(of_subjects, shape[1], axis=0)

    subject_masks, found_masks = subjects.mask_logits > 0, rows.mask_logits > 0
    class_logits = model.sch(
        pairs(pool_mask(features.embed, subject_masks)),
        pool_mask(features.embed, found_masks),
        pairs(subjects.obj_ptr),
        pointers,
        pairs(mask_moments(subject_masks)),
        mask_moments(found_masks),
        key,
    )
    found = (rows.mask_logits, rows.iou, rows.object_score, class_logits)
    found = jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), found)
    return Queries(points, *found)


def _loops_are_slow(model: Click2Graph) -> bool:
    """Tell whether to vectorise over frames, which needs more memory than a loop.

    XLA runs the body of a loop on a single core of a CPU. A model with fused attention
    is meant for a GPU.
    """
    return jax.default_backend() == "cpu" and not model.sam2.config.fused
