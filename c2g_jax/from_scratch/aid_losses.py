"""Auxiliary losses for training SAM2.1 from random weights.

Prompts alone teach an encoder slowly: each describes one object of one image. These
losses add what the annotation knows besides: the class of each feature cell, which
cells belong to one object, which objects are related, where a remembered object is on a
tracked frame, and which predicates hold between two object pointers.

None of them adds a layer. Classes, predicates and "the object is here" are fixed random
directions of the feature space (fixed classifiers: arXiv 1801.04540), which features,
memories and pointers learn to turn to. The paper needs none of this.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from c2g_jax.from_scratch.pointing import SHARPNESS, pointing, unit
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.types import NO_CLASS

# Scales of cosines to logits.
_CLASS_SHARPNESS = 16.0  # a probability of 0.99 among 126 classes needs 10
_POINTER_SHARPNESS = 8.0  # of two cosines; 0.99 among 57 predicates needs 9 in all
# Two cells are of one object with probability sigmoid(10 (cosine - 0.5)).
_BODY_SHARPNESS, _BODY_MIDDLE = 10.0, 0.5
_BODY_SIDE = 20  # most cells across, of which all pairs are compared
_SIDE = 4  # pixels sampled in a cell, across and down, for its classes
# Seeds of the fixed directions.
_CLASSES, _HERE, _PREDICATES = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class AidWeights:
    """Weights of the auxiliary losses; 0 leaves one out."""

    # Mean square of the image features. Nothing in SAM2.1 bounds them: from random
    # weights they grow to forty times the position encodings that are added to them,
    # and the decoder no longer sees where anything is. 0 for a pretrained model.
    features: float = 0.0
    classes: float = 0.0  # `class_loss`
    bodies: float = 0.0  # `body_loss`
    links: float = 0.0  # `link_loss`
    places: float = 0.0  # `memory_loss`
    relations: float = 0.0  # `pointer_loss`


def feature_losses(
    weights: AidWeights,
    features: FrameFeatures,
    upscaled: Float[Array, "t 4h 4w c/8"],
    clip: dict[str, jax.Array],
    num_classes: int,
) -> dict[str, jax.Array]:
    """Return the losses of image features by name, unweighted.

    "features", the mean square over the three levels, is always there; the others only
    where their weight is not 0. `upscaled` is what the mask decoder makes of the
    features (`MaskDecoder.upscale`), without a prompt; `clip` is a clip of the task
    "segments" (`data.clips`).

    A mask is read off `upscaled`, cell by cell, so classes and bodies are taught there
    too. The level of stride 4 alone sees too little: two blocks, windows of 32 pixels.
    """
    levels = [jnp.mean(x.astype(jnp.float32) ** 2) for x in jax.tree.leaves(features)]
    terms = {"features": sum(levels) / len(levels)}
    embedding, segments = features.embed, clip["segments"]
    _, middle = features.high_res
    if weights.classes:
        classes = segments, clip["categories"], num_classes
        errors = [class_loss(x, *classes) for x in (embedding, middle, upscaled)]
        terms["classes"] = sum(errors) / len(errors)
    if weights.bodies:
        errors = [body_loss(embedding, segments), body_loss(upscaled, segments)]
        terms["bodies"] = sum(errors) / len(errors)
    if weights.links:
        terms["links"] = link_loss(embedding, segments, clip["objects"], clip["holds"])
    return terms


def class_loss(
    features: Float[Array, "t h w c"],
    segments: UInt8[Array, "t S S"],
    categories: Int[Array, "256"],
    num_classes: int,
) -> Float[Array, ""]:
    """Return the mean cross entropy of the cells' classes.

    The logits of a cell are its cosines to the classes' directions. `categories` is the
    class of each id in `segments`, or NO_CLASS, which is ignored. All objects of a
    frame weigh the same, whatever their area: stuff covers nine tenths of a frame, and
    is easy. A cell that covers several objects has the class of each as a target.
    """
    t, h, w, c = features.shape
    codes = fixed_directions(_CLASSES, num_classes, c)
    log_probs = jax.nn.log_softmax(_CLASS_SHARPNESS * unit(features) @ codes.T)
    block = segments.shape[1] // h
    step = max(block // _SIDE, 1)
    sampled = segments[:, step // 2 :: step, step // 2 :: step]
    side = sampled.shape[1] // h
    sampled = sampled.reshape(t, h, side, w, side).swapaxes(2, 3)
    ids = sampled.reshape(t, h, w, side**2)
    classes = categories[ids]
    error = -jnp.take_along_axis(log_probs, jnp.maximum(classes, 0), axis=-1)
    counted = (classes != NO_CLASS).astype(jnp.float32)
    frame = jnp.arange(t)[:, None, None, None]
    area = jnp.zeros((t, 256)).at[frame, ids].add(counted)
    weight = counted / jnp.maximum(area[frame, ids], 1)
    return jnp.sum(error * weight) / jnp.maximum(jnp.sum(weight), 1e-6)


def body_loss(
    embedding: Float[Array, "t h w c"], segments: UInt8[Array, "t S S"]
) -> Float[Array, ""]:
    """Return the mean cross entropy of "same object" over all pairs of a frame's cells.

    A cell belongs to the id under its centre; cells of id 0, no object, are ignored.
    Of more than 20 x 20 cells, every third is taken, or every fifth and so on: odd, so
    that all places within a cell of the embedding have their turn.
    For each cell, its own object and the others together weigh the same; so does each
    of the others, whatever its area, and so do all objects in the mean. Otherwise stuff
    would count nine times as much as the bodies that touch each other.
    """
    t, h, w, c = embedding.shape
    step = -(-h // _BODY_SIDE) // 2 * 2 + 1
    ids = cell_ids(segments, h).reshape(t, h, w)[:, ::step, ::step].reshape(t, -1)
    x = unit(embedding[:, ::step, ::step].reshape(t, -1, c))
    logits = _BODY_SHARPNESS * (jnp.einsum("tic,tjc->tij", x, x) - _BODY_MIDDLE)
    known = ids > 0
    both = known[:, :, None] & known[:, None, :]
    same = both & (ids[:, :, None] == ids[:, None, :])
    weight = known / jnp.maximum(jnp.sum(same, axis=-1), 1)  # 1 / area
    other = (both & ~same) * weight[:, None]

    def row_means(error: jax.Array, weights: jax.Array) -> jax.Array:
        total = jnp.sum(weights, axis=-1)
        return jnp.sum(error * weights, axis=-1) / jnp.maximum(total, 1e-6)

    error = row_means(jax.nn.softplus(-logits), same)
    error += row_means(jax.nn.softplus(logits), other)
    return jnp.sum(error * weight) / jnp.maximum(jnp.sum(weight), 1e-6)


def link_loss(
    embedding: Float[Array, "t h w c"],
    segments: UInt8[Array, "t S S"],
    objects: Int[Array, "n"],
    holds: Bool[Array, "n n t p"],
) -> Float[Array, ""]:
    """Return the mean cross entropy of where each subject's related objects are.

    DIDM reads a frozen encoder's features for what a subject interacts with. A large
    pretrained SAM2.1 holds that information; a small one that learned masks alone does
    not, and no head can read what is not there.

    Each cell of a subject spreads attention over the cells of all `objects`, by
    `pointing`; the share that falls on each related object should be 1 (the error is
    the mean over a cell's related objects). Ids of 0 in `objects` are padding. A cell
    belongs to the id under its centre; all subjects weigh the same, whatever their
    area. 0 where no relation holds.
    """
    t, h, w, c = embedding.shape
    ids = cell_ids(segments, h)[:, :, None]
    member = ((ids == objects) & (objects > 0)).astype(jnp.float32)  # [t, cells, n]
    x = unit(embedding.reshape(t, h * w, c))
    logits = SHARPNESS * pointing(x, x)
    known = jnp.any(member > 0, axis=-1)
    attention = jax.nn.softmax(jnp.where(known[:, None], logits, -1e9))
    share = attention @ member
    related = jnp.moveaxis(jnp.any(holds, axis=-1), -1, 0).astype(jnp.float32)
    size = jnp.sum(member, axis=1)  # [t, n], cells
    target = (member @ related) * (size > 0)[:, None]
    error = jnp.sum(-jnp.log(share + 1e-30) * target, axis=-1)
    error /= jnp.maximum(jnp.sum(target, axis=-1), 1)
    own = jnp.sum(member * size[:, None], axis=-1)
    weight = jnp.any(target > 0, axis=-1) / jnp.maximum(own, 1)
    return jnp.sum(error * weight) / jnp.maximum(jnp.sum(weight), 1e-6)


def memory_loss(
    image: Float[Array, "n h w c"],
    shares: Float[Array, "n h w"],
    where: Bool[Array, "n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the cross entropy of "the object is here", summed over `where`, and the
    number of objects in `where`.

    Without it, memory learns through the decoder alone, which has no prompt on a
    tracked frame and so learns nothing until the features say whose mask is wanted.

    `image` is a frame after memory attention, for each object; `shares` the share of
    each cell that the object covers. The logit of a cell is its product with one fixed
    direction: the features come out of a layer norm, so their length is known. For each
    object, its own area and the rest of the frame weigh the same.
    """
    c = image.shape[-1]
    logits = image.astype(jnp.float32) @ fixed_directions(_HERE, c)

    def mean(error: jax.Array, weight: jax.Array) -> jax.Array:
        total = jnp.sum(weight, axis=(1, 2))
        return jnp.sum(error * weight, axis=(1, 2)) / jnp.maximum(total, 1e-6)

    error = mean(jax.nn.softplus(-logits), shares)
    error += mean(jax.nn.softplus(logits), 1 - shares)
    return jnp.sum(error * where), jnp.sum(where.astype(jnp.float32))


def pointer_loss(
    pointers: Float[Array, "n c"],
    holds: Bool[Array, "n n p"],
    present: Bool[Array, "n"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the cross entropy of the predicates between i and j, summed over pairs,
    and the number of pairs.

    SCH reads predicates off the object pointers of a frozen SAM2.1; masks alone do not
    teach a pointer what its object does.

    A predicate has two fixed directions, one for its subject's pointer and one for its
    object's; its logit is the sum of both cosines. A pair with several predicates has
    them all as targets, in equal shares. Pairs without a predicate, and objects that
    are not `present`, are ignored.
    """
    codes = fixed_directions(_PREDICATES, 2, holds.shape[-1], pointers.shape[-1])
    x = unit(pointers)
    as_subject, as_object = x @ codes[0].T, x @ codes[1].T
    logits = _POINTER_SHARPNESS * (as_subject[:, None] + as_object[None])
    log_probs = jax.nn.log_softmax(logits)
    number = jnp.sum(holds, axis=-1)
    error = -jnp.sum(log_probs * holds, axis=-1) / jnp.maximum(number, 1)
    counted = (number > 0) & present[:, None] & present[None]
    return jnp.sum(error * counted), jnp.sum(counted.astype(jnp.float32))


def fixed_directions(seed: int, *shape: int) -> Float[Array, "..."]:
    """Return unit vectors along the last axis, drawn from a constant seed."""
    codes = jax.random.normal(jax.random.key(seed), shape)
    return codes / jnp.linalg.norm(codes, axis=-1, keepdims=True)


def cell_ids(segments: UInt8[Array, "t S S"], side: int) -> UInt8[Array, "t cells"]:
    """Return the id under the centre of each of side x side cells."""
    block = segments.shape[1] // side
    ids = segments[:, block // 2 :: block, block // 2 :: block]
    return ids.reshape(len(segments), side * side)
