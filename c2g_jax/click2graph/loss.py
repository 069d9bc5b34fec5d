"""Training objective (paper 3.5), with the weights lambda of paper 3.6.

L_total = 10 L_BCE + 1 L_Dice + 1 L_IoU + 20 L_L2 + 10 L_sub + 10 L_obj + 20 L_rel.
Each choice that the paper leaves open is a field of `RelationLoss`.
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
from c2g_jax.click2graph.matching import MatchingCost, assign, assign_points
from c2g_jax.click2graph.targets import ClipTargets
from c2g_jax.types import InputError


@dataclass(frozen=True)
class RelationLoss(MatchingCost):
    """The loss of a clip: weights of the terms, and the choices left open."""

    bce: float = 10.0  # lambda_BCE
    dice: float = 1.0  # lambda_Dice
    iou: float = 1.0  # lambda_IoU
    point: float = 20.0  # lambda_L2
    subject: float = 10.0  # lambda_sub
    object: float = 10.0  # lambda_obj
    predicate: float = 20.0  # lambda_rel
    # Weight of unmatched queries, which are many (DETR's eos_coef).
    none_weight: float = 0.1
    # L2 also of each DIDM layer: DETR's auxiliary losses. They are summed: three layers
    # have three times the weight `point`. `mean_layers` divides by their number.
    layer_points: bool = True
    mean_layers: bool = False
    # Gradients reach DIDM's points through the masks at them and through the object
    # pointers that SCH reads. Paper 3.5 has one loss for all, so both flow.
    detach_points: bool = False  # True: neither
    detach_pointers: bool = False  # True: the classes of a pair do not move points
    # Matched queries whose mask overlaps their object less than this (IoU) have missed
    # it, and are taught "none" as unmatched ones are, not the names of what they do not
    # see. The paper has no such rule: 0.
    hit_iou: float = 0.0
    # A pair with several predicates: False draws one, True spreads the target evenly.
    soft_predicates: bool = False
    # Weight of classifying the objects at ground-truth points as well. Not in the
    # paper; for short trainings, where points that miss teach no classes.
    true_points: float = 0.0
    # There, the weight of objects that are in no relation with the subject on a frame,
    # whose predicate is "none"; 1: that of an object which is. Not in the paper: its
    # queries, too, meet such objects, but rarely those that a track still follows.
    unrelated: float = 0.0
    # Long tails: subtract this share of the log frequency (logit adjustment, arXiv
    # 2007.07314), or weight by effective numbers with this beta (arXiv 1901.05555).
    logit_adjustment: float = 0.0
    effective_beta: float = 0.0

    def __call__(
        self,
        prediction: ClipPrediction,
        targets: ClipTargets,
        key: jax.Array,
        counts: Float[Array, "p"] | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the loss of one clip, and its unweighted terms by name.

        `counts` is the frequency of each predicate in training, for the long-tail
        options. A term to which nothing in the clip contributes is 0.
        """
        keys = jax.random.split(key)
        found, at_truth = prediction.found, prediction.at_truth
        active = targets.active
        visible = visible_subjects(prediction, targets)
        # DIDM gets no mask of a subject out of view: its queries are left out.
        seen = visible[..., None]
        assigned, matched = assign(self, found, targets)
        terms = subject_terms(prediction, targets, visible)
        terms |= object_mask_terms(found, targets, assigned, matched & seen)
        terms["point"] = self.point_error(
            found.points, targets, assigned, matched & seen
        )
        weights = self.weights()
        if self.layer_points:
            layer_points = jnp.moveaxis(prediction.discovered.layer_points, 1, 0)
            terms["layer_points"] = jnp.zeros(())
            for points in layer_points[:-1]:
                nearest, taken = assign_points(self, points, targets)
                terms["layer_points"] += self.point_error(
                    points, targets, nearest, taken & seen
                )
            if self.mean_layers:
                weights["point"] /= len(layer_points)
                weights["layer_points"] /= len(layer_points)
        hit = self.hits(found, targets, assigned, matched)
        weight = jnp.where(hit, 1.0, self.none_weight) * seen
        terms |= class_terms(
            self, found, targets, assigned, hit, weight, keys[0], counts
        )
        if at_truth is not None:
            each = jnp.broadcast_to(jnp.arange(active.shape[-1]), active.shape)
            shown = jnp.any(targets.object_masks > 0, axis=(-2, -1))
            weight = jnp.where(active, 1.0, self.unrelated * shown) * seen
            taught = class_terms(
                self, at_truth, targets, each, active, weight, keys[1], counts, shown
            )
            terms |= {f"shown_{name}": value for name, value in taught.items()}
        total = sum(weights[name] * terms[name] for name in weights if name in terms)
        terms["matched"] = jnp.sum(matched) / jnp.maximum(jnp.sum(active), 1)
        return total, terms

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.hit_iou <= 1:
            raise InputError(f"hit_iou {self.hit_iou}: give an IoU, from 0 to 1")

    def hits(
        self,
        found: Queries,
        targets: ClipTargets,
        assigned: Int[Array, "t k q"],
        matched: Bool[Array, "t k q"],
    ) -> Bool[Array, "t k q"]:
        """Return the matched queries that have not missed their object (`hit_iou`)."""
        if not self.hit_iou:
            return matched
        iou = mask_iou(found.mask_logits, assigned_masks(targets, assigned))
        return matched & (iou >= self.hit_iou)

    def weights(self) -> dict[str, float]:
        """Return the weight of each term in the total.

        Masks of subjects have none and are only logged: no trained parameter affects
        them.
        """
        return {
            "bce": self.bce,
            "dice": self.dice,
            "iou": self.iou,
            "point": self.point,
            "layer_points": self.point,
            "subject": self.subject,
            "object": self.object,
            "predicate": self.predicate,
            "shown_object": self.true_points * self.object,
            "shown_predicate": self.true_points * self.predicate,
        }

    def point_error(
        self,
        points: Float[Array, "t k q 2"],
        targets: ClipTargets,
        assigned: Int[Array, "t k q"],
        matched: Bool[Array, "t k q"],
    ) -> jax.Array:
        """Return L_L2, the mean squared distance of matched points, in image sides."""
        return masked_mean(squared_distance(points, targets, assigned), matched)


