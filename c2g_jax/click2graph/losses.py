"""Losses of masks (paper 3.5, L_mask) and of the decoder's scores, in float32.

All reduce the last two axes and keep the leading ones, so that callers can weight each
mask. Targets are bool, or the fraction of a cell that an object covers. Predictions are
logits; the formulas are optax's.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

_PIXELS = (-2, -1)
Target = Bool[Array, "... h w"] | Float[Array, "... h w"]


def mask_bce(logits: Float[Array, "... h w"], target: Target) -> Float[Array, "..."]:
    """Return the mean binary cross entropy of each mask (L_BCE)."""
    logits, target = _aligned(logits, target)
    return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, target), axis=_PIXELS)


def mask_focal(logits: Float[Array, "... h w"], target: Target) -> Float[Array, "..."]:
    """Return the mean focal loss of each mask (arXiv 1708.02002), SAM2's parameters."""
    logits, target = _aligned(logits, target)
    each = optax.sigmoid_focal_loss(logits, target, alpha=0.25, gamma=2.0)
    return jnp.mean(each, axis=_PIXELS)


def mask_dice(logits: Float[Array, "... h w"], target: Target) -> Float[Array, "..."]:
    """Return 1 - (2 |PT| + 1) / (|P| + |T| + 1) of each mask (L_Dice).

    P are the probabilities, T the target.
    """
    logits, target = _aligned(logits, target)
    # optax has (|PT| + s) / ((|P| + |T|) / 2 + s), which is the same for s = 0.5.
    return optax.losses.dice_loss(
        logits[..., None], target[..., None], smooth=0.5, axis=(-3, -2)
    )


def mask_iou(logits: Float[Array, "... h w"], target: Target) -> Float[Array, "..."]:
    """Return the IoU of each mask (logits > 0) with its target (> 0.5), no gradient.

    It is 1 where both are empty.
    """
    logits, target = jax.lax.stop_gradient(_aligned(logits, target))
    mask, target = logits > 0, target > 0.5
    both = jnp.sum(mask & target, axis=_PIXELS)
    union = jnp.sum(mask | target, axis=_PIXELS)
    return jnp.where(union > 0, both / jnp.maximum(union, 1), 1.0)


def iou_error(
    predicted: Float[Array, "..."], logits: Float[Array, "... h w"], target: Target
) -> Float[Array, "..."]:
    """Return the L1 error of the predicted IoU (L_IoU), as SAM2 trains it.

    The true IoU has no gradient.
    """
    return jnp.abs(predicted.astype(jnp.float32) - mask_iou(logits, target))


def score_error(
    score: Float[Array, "..."], present: Bool[Array, "..."]
) -> Float[Array, "..."]:
    """Return the binary cross entropy of the object score, the logit of presence."""
    present = present.astype(jnp.float32)
    return optax.sigmoid_binary_cross_entropy(score.astype(jnp.float32), present)


def masked_mean(
    values: Float[Array, "..."], where: Bool[Array, "..."] | Float[Array, "..."]
) -> Float[Array, ""]:
    """Return the mean of `values`, weighted by `where`; 0 if all weights are 0."""
    where = where.astype(jnp.float32)
    # Values of weight 0 may be non-finite.
    total = jnp.sum(jnp.where(where > 0, values, 0.0) * where)
    return total / jnp.maximum(jnp.sum(where), 1.0)


def _aligned(logits: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return both in float32 and of one shape, which optax requires."""
    shape = jnp.broadcast_shapes(logits.shape, target.shape)
    logits, target = logits.astype(jnp.float32), target.astype(jnp.float32)
    return jnp.broadcast_to(logits, shape), jnp.broadcast_to(target, shape)
