"""What is true of a clip, in the form that the loss of Click2Graph compares with."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from c2g_jax.data.masks import cell_shares, object_masks


class ClipTargets(NamedTuple):
    """What is true of a clip: k subjects with at most o objects each on t frames."""

    subject_masks: jax.Array  # float32 [t, k, 4h, 4w], share of each cell
    subject_labels: jax.Array  # int32 [k]
    subject_valid: jax.Array  # bool [t, k], in view
    object_masks: jax.Array  # float32 [t, k, o, 4h, 4w]
    object_labels: jax.Array  # int32 [k, o]
    points: jax.Array  # float32 [t, k, o, 2]
    predicates: jax.Array  # bool [t, k, o, p]

    @property
    def active(self) -> jax.Array:
        """bool [t, k, o]: in a relation with its subject on that frame."""
        return jnp.any(self.predicates, axis=-1)


def clip_targets(clip: dict[str, jax.Array], low_res: int) -> ClipTargets:
    """The targets of one clip as the loader gives it, masks at the size of logits.

    SAM2.1 is frozen and masks only move points here, for which a quarter of the
    resolution is plenty; a cell's value is the share of it that the object covers.
    """
    segments, subjects, objects = clip["segments"], clip["subjects"], clip["objects"]

    k, o = objects.shape
    subject_shares = cell_shares(object_masks(segments, subjects), low_res)
    object_shares = cell_shares(object_masks(segments, objects.reshape(-1)), low_res)
    return ClipTargets(
        subject_shares,
        clip["subject_labels"],
        jnp.any(subject_shares > 0, axis=(2, 3)),
        object_shares.reshape(-1, k, o, low_res, low_res),
        clip["object_labels"],
        jnp.moveaxis(clip["points"], 2, 0),
        jnp.moveaxis(clip["predicates"], 2, 0),
    )
