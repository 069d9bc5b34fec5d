"""DIDM: where are the objects that interact with this subject?

The Dynamic Interaction Discovery Module of Click2Graph (arXiv 2511.15948, 3.3): a
subject token and N_q learned queries look at the image and become N_q points.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from c2g_jax.click2graph.dropout import dropout, split_key
from c2g_jax.click2graph.pooling import cell_cover, pool_mask
from c2g_jax.from_scratch.pointing import BEHIND, peaks, pointing, unit
from c2g_jax.sam2.attention import Attention
from c2g_jax.sam2.layers import TORCH_EPS, Mlp, layer_norm
from c2g_jax.sam2.position import sine_position_encoding
from c2g_jax.types import InputError

_ZEROS = nnx.initializers.zeros
_REACH = 1.0  # cells: further off is another body, which another query starts on
KEYS, EVERYWHERE = "keys", "everywhere"
LEARNED, POINTED = "learned", "pointed"


@dataclass(frozen=True)
class DidmConfig:
    """What shapes a DIDM; left open by the paper, width and heads are as in DETR."""

    d_model: int = 256
    num_layers: int = 3
    num_heads: int = 8
    ffn: int = 1024
    num_queries: int = 3
    dropout: float = 0.1
    # What has the positions of the image: KEYS of the cross-attention alone, as in
    # DETR, whose encoder puts them into the features; here is none. EVERYWHERE: the
    # values and the subject's pooled feature too, so that a point is read off directly.
    positions: str = "keys"
    # Where the queries start. LEARNED: nowhere, they know of no image, as in the paper.
    # POINTED: at the cells that the subject points at (`pointing.py`), of which they
    # hold the features and the places, as two-stage queries do (arXiv 2010.04159, A.4);
    # for an encoder that was taught to point.
    queries: str = "learned"

    def __post_init__(self):
        if self.queries not in (LEARNED, POINTED):
            raise InputError(f"queries {self.queries!r}: use {LEARNED} or {POINTED}")
        if self.positions not in (KEYS, EVERYWHERE):
            raise InputError(
                f"positions {self.positions!r}: use {KEYS} or {EVERYWHERE}"
            )


class DidmOutput(NamedTuple):
    """Points as (x, y) in [0, 1]; those of every layer serve auxiliary losses."""

    points: jax.Array  # float32 [b, q, 2], of the last layer
    layer_points: jax.Array  # float32 [layers, b, q, 2]
    heat: jax.Array | None = None  # float32 [b, h * w], of POINTED queries: `aim`


class DidmLayer(nnx.Module):
    """A decoder layer as in DETR: self-attention, cross-attention, FFN, post-normed."""

    def __init__(self, config: DidmConfig, *, rngs: nnx.Rngs):
        c, dtype = config.d_model, jnp.dtype("float32")
        self.dropout = config.dropout
        self.self_attn = Attention(c, config.num_heads, dtype, rngs)
        self.norm1 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.cross_attn = Attention(c, config.num_heads, dtype, rngs)
        self.norm2 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.linear1 = nnx.Linear(c, config.ffn, rngs=rngs)
        self.linear2 = nnx.Linear(config.ffn, c, rngs=rngs)
        self.norm3 = layer_norm(c, dtype, rngs, TORCH_EPS)

    def __call__(
        self,
        tokens: Float[Array, "b s c"],
        token_position: Float[Array, "#b s c"],
        keys: Float[Array, "b t c"],
        values: Float[Array, "b t c"],
        key: jax.Array | None = None,
    ) -> Float[Array, "b s c"]:
        drops = split_key(key, 4)
        drop = functools.partial(dropout, rate=self.dropout)
        q = tokens + token_position
        attended = self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens + drop(attended, key=drops[0]))
        q = tokens + token_position
        attended = self.cross_attn(q, keys, values)
        tokens = self.norm2(tokens + drop(attended, key=drops[1]))
        hidden = drop(jax.nn.relu(self.linear1(tokens)), key=drops[2])
        return self.norm3(tokens + drop(self.linear2(hidden), key=drops[3]))


class Didm(nnx.Module):
    """Points at the objects that interact with a subject."""

    def __init__(self, config: DidmConfig, *, rngs: nnx.Rngs):
        c, dtype = config.d_model, jnp.dtype("float32")
        self.config = config
        self.subject_proj = nnx.Linear(c, c, rngs=rngs)
        self.subject_embed = nnx.Param(jax.random.normal(rngs.params(), (c,)))
        self.query_embed = nnx.Param(
            jax.random.normal(rngs.params(), (config.num_queries, c))
        )
        self.layers = nnx.List(
            DidmLayer(config, rngs=rngs) for _ in range(config.num_layers)
        )
        self.norm = layer_norm(c, dtype, rngs, TORCH_EPS)  # shared by all layers
        self.point_head = Mlp((c, c, c, 2), dtype, rngs)
        if config.queries == POINTED:
            # At first, subjects point as the encoder was taught, and points are where
            # queries start.
            self.aim_subject = nnx.Linear(c, c, kernel_init=_ZEROS, rngs=rngs)
            self.aim_object = nnx.Linear(c, c, kernel_init=_ZEROS, rngs=rngs)
            last = self.point_head.layers[-1]
            last.kernel = nnx.Param(jnp.zeros((c, 2)))

    def __call__(
        self,
        features: Float[Array, "#b h w c"],
        subject: Float[Array, "b c"],
        key: jax.Array | None = None,
        cells: Int[Array, "b q"] | None = None,
    ) -> DidmOutput:
        """Points for b subjects, each described by `describe`.

        `features` are memory-free image features, one map for all subjects or one
        each; `cells`, row-major, are where POINTED queries start. Without a `key`
        nothing is dropped out.
        """
        b = subject.shape[0]
        _, h, w, c = features.shape
        keys = jnp.broadcast_to(self.placed(features), (b, h, w, c))
        values = jnp.broadcast_to(features.astype(jnp.float32), (b, h, w, c))
        keys, values = keys.reshape(b, h * w, c), values.reshape(b, h * w, c)
        if self.config.positions == EVERYWHERE:
            values = keys

        # The learned part of a token is its content at first, and its position in
        # every attention, as DETR adds query_pos at each layer.
        embed = jnp.concatenate([self.subject_embed[...][None], self.query_embed[...]])
        position = jnp.broadcast_to(embed, (b, *embed.shape))
        described = self.subject_proj(subject.astype(jnp.float32))
        tokens = position.at[:, 0].add(described)
        if cells is not None:
            places = jnp.asarray(sine_position_encoding(h, w, c)).reshape(h * w, c)
            place = places[cells]
            position = position.at[:, 1:].add(place)
            features = jnp.broadcast_to(features, (b, h, w, c)).reshape(b, h * w, c)
            seen = jnp.take_along_axis(features, cells[..., None], axis=1)
            tokens = tokens.at[:, 1:].add(place + seen.astype(jnp.float32))

        layer_points = []
        for layer, layer_key in zip(
            self.layers, split_key(key, len(self.layers)), strict=True
        ):
            tokens = layer(tokens, position, keys, values, layer_key)
            queries = self.norm(tokens[:, 1:])
            said = self.point_head(queries)
            if cells is None:
                layer_points.append(jax.nn.sigmoid(said))
            else:
                layer_points.append(near_cells(cells, said, h, w))
        return DidmOutput(layer_points[-1], jnp.stack(layer_points))

    def aim(
        self,
        features: Float[Array, "#b h w c"],
        masks: Bool[Array, "b H W"] | Float[Array, "b H W"],
    ) -> Float[Array, "b t"]:
        """How much each subject points at each cell, row-major: cosines.

        BEHIND less where the subject itself covers most of a cell.
        """
        _, h, w, c = features.shape
        placed = self.placed(features)
        x = features.astype(jnp.float32) + self.aim_object(placed)
        subject = pool_mask(features, masks) + self.aim_subject(
            pool_mask(placed, masks)
        )
        heat = pointing(unit(subject)[:, None], unit(x.reshape(-1, h * w, c)))[:, 0]
        own = cell_cover(masks, h, w).reshape(heat.shape) > 0.5
        return heat - BEHIND * own

    def placed(self, features: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """The features with the position of each cell added."""
        _, h, w, c = features.shape
        return features.astype(jnp.float32) + sine_position_encoding(h, w, c)

    def describe(
        self,
        features: Float[Array, "#b h w c"],
        masks: Bool[Array, "b H W"] | Float[Array, "b H W"],
    ) -> Float[Array, "b c"]:
        """What the subjects that the masks show look like, and maybe where they are."""
        if self.config.positions == EVERYWHERE:
            features = self.placed(features)
        return pool_mask(features, masks)


def discover(
    didm: Didm,
    features: Float[Array, "#b h w c"],
    subject_masks: Bool[Array, "b H W"] | Float[Array, "b H W"],
    key: jax.Array | None = None,
) -> DidmOutput:
    """Points on what interacts with the subjects that the masks show."""
    described = didm.describe(features, subject_masks)
    if didm.config.queries == LEARNED:
        return didm(features, described, key)
    heat = didm.aim(features, subject_masks)
    cells = peaks(
        jax.lax.stop_gradient(heat),
        features.reshape(features.shape[0], -1, features.shape[-1]),
        didm.config.num_queries,
    )
    return didm(features, described, key, cells)._replace(heat=heat)


def near_cells(
    cells: Int[Array, "b q"], offsets: Float[Array, "b q 2"], h: int, w: int
) -> Float[Array, "b q 2"]:
    """Points (x, y) in [0, 1] around the middles of cells, within reach of them."""
    cell = jnp.stack([cells % w, cells // w], axis=-1)
    points = (cell + 0.5 + _REACH * jnp.tanh(offsets)) / jnp.array([w, h])
    return jnp.clip(points, 0.0, 1.0)
