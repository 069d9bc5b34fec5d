"""Ground truth of a training clip, in the form that the loss of paper 3.5 needs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from c2g_jax.data.masks import cell_shares, object_masks


class ClipTargets(NamedTuple):
    """Ground truth of k subjects with at most o objects each, over t frames."""

    subject_masks: jax.Array  # float32 [t, k, 4h, 4w], covered fraction of cells
    subject_labels: jax.Array  # int32 [k]
    subject_valid: jax.Array  # bool [t, k], in view
    object_masks: jax.Array  # float32 [t, k, o, 4h, 4w]
    object_labels: jax.Array  # int32 [k, o]
    points: jax.Array  # float32 [t, k, o, 2], p*: interior points, (x, y) in [0, 1]
    predicates: jax.Array  # bool [t, k, o, p]

    @property
    def active(self) -> jax.Array:
        """Objects in a relation with their subject on that frame: bool [t, k, o]."""
        return jnp.any(self.predicates, axis=-1)


def clip_targets(clip: dict[str, jax.Array], low_res: int) -> ClipTargets:
    """Return the targets of one clip of the loader, masks at the size of mask logits.

    A quarter of the image's resolution is enough: SAM2.1 is frozen, and masks only
    provide a gradient for points. A cell holds the fraction that the object covers.
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
