"""Prompt encoder: points, boxes and masks to sparse tokens and a dense embedding.

sam2/modeling/sam/prompt_encoder.py.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.layers import conv, gelu, layer_norm
from c2g_jax.sam2.position import RandomFourierEncoding
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.types import ABSENT, NOT_A_POINT


class MaskDownscaling(nnx.Module):
    """Embed mask logits [n, 4h, 4w, 1] as [n, h, w, c]."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        dtype, width = config.compute_dtype, config.mask_in_chans
        self.conv1 = conv(1, width // 4, 2, dtype, rngs, stride=2)
        self.norm1 = layer_norm(width // 4, dtype, rngs)
        self.conv2 = conv(width // 4, width, 2, dtype, rngs, stride=2)
        self.norm2 = layer_norm(width, dtype, rngs)
        self.conv3 = conv(width, config.d_model, 1, dtype, rngs)

    def __call__(self, logits: jax.Array) -> jax.Array:
        x = gelu(self.norm1(self.conv1(logits)))
        x = gelu(self.norm2(self.conv2(x)))
        return self.conv3(x)


class PromptEncoder(nnx.Module):
    """Encode `Prompts` of n objects."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        c = config.d_model
        self.image_size, self.feature_size = config.image_size, config.feature_size
        self.dtype = config.compute_dtype
        self.pe_layer = RandomFourierEncoding(c, rngs=rngs)
        self.point_embeddings = nnx.List(nnx.Embed(1, c, rngs=rngs) for _ in range(4))
        self.not_a_point_embed = nnx.Embed(1, c, rngs=rngs)
        self.mask_downscaling = MaskDownscaling(config, rngs)
        self.no_mask_embed = nnx.Embed(1, c, rngs=rngs)

    def dense_position(self) -> jax.Array:
        """Return the position encoding of the image embedding: float32 [h, w, c]."""
        return self.pe_layer.grid(self.feature_size, self.feature_size)

    def encode_points(
        self, coords: jax.Array, labels: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Return tokens [n, p + 1, c] and their validity, bool [n, p + 1].

        The last token is the NOT_A_POINT that upstream appends to every list of points.
        An object whose slots are all ABSENT has no list, and no such token.
        """
        n = coords.shape[0]
        coords = jnp.concatenate([coords, jnp.zeros((n, 1, 2))], axis=1)
        has_points = jnp.any(labels != ABSENT, axis=1, keepdims=True)
        padding = jnp.where(has_points, NOT_A_POINT, ABSENT).astype(labels.dtype)
        labels = jnp.concatenate([labels, padding], axis=1)
        # Pixel centres, as fractions of the model image.
        tokens = self.pe_layer((coords + 0.5) / self.image_size)
        by_label = jnp.stack([e.embedding[0] for e in self.point_embeddings])
        tokens = tokens + by_label[jnp.clip(labels, 0, len(by_label) - 1)]
        not_a_point = self.not_a_point_embed.embedding[0]
        tokens = jnp.where((labels >= 0)[..., None], tokens, not_a_point)
        return tokens.astype(self.dtype), labels != ABSENT

    def encode_masks(self, prompts: Prompts) -> jax.Array:
        """Return the dense embedding [n, h, w, c]; [1, 1, 1, c] without masks."""
        no_mask = self.no_mask_embed.embedding[...].reshape(1, 1, 1, -1)
        no_mask = no_mask.astype(self.dtype)
        if prompts.mask_logits is None:
            return no_mask
        dense = self.mask_downscaling(prompts.mask_logits[..., None])
        if prompts.has_mask is None:
            return dense
        return jnp.where(prompts.has_mask[:, None, None, None], dense, no_mask)

    def __call__(self, prompts: Prompts) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return sparse tokens [n, s, c], validity [n, s] and the dense embedding."""
        tokens, valid = self.encode_points(prompts.point_coords, prompts.point_labels)
        return tokens, valid, self.encode_masks(prompts)
