"""The loss of Click2Graph: L = 10 BCE + 1 Dice + 1 IoU + 20 L2 + 10 CE + 10 CE + 20 CE.

arXiv 2511.15948, 3.6 and 4. What the paper leaves open is a field of `RelationLoss`.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.click2graph.clip import ClipPrediction, Queries
from c2g_jax.click2graph.losses import (
    iou_error,
    mask_bce,
    mask_dice,
    mask_iou,
    masked_mean,
)
from c2g_jax.click2graph.matching import match
from c2g_jax.click2graph.targets import ClipTargets
from c2g_jax.data.masks import cell_shares
from c2g_jax.from_scratch.pointing import SHARPNESS
from c2g_jax.types import InputError

FRAME, CLIP = "frame", "clip"


@dataclass(frozen=True)
class RelationLoss:
    """Weights of the terms, and the choices behind them."""

    bce: float = 10.0
    dice: float = 1.0
    iou: float = 1.0
    point: float = 20.0
    # Squared distance, in sides of the image, from which on a point is pulled no more:
    # it is on something else, and half the way is on nothing. 0: no such bound.
    point_cap: float = 0.0
    # Of where POINTED queries of DIDM may start; the paper has none.
    pointing: float = 0.0
    subject: float = 10.0
    object: float = 10.0
    predicate: float = 20.0
    # Queries without an object are many and say little (DETR's eos_coef).
    none_weight: float = 0.1
    # Cost of a query for an object. Distance alone is cheap, stable, and known before
    # any mask is decoded; the others sharpen it late in training.
    match_point: float = 20.0
    match_object: float = 0.0
    match_mask: float = 0.0
    # CLIP keeps a query on one object for all frames of a clip.
    match_per: str = FRAME
    layer_points: bool = True  # the L2 of each DIDM layer, as DETR's auxiliary losses
    detach_points: bool = False  # True: masks of objects do not move the points
    # A pair with several predicates: False draws one, True shares out the weight.
    soft_predicates: bool = False
    # Weight of naming what lies at true points as well. The paper has none; it helps
    # where there are few steps, for points that miss teach no names.
    true_points: float = 0.0
    # Long tails: subtract this share of the log frequency (logit adjustment, arXiv
    # 2007.07314) or weight by effective numbers with this beta (arXiv 1901.05555).
    logit_adjustment: float = 0.0
    effective_beta: float = 0.0

    def __post_init__(self):
        if self.match_per not in (FRAME, CLIP):
            raise InputError(f"match_per {self.match_per!r}: use {FRAME} or {CLIP}")


def relation_loss(
    config: RelationLoss,
    prediction: ClipPrediction,
    targets: ClipTargets,
    key: jax.Array,
    counts: Float[Array, "p"] | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss of one clip, and its terms by name, unweighted.

    `counts` says how often each predicate occurs in training, for the long-tail
    options. Terms that nothing in the clip bears on are 0.
    """
    keys = jax.random.split(key)
    found, shown, active = prediction.found, prediction.shown, targets.active
    seen = targets.subject_valid & (prediction.subjects.object_score > 0)
    assigned, matched = assign(config, found, targets)
    terms = subject_terms(prediction, targets, seen)
    terms |= object_mask_terms(found, targets, assigned, matched)
    terms["point"] = point_error(config, found.points, targets, assigned, matched)
    if prediction.heat is not None:
        terms["pointing"] = pointing_error(prediction.heat, targets, seen)
    if config.layer_points:
        layers = [
            point_error(
                config, points, targets, *assign_points(config, points, targets)
            )
            for points in jnp.moveaxis(prediction.layer_points, 1, 0)[:-1]
        ]
        terms["layer_points"] = sum(layers, jnp.zeros(()))
    weight = jnp.where(matched, 1.0, config.none_weight) * seen[..., None]
    terms |= name_terms(
        config, found, targets, assigned, matched, weight, keys[0], counts
    )
    if shown is not None:
        each = jnp.broadcast_to(jnp.arange(active.shape[-1]), active.shape)
        weight = (active & seen[..., None]).astype(jnp.float32)
        taught = name_terms(
            config, shown, targets, each, active, weight, keys[1], counts
        )
        terms |= {f"shown_{name}": value for name, value in taught.items()}
    weights = term_weights(config)
    total = sum(weights[name] * terms[name] for name in weights if name in terms)
    terms["matched"] = jnp.sum(matched) / jnp.maximum(jnp.sum(active), 1)
    return total, terms


