"""DIDM for models trained from scratch, with two departures from paper 3.3.

On the features of a small encoder, the paper's queries need far more steps to find
objects: they know nothing of the image at first, and read positions from keys alone.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.click2graph.didm import Didm, DidmConfig, DidmOutput, with_position
from c2g_jax.click2graph.pooling import cell_cover, pool_mask
from c2g_jax.from_scratch.pointing import EXCLUDED, peaks, pointing, unit
from c2g_jax.sam2.position import sine_position_encoding
from c2g_jax.types import InputError

_ZEROS = nnx.initializers.zeros
_REACH = 1.0  # maximum offset from the starting cell, in cells
KEYS, EVERYWHERE = "keys", "everywhere"
LEARNED, POINTED = "learned", "pointed"


@dataclass(frozen=True)
class FromScratchDidmConfig(DidmConfig):
    """Shape of a `FromScratchDidm`. The defaults are the paper's choices."""

    # What carries the positions of image cells. KEYS: the keys of the cross-attention.
    # EVERYWHERE: also its values and the subject's pooled feature, so that a point can
    # be read off directly.
    positions: str = KEYS
    # Where queries start. LEARNED: embeddings independent of the image. POINTED: also
    # the features and positions of the cells that the subject points at (`pointing`),
    # like the two-stage queries of Deformable DETR (arXiv 2010.04159, A.4); for an
    # encoder trained to point.
    queries: str = LEARNED

    def __post_init__(self):
        if self.queries not in (LEARNED, POINTED):
            raise InputError(f"queries {self.queries!r}: use {LEARNED} or {POINTED}")
        if self.positions not in (KEYS, EVERYWHERE):
            raise InputError(
                f"positions {self.positions!r}: use {KEYS} or {EVERYWHERE}"
            )

    def build(self, *, rngs: nnx.Rngs) -> "FromScratchDidm":
        """Create the randomly initialised module of this configuration."""
        return FromScratchDidm(self, rngs=rngs)


def didm_config(
    positions: str = KEYS, queries: str = LEARNED, **shape: Any
) -> DidmConfig:
    """Return the paper's configuration for the paper's choices, else one of ours.

    The arguments are the fields of `FromScratchDidmConfig`, as in a manifest.
    """
    if (positions, queries) == (KEYS, LEARNED):
        return DidmConfig(**shape)
    return FromScratchDidmConfig(**shape, positions=positions, queries=queries)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PointedOutput(DidmOutput):
    """Output with POINTED queries."""

    heat: jax.Array  # float32 [b, h * w], see `FromScratchDidm.aim`


class FromScratchDidm(Didm):
    """A DIDM whose queries may start at cells, and whose values may carry positions."""

    def __init__(self, config: FromScratchDidmConfig, *, rngs: nnx.Rngs):
        super().__init__(config, rngs=rngs)
        if config.queries == POINTED:
            # Initially subjects point as the encoder was trained to, and the points are
            # the centres of the starting cells.
            c = config.d_model
            self.aim_subject = nnx.Linear(c, c, kernel_init=_ZEROS, rngs=rngs)
            self.aim_object = nnx.Linear(c, c, kernel_init=_ZEROS, rngs=rngs)
            self.point_head.layers[-1].kernel = nnx.Param(jnp.zeros((c, 2)))

    def __call__(
        self,
        features: Float[Array, "#b h w c"],
        subject_masks: Bool[Array, "b H W"] | Float[Array, "b H W"],
        key: jax.Array | None = None,
    ) -> DidmOutput:
        """Predict N_q points for each of b subjects; see `Didm.__call__`."""
        _, h, w, _ = features.shape
        keys = with_position(features)
        everywhere = self.config.positions == EVERYWHERE
        values = keys if everywhere else features.astype(jnp.float32)
        tokens, position = self.first_tokens(pool_mask(values, subject_masks))
        if self.config.queries == LEARNED:
            refined = self.refined_queries(tokens, position, keys, values, key)
            points = jnp.stack([jax.nn.sigmoid(self.point_head(q)) for q in refined])
            return DidmOutput(points[-1], points)

        heat = self.aim(features, subject_masks)
        cells = peaks(
            jax.lax.stop_gradient(heat),
            features.reshape(features.shape[0], h * w, -1),
            self.config.num_queries,
        )
        content, place = cell_content(features, cells)
        tokens = tokens.at[:, 1:].add(place + content)
        position = position.at[:, 1:].add(place)
        refined = self.refined_queries(tokens, position, keys, values, key)
        points = [near_cells(cells, self.point_head(q), h, w) for q in refined]
        return PointedOutput(points[-1], jnp.stack(points), heat)

    def aim(
        self,
        features: Float[Array, "#b h w c"],
        masks: Bool[Array, "b H W"] | Float[Array, "b H W"],
    ) -> Float[Array, "b t"]:
        """Return how much each subject points at each of t = h * w cells, as cosines.

        Row-major. Cells covered by the subject itself by more than half are EXCLUDED.
        """
        _, h, w, c = features.shape
        placed = with_position(features)
        x = features.astype(jnp.float32) + self.aim_object(placed)
        subject = pool_mask(features, masks) + self.aim_subject(
            pool_mask(placed, masks)
        )
        heat = pointing(unit(subject)[:, None], unit(x.reshape(-1, h * w, c)))[:, 0]
        own = cell_cover(masks, h, w).reshape(heat.shape) > 0.5
        return heat - EXCLUDED * own


def cell_content(
    features: Float[Array, "#b h w c"], cells: Int[Array, "b q"]
) -> tuple[Float[Array, "b q c"], Float[Array, "b q c"]]:
    """Return the features and the position encodings of row-major cells, float32."""
    _, h, w, c = features.shape
    encoding = jnp.asarray(sine_position_encoding(h, w, c)).reshape(h * w, c)
    flat = jnp.broadcast_to(features, (len(cells), h, w, c)).reshape(-1, h * w, c)
    content = jnp.take_along_axis(flat, cells[..., None], axis=1)
    return content.astype(jnp.float32), encoding[cells]


def near_cells(
    cells: Int[Array, "b q"], offsets: Float[Array, "b q 2"], h: int, w: int
) -> Float[Array, "b q 2"]:
    """Return points (x, y) in [0, 1]: centres of cells plus bounded offsets."""
    cell = jnp.stack([cells % w, cells // w], axis=-1)
    points = (cell + 0.5 + _REACH * jnp.tanh(offsets)) / jnp.array([w, h])
    return jnp.clip(points, 0.0, 1.0)
