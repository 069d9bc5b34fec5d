"""Draw prompts from ground-truth masks on the device, as a user would give them.

Points are uniform over a region, as SAM2 trains; the host's (`data/prompts.py`) are
weighted by depth, as Click2Graph has them. Boxes are jittered by the same function as
there. Coordinates are (x, y) in pixels of the masks. An object without pixels gets a
meaningless prompt, which callers must ignore.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from c2g_jax.data.prompts import BOX, LABELS, POINT, jitter_boxes, mask_extents
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.types import ABSENT, INSIDE


def random_pixel(
    key: PRNGKeyArray, where: Bool[Array, "n h w"]
) -> tuple[Int[Array, "n 2"], Bool[Array, "n"]]:
    """Draw a pixel (x, y) of each region uniformly; also return which regions have any.

    The corner (w - 1, h - 1) for an empty region.
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
    """Draw a point inside each mask; also return its label."""
    pixel, _ = random_pixel(key, masks)
    return pixel.astype(jnp.float32), jnp.full(masks.shape[0], INSIDE, jnp.int32)


def random_box(
    key: PRNGKeyArray, masks: Bool[Array, "n h w"]
) -> tuple[Float[Array, "n 2 2"], Int[Array, "n 2"]]:
    """Return the corners of a jittered box around each mask, and their labels.

    Each side moves by up to a tenth of the box, and up to 20 pixels.
    """
    n, height, width = masks.shape
    boxes = mask_extents(masks).astype(jnp.float32)
    shifts = jax.random.uniform(key, boxes.shape, minval=-1.0, maxval=1.0)
    corners = jitter_boxes(boxes, shifts, (width, height)).reshape(n, 2, 2)
    return corners, jnp.broadcast_to(jnp.array(LABELS[BOX], jnp.int32), (n, 2))


def first_prompts(
    key: PRNGKeyArray, masks: Bool[Array, "n h w"], box_share: float, num_slots: int = 2
) -> Prompts:
    """Draw a point or a box for each mask, padded to `num_slots` points."""
    keys = jax.random.split(key, 3)
    point, _ = random_point(keys[0], masks)
    corners, box_labels = random_box(keys[1], masks)
    n = masks.shape[0]
    boxed = jax.random.uniform(keys[2], (n,)) < box_share
    coords = jnp.where(boxed[:, None, None], corners, point[:, None])
    labels = jnp.where(
        boxed[:, None], box_labels, jnp.array([LABELS[POINT]], jnp.int32)
    )
    room = num_slots - 2
    return Prompts(
        jnp.pad(coords, ((0, 0), (0, room), (0, 0))),
        jnp.pad(labels, ((0, 0), (0, room)), constant_values=ABSENT),
    )


def correction(
    key: PRNGKeyArray, masks: Bool[Array, "n h w"], answers: Bool[Array, "n h w"]
) -> tuple[Float[Array, "n 2"], Int[Array, "n"]]:
    """Draw a click uniformly from the wrong pixels of an answer; also return its label.

    INSIDE on a false negative, OUTSIDE on a false positive. If no pixel is wrong, a
    point inside the mask; if there is no mask either, an OUTSIDE anywhere.
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
    """Return the prompts with one more point, in a slot that was ABSENT."""
    return prompts._replace(
        point_coords=prompts.point_coords.at[:, slot].set(point),
        point_labels=prompts.point_labels.at[:, slot].set(label),
    )
