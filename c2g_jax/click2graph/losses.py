"""Losses of masks and of what the decoder says of them, in float32.

All work on the last two axes and keep the leading ones, so that callers weigh each mask
by itself. Targets are bool, or the share of a cell that an object covers. Losses start
from logits; the formulas are optax's.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

_PIXELS = (-2, -1)
Target = Bool[Array, "... h w"] | Float[Array, "... h w"]


def mask_bce(logits: Float[Array, "... h w"], target: Target) -> Float[Array, "..."]:
    """Mean binary cross entropy of each mask."""
    logits, target = _aligned(logits, target)
    return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, target), axis=_PIXELS)


def mask_focal(
    logits: Float[Array, "... h w"],
    target: Target,
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> Float[Array, "..."]:
    """Mean focal loss of each mask, with SAM2's alpha and gamma (arXiv 1708.02002)."""
    logits, target = _aligned(logits, target)
    each = optax.sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma)
    return jnp.mean(each, axis=_PIXELS)


def mask_dice(logits: Float[Array, "... h w"], target: Target) -> Float[Array, "..."]:
    """1 - (2 |PT| + 1) / (|P| + |T| + 1) of each mask, P its probabilities."""
    logits, target = _aligned(logits, target)
    # optax halves what the formula above has; its `smooth` is half a pixel, so.
    return optax.losses.dice_loss(
        logits[..., None], target[..., None], smooth=0.5, axis=(-3, -2)
    )


def mask_iou(logits: Float[Array, "... h w"], target: Target) -> Float[Array, "..."]:
    """IoU of the mask, logits above 0, with the target above a half.

    1 where both are empty. No gradient.
    """
    logits, target = jax.lax.stop_gradient(_aligned(logits, target))
    mask, target = logits > 0, target > 0.5
    both = jnp.sum(mask & target, axis=_PIXELS)
    union = jnp.sum(mask | target, axis=_PIXELS)
    return jnp.where(union > 0, both / jnp.maximum(union, 1), 1.0)


def iou_error(
    predicted: Float[Array, "..."], logits: Float[Array, "... h w"], target: Target
) -> Float[Array, "..."]:
    """L1 distance of the predicted IoU from the true one, as SAM2 trains it.

    Only the prediction has a gradient.
    """
    return jnp.abs(predicted.astype(jnp.float32) - mask_iou(logits, target))


def score_error(
    score: Float[Array, "..."], present: Bool[Array, "..."]
) -> Float[Array, "..."]:
    """Binary cross entropy of the logit that an object is in view."""
    present = present.astype(jnp.float32)
    return optax.sigmoid_binary_cross_entropy(score.astype(jnp.float32), present)


def masked_mean(
    values: Float[Array, "..."], where: Bool[Array, "..."] | Float[Array, "..."]
) -> Float[Array, ""]:
    """Mean of the values that count, 0 if none does."""
    where = where.astype(jnp.float32)
    # A value that does not count may be anything, infinite too.
    total = jnp.sum(jnp.where(where > 0, values, 0.0) * where)
    return total / jnp.maximum(jnp.sum(where), 1.0)


def _aligned(logits: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both in float32 and of one shape, which optax asks for."""
    shape = jnp.broadcast_shapes(logits.shape, target.shape)
    logits, target = logits.astype(jnp.float32), target.astype(jnp.float32)
    return jnp.broadcast_to(logits, shape), jnp.broadcast_to(target, shape)