def visible_subjects(
    prediction: ClipPrediction, targets: ClipTargets
) -> Bool[Array, "t k"]:
    """Tell where a subject is in view, by the annotation and by SAM2.1."""
    return targets.subject_valid & (prediction.subjects.object_score > 0)


def squared_distance(
    points: Float[Array, "t k q 2"], targets: ClipTargets, assigned: Int[Array, "t k q"]
) -> Float[Array, "t k q"]:
    """Return ||p - p*||^2 between each point and that of its assigned object."""
    true = jnp.take_along_axis(targets.points, assigned[..., None], axis=2)
    return jnp.sum((points - true) ** 2, axis=-1)


def assigned_masks(
    targets: ClipTargets, assigned: Int[Array, "t k q"]
) -> Float[Array, "t k q h w"]:
    """Return the true mask of each query's assigned object."""
    return jnp.take_along_axis(targets.object_masks, assigned[..., None, None], axis=2)


def object_mask_terms(
    found: Queries,
    targets: ClipTargets,
    assigned: Int[Array, "t k q"],
    matched: Bool[Array, "t k q"],
) -> dict[str, jax.Array]:
    """Return the terms of L_mask: masks at matched points against their objects'.

    Masks for which SAM2.1 predicts that no object is present are excluded.
    """
    true = assigned_masks(targets, assigned)
    where = matched & (found.object_score > 0)
    logits = found.mask_logits
    return {
        "bce": masked_mean(mask_bce(logits, true), where),
        "dice": masked_mean(mask_dice(logits, true), where),
        "iou": masked_mean(iou_error(found.iou, logits, true), where),
        "object_mask_iou": masked_mean(mask_iou(logits, true), matched),
    }


