"""Prompts as people would give them, drawn from true masks on the device.

Coordinates are (x, y) in pixels of the masks, as `Prompts` has them. An object that has
no pixel gets a prompt without meaning; callers do not count it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from c2g_jax.sam2.prompts import ABSENT, BOX_FIRST, BOX_SECOND, INSIDE, Prompts

_BOX_NOISE, _BOX_NOISE_PIXELS = 0.1, 20.0  # share of a side, and at most so much


def random_pixel(
    key: PRNGKeyArray, where: Bool[Array, "n h w"]
) -> tuple[Int[Array, "n 2"], Bool[Array, "n"]]:
    """A pixel (x, y) of each region, all of its pixels alike; and which have any.

    The corner (w - 1, h - 1), where there is none.
    """
    n, height, width = where.shape
    rows = jnp.cumsum(jnp.sum(where, axis=2), axis=1)  # pixels down to each row
    count = rows[:, -1]
    share = jax.random.uniform(key, (n,))
    # Rounding may reach the count itself.
    rank = jnp.minimum((share * count).astype(jnp.int32), jnp.maximum(count - 1, 0))
    y = jnp.minimum(jnp.sum(rows <= rank[:, None], axis=1), height - 1)
    each = jnp.arange(n)
    row = where[each, y]
    before = rows[each, y] - jnp.sum(row, axis=1)
    columns = jnp.cumsum(row, axis=1)
    x = jnp.sum(columns <= (rank - before)[:, None], axis=1)
    return jnp.stack([jnp.minimum(x, width - 1), y], axis=1), count > 0


def random_point(
    key: PRNGKeyArray, masks: Bool[Array, "n h w"]
) -> tuple[Float[Array, "n 2"], Int[Array, "n"]]:
    """A point inside each mask, and its label."""
    pixel, _ = random_pixel(key, masks)
    return pixel.astype(jnp.float32), jnp.full(masks.shape[0], INSIDE, jnp.int32)


def random_box(
    key: PRNGKeyArray, masks: Bool[Array, "n h w"]
) -> tuple[Float[Array, "n 2 2"], Int[Array, "n 2"]]:
    """The corners of a box around each mask, a little off, and their labels.

    Each side moves by up to a tenth of the box, and up to 20 pixels
    (sam2_utils.py:150-198).
    """
    height, width = masks.shape[1:]
    (left, right), (top, bottom) = (
        _extent(jnp.any(masks, axis=axis)) for axis in (1, 2)
    )
    corners = jnp.stack([left, top, right, bottom], axis=1).astype(jnp.float32)
    size = jnp.stack([right - left, bottom - top], axis=1).astype(jnp.float32)
    most = jnp.minimum(_BOX_NOISE * jnp.tile(size, 2), _BOX_NOISE_PIXELS)
    noise = most * jax.random.uniform(key, corners.shape, minval=-1.0, maxval=1.0)
    limit = jnp.array([width, height, width, height], jnp.float32) - 1
    corners = jnp.clip(corners + noise, 0.0, limit)
    labels = jnp.array([BOX_FIRST, BOX_SECOND], jnp.int32)
    return corners.reshape(-1, 2, 2), jnp.broadcast_to(labels, (masks.shape[0], 2))


def _extent(used: Bool[Array, "n s"]) -> tuple[Int[Array, "n"], Int[Array, "n"]]:
    """The first and the last index in use."""
    first = jnp.argmax(used, axis=1)
    return first, used.shape[1] - 1 - jnp.argmax(used[:, ::-1], axis=1)


def first_prompts(
    key: PRNGKeyArray,
    masks: Bool[Array, "n h w"],
    box_share: float,
    num_slots: int = 2,
) -> Prompts:
    """A point or a box for each mask, with room for `num_slots` points in all."""
    keys = jax.random.split(key, 3)
    point, inside = random_point(keys[0], masks)
    corners, box_labels = random_box(keys[1], masks)
    n = masks.shape[0]
    boxed = jax.random.uniform(keys[2], (n,)) < box_share
    nothing = jnp.full(n, ABSENT, jnp.int32)
    coords = jnp.where(boxed[:, None, None], corners, point[:, None])
    labels = jnp.where(boxed[:, None], box_labels, jnp.stack([inside, nothing], axis=1))
    room = num_slots - 2
    return Prompts(
        jnp.pad(coords, ((0, 0), (0, room), (0, 0))),
        jnp.pad(labels, ((0, 0), (0, room)), constant_values=ABSENT),
    )


def correction(
    key: PRNGKeyArray, masks: Bool[Array, "n h w"], answers: Bool[Array, "n h w"]
) -> tuple[Float[Array, "n 2"], Int[Array, "n"]]:
    """A click anywhere in what an answer got wrong, and its label.

    INSIDE on what was missed, OUTSIDE on what is too much. Where all is right, a point
    inside; for an object that is not there, and of which nothing was seen, an OUTSIDE
    anywhere.
    """
    wrong = masks != answers
    flawless = ~jnp.any(wrong, axis=(1, 2), keepdims=True)
    absent = ~jnp.any(masks, axis=(1, 2), keepdims=True)
    region = jnp.where(flawless, masks | absent, wrong)
    pixel, _ = random_pixel(key, region)
    label = masks[jnp.arange(masks.shape[0]), pixel[:, 1], pixel[:, 0]]
    return pixel.astype(jnp.float32), label.astype(jnp.int32)


def add_point(
    prompts: Prompts, slot: int, point: Float[Array, "n 2"], label: Int[Array, "n"]
) -> Prompts:
    """The prompts with one more point, in a slot that was ABSENT."""
    return prompts._replace(
        point_coords=prompts.point_coords.at[:, slot].set(point),
        point_labels=prompts.point_labels.at[:, slot].set(label),
    )
