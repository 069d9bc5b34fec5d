"""SAM2's losses of one decoder pass, summed over frames and clicks.

SAM2's recipe (arXiv 2408.00714, appendix; weights 20, 1, 1, 1): focal and dice loss of
the best candidate mask, L1 loss of the predicted IoUs of all candidates, and cross
entropy of the object score, which says whether the object is in view.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from c2g_jax.click2graph.losses import mask_dice, mask_focal, mask_iou, score_error
from c2g_jax.data.masks import cell_shares
from c2g_jax.from_scratch.aid_losses import AidWeights
from c2g_jax.sam2.mask_decoder import DecodedMasks
from c2g_jax.sam2.masks import resize_logits


@dataclasses.dataclass(frozen=True)
class SegmentLoss(AidWeights):
    """Weights of the losses, and the resolution at which masks are compared."""

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    score: float = 1.0
    # For ambiguous prompts, the share of the mask loss that goes to the candidate with
    # the highest predicted IoU, which a user would see. Upstream has 0: all goes to the
    # candidate that fits best. Where clicks are never ambiguous, the three candidates
    # then differ by chance, not by meaning.
    shown: float = 0.0
    # Side at which masks are compared, in cells: a multiple of the logits' side and a
    # divisor of the image's. Twice the logits' side costs a fifth of the image's and is
    # as good.
    mask_size: int = 128


class FrameTargets(NamedTuple):
    """Ground truth of n objects on a frame."""

    masks: jax.Array  # bool [n, S, S]
    shares: jax.Array  # float32 [n, s, s], covered share of a cell, s = mask_size
    coarse: jax.Array  # float32 [n, 4h, 4w], the same at the logits' size
    present: jax.Array  # bool [n], has pixels


class LossSums(NamedTuple):
    """Losses summed over objects, and their numbers: `masks` and `scores`."""

    focal: jax.Array
    dice: jax.Array
    iou: jax.Array
    masks: jax.Array
    score: jax.Array
    scores: jax.Array


def frame_targets(
    masks: Bool[Array, "... n S S"], mask_size: int, low_res: int
) -> FrameTargets:
    """Return the targets of masks at the size of the model image; any leading axes."""
    shares = cell_shares(masks, mask_size)
    return FrameTargets(
        masks, shares, cell_shares(shares, low_res), jnp.any(masks, axis=(-2, -1))
    )


def mask_loss_sums(
    config: SegmentLoss,
    decoded: DecodedMasks,
    multimask: Bool[Array, "n"],
    targets: FrameTargets,
    where: Bool[Array, "n"],
) -> LossSums:
    """Return the losses of one decoder pass, summed over the objects in `where`.

    `multimask` says whose prompt is ambiguous: these have the last three masks as
    candidates, the others the first mask alone. The candidate with the least mask loss
    learns, and by `config.shown` the one with the highest predicted IoU. Masks of
    objects that are not in view are ignored; their scores are not.
    """
    candidates = decoded.logits
    cost = config.focal * mask_focal(candidates, targets.coarse[:, None])
    cost += config.dice * mask_dice(candidates, targets.coarse[:, None])
    best = jnp.where(multimask, 1 + jnp.argmin(cost[:, 1:], axis=1), 0)
    shown = jnp.where(multimask, 1 + jnp.argmax(decoded.ious[:, 1:], axis=1), 0)

    def enlarge(logits: jax.Array) -> jax.Array:
        return resize_logits(logits, config.mask_size, config.mask_size)

    # No gradient to the candidates: their IoU is the target of the prediction.
    ious = mask_iou(enlarge(jax.lax.stop_gradient(candidates)), targets.shares[:, None])
    error = jnp.abs(decoded.ious - ious)
    error = jnp.where(multimask, jnp.mean(error[:, 1:], axis=1), error[:, 0])
    seen = (where & targets.present).astype(jnp.float32)
    counted = where.astype(jnp.float32)
    focal, dice = jnp.zeros(()), jnp.zeros(())
    for index, share in ((best, 1 - config.shown), (shown, config.shown)):
        if share:
            mask = enlarge(candidates[jnp.arange(index.shape[0]), index])
            focal += share * jnp.sum(mask_focal(mask, targets.shares) * seen)
            dice += share * jnp.sum(mask_dice(mask, targets.shares) * seen)
    return LossSums(
        focal=focal,
        dice=dice,
        iou=jnp.sum(error * seen),
        masks=jnp.sum(seen),
        score=jnp.sum(score_error(decoded.object_score, targets.present) * counted),
        scores=jnp.sum(counted),
    )


def zero_sums() -> LossSums:
    return LossSums(*[jnp.zeros(())] * len(LossSums._fields))


def add_sums(*sums: LossSums) -> LossSums:
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *sums)


def mean_terms(sums: LossSums) -> dict[str, jax.Array]:
    """Return the mean losses by name, unweighted; 0 where there are no objects."""
    masks = jnp.maximum(sums.masks, 1.0)
    return {
        "focal": sums.focal / masks,
        "dice": sums.dice / masks,
        "iou": sums.iou / masks,
        "score": sums.score / jnp.maximum(sums.scores, 1.0),
    }