def subject_terms(
    prediction: ClipPrediction, targets: ClipTargets, visible: Bool[Array, "t k"]
) -> dict[str, jax.Array]:
    """Return L_sub over visible subjects, and mask terms of subjects for the log."""
    classes = prediction.found.class_logits.subject  # [t, k, q, c], equal for all q
    labels = targets.subject_labels[None, :, None]
    labels = jnp.broadcast_to(labels, classes.shape[:-1])
    error = optax.softmax_cross_entropy_with_integer_labels(classes, labels)
    logits, true = prediction.subjects.mask_logits, targets.subject_masks
    return {
        "subject": masked_mean(jnp.mean(error, axis=-1), visible),
        "subject_bce": masked_mean(mask_bce(logits, true), visible),
        "subject_dice": masked_mean(mask_dice(logits, true), visible),
        "subject_mask_iou": masked_mean(mask_iou(logits, true), targets.subject_valid),
    }


def class_terms(
    config: RelationLoss,
    queries: Queries,
    targets: ClipTargets,
    assigned: Int[Array, "t k q"],
    matched: Bool[Array, "t k q"],
    weight: Float[Array, "t k q"],
    key: jax.Array,
    counts: Float[Array, "p"] | None,
    named: Bool[Array, "t k q"] | None = None,
) -> dict[str, jax.Array]:
    """Return L_obj and L_rel; the target of unmatched queries is "none".

    `weight` is that of each query; those in `named`, by default the matched ones, have
    the class of their assigned object. Queries for which SAM2.1 predicts that no object
    is present are excluded: they have no object pointer.
    """
    weight = weight * (queries.object_score > 0)
    labels = jnp.broadcast_to(
        targets.object_labels, (*assigned.shape[:1], *targets.object_labels.shape)
    )
    labels = jnp.take_along_axis(labels, assigned, axis=-1)
    logits = queries.class_logits.object
    named = matched if named is None else matched | named
    labels = jnp.where(named, labels, logits.shape[-1] - 1)  # the last is "none"
    error = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    terms = {"object": _weighted_mean(error, weight)}

    true = jnp.take_along_axis(targets.predicates, assigned[..., None], axis=2)
    if config.soft_predicates:
        share = true / jnp.maximum(jnp.sum(true, axis=-1, keepdims=True), 1)
    else:
        one = jax.random.categorical(key, jnp.where(true, 0.0, -1e9))
        share = jax.nn.one_hot(one, true.shape[-1])
    share = jnp.concatenate([share * matched[..., None], ~matched[..., None]], axis=-1)
    logits = queries.class_logits.predicate
    if config.logit_adjustment:
        logits += config.logit_adjustment * _log_prior(counts)
    error = optax.softmax_cross_entropy(logits, share)
    if config.effective_beta:
        weight = weight * jnp.sum(share * _effective(counts, config.effective_beta), -1)
    return terms | {"predicate": _weighted_mean(error, weight)}


def _weighted_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    return jnp.sum(values * weight) / jnp.maximum(jnp.sum(weight), 1e-6)


def _log_prior(counts: Float[Array, "p"]) -> Float[Array, "p+1"]:
    """Return log frequencies minus their mean, and 0 for "none"."""
    occurs = counts > 0
    logs = jnp.log(jnp.maximum(counts, 1.0))
    return jnp.append(logs - masked_mean(logs, occurs), 0.0)


def _effective(counts: Float[Array, "p"], beta: float) -> Float[Array, "p+1"]:
    """Return inverse effective numbers of mean 1 over predicates that occur.

    "None" has weight 1.
    """
    occurs = counts > 0
    weight = (1.0 - beta) / (1.0 - beta ** jnp.maximum(counts, 1.0))
    return jnp.append(weight / masked_mean(weight, occurs), 1.0)
