"""Prompts of n objects as one batch of fixed shape, the input of the prompt encoder."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.types import ABSENT, NOT_A_POINT, InputError

POINT_BUCKETS = (4, 16, 64)


class Prompts(NamedTuple):
    """Prompts of n objects on one frame.

    A box is two points with labels 2 and 3, before the others. An object without any
    prompt has one NOT_A_POINT (sam2/modeling/sam2_base.py:317).
    """

    point_coords: jax.Array  # float32 [n, p, 2], (x, y) in pixels of the model image
    point_labels: jax.Array  # int32 [n, p]
    mask_logits: jax.Array | None = None  # float32 [n, 4h, 4w], mask prompt
    has_mask: jax.Array | None = None  # bool [n], objects with a mask prompt

    @property
    def num_points(self) -> jax.Array:
        """Number of points of each object, box corners included: int32 [n]."""
        return jnp.sum(self.point_labels >= 0, axis=1)


def no_prompt(num_objects: int) -> Prompts:
    """Return the prompts of objects that are tracked without a prompt."""
    coords = jnp.zeros((num_objects, 1, 2), jnp.float32)
    return Prompts(coords, jnp.full((num_objects, 1), NOT_A_POINT, jnp.int32))


def point_bucket(num_points: int) -> int:
    """Return the smallest bucket for this many points; buckets bound compilations."""
    for size in POINT_BUCKETS:
        if num_points <= size:
            return size
    raise InputError(
        f"{num_points} points are given for one object on one frame: give at most "
        f"{POINT_BUCKETS[-1]}"
    )


def pad_points(
    points: Sequence[tuple[np.ndarray, np.ndarray]],
    num_objects: int | None = None,
    num_slots: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Stack each object's (coords [p, 2], labels [p]) to [n, P, 2] and [n, P].

    P is `num_slots`, by default the bucket of the longest list. Missing points are
    ABSENT; objects beyond the list, up to `num_objects`, have one NOT_A_POINT.
    """
    longest = max([1, *(len(labels) for _, labels in points)])
    slots = num_slots or point_bucket(longest)
    n = num_objects or len(points)
    coords = np.zeros((n, slots, 2), np.float32)
    labels = np.full((n, slots), ABSENT, np.int32)
    for row, (own_coords, own_labels) in enumerate(points):
        count = len(own_labels)
        coords[row, :count] = own_coords
        labels[row, :count] = own_labels
    labels[(labels == ABSENT).all(axis=1), 0] = NOT_A_POINT
    return coords, labels
