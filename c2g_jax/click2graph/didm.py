"""Dynamic Interaction Discovery Module (paper 3.3).

A subject token and N_q learned object queries attend to the image features; each
refined query becomes the (x, y) point of one object that interacts with the subject.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from c2g_jax.click2graph.dropout import dropout, split_key
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.sam2.attention import Attention
from c2g_jax.sam2.layers import TORCH_EPS, Mlp, layer_norm
from c2g_jax.sam2.position import sine_position_encoding


@dataclass(frozen=True)
class DidmConfig:
    """Shape of a DIDM. Where the paper is silent, width and heads are DETR's."""

    d_model: int = 256
    num_layers: int = 3
    num_heads: int = 8
    ffn: int = 1024
    num_queries: int = 3  # N_q
    dropout: float = 0.1

    def build(self, *, rngs: nnx.Rngs) -> "Didm":
        """Create the randomly initialised module of this configuration."""
        return Didm(self, rngs=rngs)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DidmOutput:
    """Points (x, y) in [0, 1], of the last layer and of all for auxiliary losses."""

    points: jax.Array  # float32 [b, q, 2]
    layer_points: jax.Array  # float32 [layers, b, q, 2]


class DidmLayer(nnx.Module):
    """Post-norm decoder layer of DETR: self-attention, cross-attention, FFN."""

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
        drop_keys = split_key(key, 4)
        drop = functools.partial(dropout, rate=self.dropout)
        q = tokens + token_position
        attended = self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens + drop(attended, key=drop_keys[0]))
        q = tokens + token_position
        attended = self.cross_attn(q, keys, values)
        tokens = self.norm2(tokens + drop(attended, key=drop_keys[1]))
        hidden = drop(jax.nn.relu(self.linear1(tokens)), key=drop_keys[2])
        return self.norm3(tokens + drop(self.linear2(hidden), key=drop_keys[3]))


class Didm(nnx.Module):
    """Predicts the points of the objects that interact with a subject."""

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

    def __call__(
        self,
        features: Float[Array, "#b h w c"],
        subject_masks: Bool[Array, "b H W"] | Float[Array, "b H W"],
        key: jax.Array | None = None,
    ) -> DidmOutput:
        """Predict N_q points for each of b subjects, given by their masks.

        `features` are image features without memory: one map for all subjects, or one
        each. Dropout is applied only with a `key`.
        """
        subject = pool_mask(features, subject_masks)
        tokens, position = self.first_tokens(subject)
        values = features.astype(jnp.float32)
        points = [
            jax.nn.sigmoid(self.point_head(queries))
            for queries in self.refined_queries(
                tokens, position, with_position(features), values, key
            )
        ]
        return DidmOutput(points[-1], jnp.stack(points))

    def first_tokens(
        self, subject: Float[Array, "b c"]
    ) -> tuple[Float[Array, "b s c"], Float[Array, "b s c"]]:
        """Return the s = 1 + N_q tokens before the first layer, and their positions.

        The subject token is the learned subject embedding plus the projected
        mask-pooled feature `subject`; it is prepended to the N_q object queries. As in
        DETR, the learned embeddings also serve as positions: each attention adds them
        to its queries.
        """
        embed = jnp.concatenate([self.subject_embed[...][None], self.query_embed[...]])
        position = jnp.broadcast_to(embed, (subject.shape[0], *embed.shape))
        return position.at[:, 0].add(self.subject_proj(subject)), position

    def refined_queries(
        self,
        tokens: Float[Array, "b s c"],
        position: Float[Array, "b s c"],
        keys: Float[Array, "#b h w c"],
        values: Float[Array, "#b h w c"],
        key: jax.Array | None,
    ) -> Iterator[Float[Array, "b q c"]]:
        """Yield the normalised object queries after each Transformer layer."""
        b, (h, w, c) = tokens.shape[0], keys.shape[1:]
        keys = jnp.broadcast_to(keys, (b, h, w, c)).reshape(b, h * w, c)
        values = jnp.broadcast_to(values, (b, h, w, c)).reshape(b, h * w, c)
        layer_keys = split_key(key, len(self.layers))
        for layer, layer_key in zip(self.layers, layer_keys, strict=True):
            tokens = layer(tokens, position, keys, values, layer_key)
            yield self.norm(tokens[:, 1:])


def with_position(features: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Return the features in float32 plus the sine position encoding of each cell."""
    _, h, w, c = features.shape
    return features.astype(jnp.float32) + sine_position_encoding(h, w, c)
