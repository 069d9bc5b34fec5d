"""Where masks lie, and how the two of a pair lie to each other, in a few numbers.

Not in the paper, whose SCH tells relations from object pointers alone. Spatial features
of pairs are usual in scene graphs (e.g. arXiv 1608.00187); `from_scratch.sch` reads
these.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

_MULTIPLES = 0.5, 1, 2, 4  # of pi, in the sines and cosines of `pair_geometry`
MOMENTS, PAIR = 5, 16 * (1 + 2 * len(_MULTIPLES))  # numbers that the functions return
_SMALL = 1e-3  # of the image's side
_MOST = 2.0  # what is further apart is just far


def mask_moments(masks: Bool[Array, "n h w"] | np.ndarray) -> Float[Array, "n 5"]:
    """Return where masks lie: centre x and y, spread x and y, and area.

    In units of the image's sides; the spread is the standard deviation of the mask's
    pixels along an axis, each pixel a point: 0 for a line of one. All zeros for an
    empty mask. NumPy for NumPy.
    """
    xp = jnp if isinstance(masks, jax.Array) else np
    area = xp.sum(masks, axis=(1, 2), dtype=np.float32)
    centres, spreads = [], []
    for across in (1, 2):  # sums over y leave x, and the other way round
        share = xp.sum(masks, axis=across, dtype=np.float32)
        share = share / xp.maximum(area, 1.0)[:, None]
        at = (np.arange(share.shape[1], dtype=np.float32) + 0.5) / share.shape[1]
        centre = xp.sum(share * at, axis=1)
        centres.append(centre)
        square = xp.sum(share * (at - centre[:, None]) ** 2, axis=1)
        spreads.append(xp.sqrt(square))
    pixels = masks.shape[1] * masks.shape[2]
    return xp.stack([*centres, *spreads, area / pixels], axis=-1)


def pair_geometry(
    subject: Float[Array, "*n 5"], other: Float[Array, "*n 5"]
) -> Float[Array, "*n 144"]:
    """Return how the masks of pairs lie to each other, from two `mask_moments`.

    16 numbers: offset x and y of the centres; width and height of both boxes; x and y
    from either edge of the subject's box to either edge of the other's: all in units of
    the sum of the square roots of the two areas (and a little, as one may be empty),
    and at most 2. Half the logarithms of the ratio of these roots, and of the unit.
    Then sines and cosines of their multiples, as in position encodings: a network is
    slow to learn from the numbers alone. A box is that of the rectangle with the spread
    of the mask, which stray pixels hardly move.
    """
    sizes = [jnp.sqrt(x[..., 4:]) + _SMALL for x in (subject, other)]
    unit = sizes[0] + sizes[1]
    offset = (other[..., :2] - subject[..., :2]) / unit
    boxes = [x[..., 2:4] * (math.sqrt(12) / unit) for x in (subject, other)]
    edges = [
        offset + there * boxes[1] / 2 - here * boxes[0] / 2
        for here in (-1, 1)
        for there in (-1, 1)
    ]
    logarithms = jnp.log(sizes[1] / sizes[0]) / 2, jnp.log(unit) / 2
    numbers = jnp.concatenate([offset, *boxes, *edges, *logarithms], axis=-1)
    numbers = jnp.clip(numbers, -_MOST, _MOST)
    angles = [math.pi * multiple * numbers for multiple in _MULTIPLES]
    waves = [wave(angle) for angle in angles for wave in (jnp.sin, jnp.cos)]
    return jnp.concatenate([numbers, *waves], axis=-1)
