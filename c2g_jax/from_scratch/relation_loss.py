"""Loss of Click2Graph for models trained from scratch: additions to paper 3.5."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.click2graph.clip import ClipPrediction
from c2g_jax.click2graph.loss import RelationLoss, squared_distance, visible_subjects
from c2g_jax.click2graph.losses import masked_mean
from c2g_jax.click2graph.targets import ClipTargets
from c2g_jax.data.masks import cell_shares
from c2g_jax.from_scratch.didm import PointedOutput
from c2g_jax.from_scratch.pointing import SHARPNESS


@dataclass(frozen=True)
class FromScratchRelationLoss(RelationLoss):
    """The paper's loss, with capped points and a term for where queries start."""

    # Clip the squared error of a point here, in squared image sides (no gradient
    # beyond): a point that far off lies on another object, and the way between is on
    # none. 0: no cap.
    point_cap: float = 0.0
    pointing: float = 0.0  # weight of `pointing_error`, for POINTED queries

    def __call__(
        self,
        prediction: ClipPrediction,
        targets: ClipTargets,
        key: jax.Array,
        counts: Float[Array, "p"] | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the loss of one clip, and its unweighted terms by name."""
        total, terms = super().__call__(prediction, targets, key, counts)
        if isinstance(prediction.discovered, PointedOutput):
            visible = visible_subjects(prediction, targets)
            terms["pointing"] = pointing_error(
                prediction.discovered.heat, targets, visible
            )
            total += self.pointing * terms["pointing"]
        return total, terms

    def weights(self) -> dict[str, float]:
        return super().weights() | {"pointing": self.pointing}

    def point_error(
        self,
        points: Float[Array, "t k q 2"],
        targets: ClipTargets,
        assigned: Int[Array, "t k q"],
        matched: Bool[Array, "t k q"],
    ) -> jax.Array:
        """Return the mean capped squared distance of matched points, in image sides."""
        error = squared_distance(points, targets, assigned)
        if self.point_cap:
            error = jnp.minimum(error, self.point_cap)
        return masked_mean(error, matched)


def pointing_error(
    heat: Float[Array, "t k cells"], targets: ClipTargets, visible: Bool[Array, "t k"]
) -> jax.Array:
    """Return the mean cross entropy of where the objects of visible subjects are.

    The share of a subject's heat that falls on each object should be 1; a cell counts
    in proportion to the part of it that the object covers.
    """
    cells = cell_shares(targets.object_masks, int(heat.shape[-1] ** 0.5))
    cells = cells.reshape(*cells.shape[:-2], -1)  # [t, k, o, cells]
    share = jax.nn.softmax(SHARPNESS * heat)[:, :, None]
    error = -jnp.log(jnp.sum(share * cells, axis=-1) + 1e-6)
    return masked_mean(error, targets.active & visible[..., None])
