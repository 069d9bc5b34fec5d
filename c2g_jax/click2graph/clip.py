"""Click2Graph on one clip: what the frozen SAM2.1, DIDM and SCH make of it in training.

As in use, but for two things: DIDM looks on every frame, and what it finds is segmented
and named anew on each, so that gradients never run through a memory.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from c2g_jax.click2graph.didm import discover
from c2g_jax.click2graph.dropout import split_key
from c2g_jax.click2graph.model import Click2Graph, apply_prompts, segment_points
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.click2graph.sch import SchLogits
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.preprocess import normalize_frames
from c2g_jax.sam2.prompts import NOT_A_POINT, Prompts
from c2g_jax.sam2.track import Segmentation


class Subjects(NamedTuple):
    """k subjects over a clip of t frames, as SAM2.1 follows them from their prompts."""

    mask_logits: jax.Array  # float32 [t, k, 4h, 4w]
    iou: jax.Array  # float32 [t, k]
    object_score: jax.Array  # float32 [t, k]
    obj_ptr: jax.Array  # float32 [t, k, c]


class Queries(NamedTuple):
    """q points for each of k subjects on a frame, what lies there, and its names."""

    points: jax.Array  # float32 [k, q, 2], (x, y) in [0, 1]
    mask_logits: jax.Array  # float32 [k, q, 4h, 4w]
    iou: jax.Array  # float32 [k, q]
    object_score: jax.Array  # float32 [k, q]
    names: SchLogits  # [k, q, classes]


class ClipPrediction(NamedTuple):
    """What the model says of a clip; all but `subjects` with a leading axis t."""

    subjects: Subjects
    found: Queries
    layer_points: jax.Array  # float32 [t, layers, k, q, 2]
    heat: jax.Array | None  # float32 [t, k, cells], of DIDM where its queries have one
    shown: Queries | None  # the same at true points, where those were given


def encode_clip(model: Click2Graph, frames: UInt8[Array, "t S S 3"]) -> FrameFeatures:
    """Features of all frames, out of reach of any gradient."""
    features = model.sam2.encode_image(normalize_frames(frames))
    return jax.lax.stop_gradient(features)


def follow_subjects(
    model: Click2Graph,
    features: FrameFeatures,
    prompts: Prompts,
    masks: Bool[Array, "k S S"],
    by_mask: Bool[Array, "k"],
) -> Subjects:
    """Prompt k subjects on the first frame and track them to the last.

    Those in `by_mask` are given by their mask. No parameter that trains is on this
    way, so no gradient is taken along it.
    """
    sam2, count = model.sam2, by_mask.shape[0]
    labels = jnp.where(by_mask[:, None], NOT_A_POINT, prompts.point_labels)
    prompts = prompts._replace(point_labels=labels)
    start = _frame(features, 0)
    first = apply_prompts(
        sam2, start, None, prompts, masks.astype(jnp.float32), ~by_mask, by_mask
    )
    all_of_them = jnp.ones(count, bool)
    bank = memory.empty_bank(sam2.config, count)
    zero = jnp.zeros((), jnp.int32)
    bank = track.remember(sam2, bank, start, first, zero, all_of_them, all_of_them)

    def step(bank, frame_and_features):
        frame, here = frame_and_features
        here = jax.tree.map(lambda x: x[None], here)
        bank, answer = track.track_step(sam2, bank, here, frame, all_of_them)
        return bank, _subjects(answer)

    length = features.embed.shape[0]
    rest = (jnp.arange(1, length), jax.tree.map(lambda x: x[1:], features))
    _, later = jax.lax.scan(step, bank, rest, unroll=_loops_are_slow())
    first = jax.tree.map(lambda x: x[None], _subjects(first))
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, later)
    return jax.lax.stop_gradient(joined)


def predict_clip(
    model: Click2Graph,
    features: FrameFeatures,
    subjects: Subjects,
    key: jax.Array | None = None,
    true_points: Float[Array, "t k o 2"] | None = None,
    detach_points: bool = False,
) -> ClipPrediction:
    """DIDM and SCH on every frame of a clip.

    The masks of objects reach DIDM through the coordinates of its points; with
    `detach_points` they do not. Without a `key` nothing is dropped out.
    """
    length = features.embed.shape[0]

    def look(inputs):
        here, seen, frame_key, given = inputs
        here = jax.tree.map(lambda x: x[None], here)
        keys = split_key(frame_key, 3)
        masks = seen.mask_logits > 0
        discovered = discover(model.didm, here.embed, masks, keys[0])
        points = discovered.points
        points = jax.lax.stop_gradient(points) if detach_points else points
        found = name_points(model, here, seen, points, keys[1])
        found = found._replace(points=discovered.points)
        shown = None
        if given is not None:
            shown = name_points(model, here, seen, given, keys[2])
        return found, discovered.layer_points, discovered.heat, shown

    keys = None if key is None else jax.random.split(key, length)
    frames = (features, subjects, keys, true_points)
    if _loops_are_slow():
        found, layer_points, heat, shown = jax.vmap(look)(frames)
    else:
        found, layer_points, heat, shown = jax.lax.map(look, frames)
    return ClipPrediction(subjects, found, layer_points, heat, shown)


def name_points(
    model: Click2Graph,
    features: FrameFeatures,
    subjects: Subjects,
    points: Float[Array, "k q 2"],
    key: jax.Array | None = None,
) -> Queries:
    """Segment what lies at q points of k subjects on one frame, and name the pairs."""
    shape = points.shape[:2]
    rows = segment_points(model.sam2, features, points.reshape(-1, 2))

    def pairs(of_subjects: jax.Array) -> jax.Array:
        return jnp.repeat(of_subjects, shape[1], axis=0)

    subject_feature = pool_mask(features.embed, subjects.mask_logits > 0)
    object_feature = pool_mask(features.embed, rows.mask_logits > 0)
    names = model.sch(
        pairs(subject_feature),
        object_feature,
        pairs(subjects.obj_ptr),
        rows.obj_ptr,
        key,
    )
    found = (rows.mask_logits, rows.iou, rows.object_score, names)
    found = jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), found)
    return Queries(points, *found)


def _loops_are_slow() -> bool:
    """Whether frames are better computed side by side, in more memory.

    XLA runs the body of a loop on one core of a CPU.
    """
    return jax.default_backend() == "cpu"


def _subjects(answer: Segmentation) -> Subjects:
    return Subjects(answer.mask_logits, answer.iou, answer.object_score, answer.obj_ptr)


def _frame(features: FrameFeatures, t: int) -> FrameFeatures:
    return jax.tree.map(lambda x: x[t][None], features)
