"""Mask decoder, and the choice among its four masks.

sam2/modeling/sam/mask_decoder.py.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.layers import Mlp, TransposedConv2x2, conv, gelu, layer_norm
from c2g_jax.sam2.two_way_transformer import TwoWayTransformer

NUM_MASKS = 4  # a single mask, and three (multimask) for an ambiguous prompt


class DecodedMasks(NamedTuple):
    """Decoder outputs of n objects; index 0 is the single mask."""

    logits: jax.Array  # float32 [n, 4, 4h, 4w]
    ious: jax.Array  # float32 [n, 4], predicted IoU of each mask
    tokens: jax.Array  # [n, 4, c], output token of each mask
    object_score: jax.Array  # float32 [n], a logit: above 0 the object is in view


class ChosenMask(NamedTuple):
    """The chosen mask of each object."""

    logits: jax.Array  # float32 [n, 4h, 4w]
    iou: jax.Array  # float32 [n]
    token: jax.Array  # [n, c], for the object pointer


class MaskDecoder(nnx.Module):
    """Decode four masks for each object from prompt tokens and image features."""

    def __init__(self, config: Sam2Config, rngs: nnx.Rngs):
        c, dtype = config.d_model, config.compute_dtype
        self.transformer = TwoWayTransformer(config, rngs)
        self.obj_score_token = nnx.Embed(1, c, rngs=rngs)
        self.iou_token = nnx.Embed(1, c, rngs=rngs)
        self.mask_tokens = nnx.Embed(NUM_MASKS, c, rngs=rngs)
        self.upscale1 = TransposedConv2x2(c, c // 4, dtype, rngs)
        self.upscale_norm = layer_norm(c // 4, dtype, rngs)
        self.upscale2 = TransposedConv2x2(c // 4, c // 8, dtype, rngs)
        self.conv_s0 = conv(c, c // 8, 1, dtype, rngs, fused=config.fused)
        self.conv_s1 = conv(c, c // 4, 1, dtype, rngs, fused=config.fused)
        self.output_hypernetworks_mlps = nnx.List(
            Mlp((c, c, c, c // 8), dtype, rngs) for _ in range(NUM_MASKS)
        )
        head = config.iou_head_dim
        self.iou_prediction_head = Mlp((c, head, head, NUM_MASKS), dtype, rngs)
        self.pred_obj_score_head = Mlp((c, c, c, 1), dtype, rngs)

    def __call__(
        self,
        image: jax.Array,
        image_position: jax.Array,
        high_res: tuple[jax.Array, jax.Array],
        sparse: jax.Array,
        valid: jax.Array,
        dense: jax.Array,
    ) -> DecodedMasks:
        """Decode n objects.

        image [1 or n, h, w, c]; image_position [h, w, c]; high_res ([1, 4h, 4w, c/8],
        [1, 2h, 2w, c/4]); sparse [n, s, c]; valid bool [n, s], False for padding; dense
        broadcasts to [n, h, w, c].
        """
        n, (h, w, c) = sparse.shape[0], image_position.shape
        output = (self.obj_score_token, self.iou_token, self.mask_tokens)
        output = jnp.concatenate([token.embedding[...] for token in output])
        output = jnp.broadcast_to(output.astype(sparse.dtype), (n, *output.shape))
        tokens = jnp.concatenate([output, sparse], axis=1)
        always = jnp.ones(output.shape[:2], bool)
        valid = jnp.concatenate([always, valid], axis=1)

        source = jnp.broadcast_to(image + dense, (n, h, w, c)).reshape(n, h * w, c)
        position = image_position.reshape(h * w, c).astype(source.dtype)
        tokens, source = self.transformer(source, position, tokens, valid)
        score_token, iou_token = tokens[:, 0], tokens[:, 1]
        mask_tokens = tokens[:, 2 : 2 + NUM_MASKS]

        x = gelu(self.upscale(source.reshape(n, h, w, c), high_res))
        mlps = self.output_hypernetworks_mlps
        filters = [mlp(mask_tokens[:, i]) for i, mlp in enumerate(mlps)]
        logits = jnp.einsum("nmc,nhwc->nmhw", jnp.stack(filters, axis=1), x)

        ious = jax.nn.sigmoid(self.iou_prediction_head(iou_token))
        score = self.pred_obj_score_head(score_token)[:, 0]
        return DecodedMasks(
            logits.astype(jnp.float32),
            ious.astype(jnp.float32),
            mask_tokens,
            score.astype(jnp.float32),
        )

    def upscale(
        self, image: jax.Array, high_res: tuple[jax.Array, jax.Array]
    ) -> jax.Array:
        """Return the image at stride 4, [n, 4h, 4w, c/8], before its last activation.

        Masks are products of its activation and a token's filter.
        """
        fine, middle = high_res
        x = self.upscale_norm(self.upscale1(image) + middle)
        return self.upscale2(gelu(x)) + fine


def stability(logits: jax.Array, delta: float) -> jax.Array:
    """Stability score [...] of logits [..., H, W]: IoU of cuts at +delta and -delta."""
    inner = jnp.sum(logits > delta, axis=(-2, -1)).astype(jnp.float32)
    outer = jnp.sum(logits > -delta, axis=(-2, -1)).astype(jnp.float32)
    return jnp.where(outer > 0, inner / jnp.maximum(outer, 1), 1.0)


def choose_mask(
    masks: DecodedMasks, multimask: jax.Array, config: Sam2Config
) -> ChosenMask:
    """Choose the mask of each object.

    Where `multimask` bool [n]: the one of the three with the highest predicted IoU.
    Elsewhere: the single mask, or the best of the three if that is unstable; the token
    is then still that of the single mask (mask_decoder.py:149-163).
    """
    best = 1 + jnp.argmax(masks.ious[:, 1:], axis=1)
    single = masks.logits[:, 0]
    stable = stability(single, config.stability_delta) >= config.stability_threshold
    index = jnp.where(multimask | ~stable, best, 0)
    rows = jnp.arange(index.shape[0])
    token_index = jnp.where(multimask, best, 0)
    return ChosenMask(
        masks.logits[rows, index],
        masks.ious[rows, index],
        masks.tokens[rows, token_index],
    )