def term_weights(config: RelationLoss) -> dict[str, float]:
    """Weight of each term. Masks of subjects are logged only: nothing there trains."""
    return {
        "bce": config.bce,
        "dice": config.dice,
        "iou": config.iou,
        "point": config.point,
        "layer_points": config.point,
        "pointing": config.pointing,
        "subject": config.subject,
        "object": config.object,
        "predicate": config.predicate,
        "shown_object": config.true_points * config.object,
        "shown_predicate": config.true_points * config.predicate,
    }


def assign(
    config: RelationLoss, found: Queries, targets: ClipTargets
) -> tuple[Int[Array, "t k q"], Bool[Array, "t k q"]]:
    """For each query the index of its object among the o of its subject, if any."""
    extra = 0.0
    if config.match_object:
        likely = jax.nn.softmax(found.names.object)  # [t, k, q, classes]
        labels = targets.object_labels[None, :, None, :]
        labels = jnp.broadcast_to(labels, (*likely.shape[:3], labels.shape[-1]))
        extra += config.match_object * (
            1.0 - jnp.take_along_axis(likely, labels, axis=-1)
        )
    if config.match_mask:
        pairs = mask_dice(
            found.mask_logits[:, :, :, None], targets.object_masks[:, :, None]
        )
        extra += config.match_mask * pairs
    return assign_points(config, found.points, targets, extra)


def assign_points(
    config: RelationLoss,
    points: Float[Array, "t k q 2"],
    targets: ClipTargets,
    extra: Float[Array, "t k q o"] | float = 0.0,
) -> tuple[Int[Array, "t k q"], Bool[Array, "t k q"]]:
    """The same by distance of points, and an extra cost of each pair."""
    far = points[:, :, :, None] - targets.points[:, :, None]
    cost = config.match_point * jnp.sum(far**2, axis=-1) + extra  # [t, k, q, o]
    cost, active = jax.lax.stop_gradient(cost), targets.active
    if config.match_per == CLIP:
        cost = jnp.sum(cost * active[:, :, None], axis=0)
        matching = jax.vmap(match)(cost, jnp.any(active, axis=0))
        shape = (points.shape[0], *matching.objects.shape)
        objects = jnp.broadcast_to(matching.objects, shape)
        matched = matching.matched & jnp.take_along_axis(active, objects, axis=-1)
        return objects, matched
    matching = jax.vmap(jax.vmap(match))(cost, active)
    return matching.objects, matching.matched


def point_error(
    config: RelationLoss,
    points: Float[Array, "t k q 2"],
    targets: ClipTargets,
    assigned: Int[Array, "t k q"],
    matched: Bool[Array, "t k q"],
) -> jax.Array:
    """Squared distance of matched points in units of the image, over x and y."""
    true = jnp.take_along_axis(targets.points, assigned[..., None], axis=2)
    error = jnp.sum((points - true) ** 2, axis=-1)
    if config.point_cap:
        error = jnp.minimum(error, config.point_cap)
    return masked_mean(error, matched)


def pointing_error(
    heat: Float[Array, "t k cells"], targets: ClipTargets, seen: Bool[Array, "t k"]
) -> jax.Array:
    """Mean cross entropy of where the objects of subjects in view are.

    As in `link_loss`: the share of a subject's heat that falls on each object is to be
    all; a cell counts by as much of it as the object covers.
    """
    cells = cell_shares(targets.object_masks, int(heat.shape[-1] ** 0.5))
    cells = cells.reshape(*cells.shape[:-2], -1)  # [t, k, o, cells]
    share = jax.nn.softmax(SHARPNESS * heat)[:, :, None]
    error = -jnp.log(jnp.sum(share * cells, axis=-1) + 1e-6)
    return masked_mean(error, targets.active & seen[..., None])


