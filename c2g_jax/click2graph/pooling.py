"""Pooling of image features over masks: spatial aggregation (paper 3.3, 3.4)."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

_MIN_AREA = 1e-6  # in cells


def pool_mask(
    features: Float[Array, "#b h w c"],
    masks: Bool[Array, "b H W"] | Float[Array, "b H W"],
) -> Float[Array, "b c"]:
    """Return the mean feature of each mask, cells weighted by their covered area.

    Masks are bool or soft in [0, 1], of any size. An empty mask pools to zero, with
    finite gradients.
    """
    _, h, w, _ = features.shape
    weights = cell_cover(masks, h, w)
    features = features.astype(jnp.float32)
    if features.shape[0] == 1:  # a single frame: one matrix product
        total = jnp.einsum("byx,yxc->bc", weights, features[0], precision="highest")
    else:
        total = jnp.einsum("byx,byxc->bc", weights, features, precision="highest")
    mass = jnp.sum(weights, axis=(1, 2))
    return total / jnp.maximum(mass, _MIN_AREA)[:, None]


def cell_cover(
    masks: Bool[Array, "b H W"] | Float[Array, "b H W"], h: int, w: int
) -> Float[Array, "b h w"]:
    """Return the fraction of each of h x w cells that each mask covers."""
    rows, columns = area_matrix(masks.shape[1], h), area_matrix(masks.shape[2], w)
    return jnp.einsum(
        "yr,brc,xc->byx", rows, masks.astype(jnp.float32), columns, precision="highest"
    )


@functools.lru_cache(maxsize=64)
def area_matrix(pixels: int, cells: int) -> np.ndarray:
    """Return the fraction of each cell that each pixel covers, [cells, pixels].

    float32, along one axis of the image.
    """
    edges = np.arange(cells + 1) * (pixels / cells)
    starts = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(
        edges[:-1, None], starts
    )
    return (np.maximum(overlap, 0) * (cells / pixels)).astype(np.float32)
