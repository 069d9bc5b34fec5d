"""What is true of a clip, in the form that the loss of Click2Graph compares with."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from c2g_jax.training.segment_loss import cell_shares


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

    def masks(ids: jax.Array) -> jax.Array:
        """[t, ids, S, S] -> share of cells; id 0 is padding, not the void."""
        ids = ids.astype(jnp.int32)
        each = ids[:, None, None]
        return cell_shares((segments[:, None] == each) & (each > 0), low_res)

    k, o = objects.shape
    subject_masks = masks(subjects)
    object_masks = masks(objects.reshape(-1))
    return ClipTargets(
        subject_masks,
        clip["subject_labels"],
        jnp.any(subject_masks > 0, axis=(2, 3)),
        object_masks.reshape(-1, k, o, low_res, low_res),
        clip["object_labels"],
        jnp.moveaxis(clip["points"], 2, 0),
        jnp.moveaxis(clip["predicates"], 2, 0),
    )