def object_mask_terms(
    found: Queries,
    targets: ClipTargets,
    assigned: Int[Array, "t k q"],
    matched: Bool[Array, "t k q"],
) -> dict[str, jax.Array]:
    """Masks at matched points against those of their objects.

    Where SAM2.1 says that nothing is in view its mask is no mask, and is left out.
    """
    true = jnp.take_along_axis(targets.object_masks, assigned[..., None, None], axis=2)
    where = matched & (found.object_score > 0)
    logits = found.mask_logits
    return {
        "bce": masked_mean(mask_bce(logits, true), where),
        "dice": masked_mean(mask_dice(logits, true), where),
        "iou": masked_mean(iou_error(found.iou, logits, true), where),
        "object_mask_iou": masked_mean(mask_iou(logits, true), matched),
    }


def subject_terms(
    prediction: ClipPrediction, targets: ClipTargets, seen: Bool[Array, "t k"]
) -> dict[str, jax.Array]:
    """Masks of subjects, for the log alone, and the names of those in view."""
    logits, true = prediction.subjects.mask_logits, targets.subject_masks
    names = prediction.found.names.subject  # [t, k, q, classes], q times the same
    labels = targets.subject_labels[None, :, None]
    labels = jnp.broadcast_to(labels, names.shape[:-1])
    error = optax.softmax_cross_entropy_with_integer_labels(names, labels)
    return {
        "subject": masked_mean(jnp.mean(error, axis=-1), seen),
        "subject_bce": masked_mean(mask_bce(logits, true), seen),
        "subject_dice": masked_mean(mask_dice(logits, true), seen),
        "subject_mask_iou": masked_mean(mask_iou(logits, true), targets.subject_valid),
    }


def name_terms(
    config: RelationLoss,
    queries: Queries,
    targets: ClipTargets,
    assigned: Int[Array, "t k q"],
    matched: Bool[Array, "t k q"],
    weight: Float[Array, "t k q"],
    key: jax.Array,
    counts: Float[Array, "p"] | None,
) -> dict[str, jax.Array]:
    """Cross entropy of object and predicate; queries without an object are "none".

    Where SAM2.1 says that nothing is in view there is no pointer to learn from.
    """
    weight = weight * (queries.object_score > 0)
    names = queries.names
    labels = jnp.broadcast_to(
        targets.object_labels, (*assigned.shape[:1], *targets.object_labels.shape)
    )
    labels = jnp.take_along_axis(labels, assigned, axis=-1)
    labels = jnp.where(matched, labels, names.object.shape[-1] - 1)
    error = optax.softmax_cross_entropy_with_integer_labels(names.object, labels)
    terms = {"object": _weighted_mean(error, weight)}

    true = jnp.take_along_axis(targets.predicates, assigned[..., None], axis=2)
    if config.soft_predicates:
        share = true / jnp.maximum(jnp.sum(true, axis=-1, keepdims=True), 1)
    else:
        one = jax.random.categorical(key, jnp.where(true, 0.0, -1e9))
        share = jax.nn.one_hot(one, true.shape[-1])
    share = jnp.concatenate([share * matched[..., None], ~matched[..., None]], axis=-1)
    logits = names.predicate
    if config.logit_adjustment:
        logits += config.logit_adjustment * _log_prior(counts)
    error = optax.softmax_cross_entropy(logits, share)
    if config.effective_beta:
        weight = weight * jnp.sum(share * _effective(counts, config.effective_beta), -1)
    return terms | {"predicate": _weighted_mean(error, weight)}


def _weighted_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    return jnp.sum(values * weight) / jnp.maximum(jnp.sum(weight), 1e-6)


def _log_prior(counts: Float[Array, "p"]) -> Float[Array, "p+1"]:
    """Log frequencies about their mean; "none" is adjusted by nothing."""
    seen = counts > 0
    logs = jnp.log(jnp.maximum(counts, 1.0))
    return jnp.append(logs - masked_mean(logs, seen), 0.0)


def _effective(counts: Float[Array, "p"], beta: float) -> Float[Array, "p+1"]:
    """Inverse effective numbers, 1 on average over the predicates that occur."""
    seen = counts > 0
    weight = (1.0 - beta) / (1.0 - beta ** jnp.maximum(counts, 1.0))
    return jnp.append(weight / masked_mean(weight, seen), 1.0)
