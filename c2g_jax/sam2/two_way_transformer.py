"""Two-way transformer of the mask decoder (sam2/modeling/sam/transformer.py)."""

import jax
from flax import nnx

from c2g_jax.sam2.attention import Attention
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.layers import TORCH_EPS, Mlp, layer_norm


class TwoWayAttentionBlock(nnx.Module):
    """Self-attention, tokens to image, MLP, image to tokens; each with post-norm."""

    def __init__(self, config: Sam2Config, first: bool, rngs: nnx.Rngs):
        c, dtype, heads = config.d_model, config.compute_dtype, config.decoder_heads
        self.first, fused = first, config.fused

        def cross() -> Attention:
            return Attention(c, heads, dtype, rngs, inner=c // 2, fused=fused)

        self.self_attn = Attention(c, heads, dtype, rngs, fused=fused)
        self.norm1 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.cross_attn_token_to_image = cross()
        self.norm2 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.mlp = Mlp((c, config.decoder_mlp_dim, c), dtype, rngs)
        self.norm3 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.norm4 = layer_norm(c, dtype, rngs, TORCH_EPS)
        self.cross_attn_image_to_token = cross()

    def __call__(
        self,
        tokens: jax.Array,
        image: jax.Array,
        token_position: jax.Array,
        image_position: jax.Array,
        valid: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        if self.first:  # without position encoding and residual
            tokens = self.self_attn(tokens, tokens, tokens, valid)
        else:
            q = tokens + token_position
            tokens = tokens + self.self_attn(q, q, tokens, valid)
        tokens = self.norm1(tokens)

        q, k = tokens + token_position, image + image_position
        tokens = tokens + self.cross_attn_token_to_image(q, k, image)
        tokens = self.norm2(tokens)

        tokens = self.norm3(tokens + self.mlp(tokens))

        q = tokens + token_position
        image = image + self.cross_attn_image_to_token(k, q, tokens, valid)
        return tokens, self.norm4(image)


class TwoWayTransformer(nnx.Module):
    """Two blocks and a final attention from tokens to image."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        c, dtype = config.d_model, config.compute_dtype
        self.layers = nnx.List(
            TwoWayAttentionBlock(config, first, rngs) for first in (True, False)
        )
        self.final_attn_token_to_image = Attention(
            c, config.decoder_heads, dtype, rngs, inner=c // 2, fused=config.fused
        )
        self.norm_final_attn = layer_norm(c, dtype, rngs, TORCH_EPS)

    def __call__(
        self,
        image: jax.Array,
        image_position: jax.Array,
        tokens: jax.Array,
        valid: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Return updated tokens [n, s, c] and image features [n, hw, c].

        `image_position` is [hw, c]; `valid` bool [n, s] masks padding tokens.
        """
        position = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, position, image_position, valid)
        q, k = tokens + position, image + image_position
        tokens = tokens + self.final_attn_token_to_image(q, k, image)
        return self.norm_final_attn(tokens), image
