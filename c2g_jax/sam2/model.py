"""The SAM2.1 model: all modules, and the steps between them.

sam2/modeling/sam2_base.py, with objects as a batch over the features of one frame.
"""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, UInt8

from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.hiera import MultiScaleAttention
from c2g_jax.sam2.layers import (
    DepthwiseConv,
    Linear,
    Mlp,
    TransposedConv2x2,
    abstract,
    conv,
)
from c2g_jax.sam2.mask_decoder import ChosenMask, DecodedMasks, MaskDecoder
from c2g_jax.sam2.memory import Memories
from c2g_jax.sam2.memory_attention import MemoryAttention
from c2g_jax.sam2.memory_encoder import MemoryEncoder
from c2g_jax.sam2.neck import ImageEncoder
from c2g_jax.sam2.position import sine_position_encoding, sine_time_encoding
from c2g_jax.sam2.prompt_encoder import PromptEncoder
from c2g_jax.sam2.prompts import Prompts

T = TypeVar("T", bound=nnx.Module)
# Layers that round their weights to their dtype.
_PRODUCTS = (nnx.Linear, nnx.Conv, DepthwiseConv, TransposedConv2x2)

# Of ImageNet's colours, by which images are normalised.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class FrameFeatures(NamedTuple):
    """Image features of b frames."""

    embed: Float[Array, "b h w c"]  # stride 16
    high_res: tuple[Float[Array, "b 4h 4w c/8"], Float[Array, "b 2h 2w c/4"]]

    def frame(self, t: int) -> "FrameFeatures":
        """Return the features of frame t alone, b = 1."""
        return jax.tree.map(lambda x: x[t : t + 1], self)


def normalize_frames(frames: UInt8[Array, "... S S 3"]) -> Float[Array, "... S S 3"]:
    """Normalise RGB frames for `Sam2.encode_image`."""
    return (frames.astype(jnp.float32) / 255.0 - MEAN) / STD


class Sam2(nnx.Module):
    """SAM2.1 of a given configuration. The state of a video is kept outside."""

    def __init__(self, config: Sam2Config, *, rngs: nnx.Rngs):
        c, m, dtype = config.d_model, config.mem_dim, config.compute_dtype
        self.config = config
        self.image_encoder = ImageEncoder(config, rngs)
        self.sam_prompt_encoder = PromptEncoder(config, rngs)
        self.sam_mask_decoder = MaskDecoder(config, rngs)
        self.memory_attention = MemoryAttention(config, rngs)
        self.memory_encoder = MemoryEncoder(config, rngs)
        self.obj_ptr_proj = Mlp((c, c, c, c), dtype, rngs)
        self.obj_ptr_tpos_proj = Linear(c, m, dtype, rngs)
        self.mask_downsample = conv(1, 1, 4, dtype, rngs, stride=4)

        def embedding(*shape: int) -> nnx.Param:
            return nnx.Param(0.02 * jax.random.normal(rngs.params(), shape))

        self.maskmem_tpos_enc = embedding(config.num_maskmem, m)
        self.no_mem_embed = embedding(c)
        # Part of every checkpoint, but unused by the published configurations.
        self.no_mem_pos_enc = embedding(c)
        self.no_obj_ptr = embedding(c)
        self.no_obj_embed_spatial = embedding(m)

    def encode_image(self, images: Float[Array, "b S S 3"]) -> FrameFeatures:
        """Encode normalised images."""
        fine, middle, coarse = self.image_encoder(images)
        decoder, dtype = self.sam_mask_decoder, self.config.compute_dtype
        high_res = (decoder.conv_s0(fine), decoder.conv_s1(middle))
        return FrameFeatures(coarse.astype(dtype), high_res)

    def without_memory(self, features: FrameFeatures) -> Float[Array, "b h w c"]:
        """Return the image embedding for decoding without memory: plus no_mem_embed."""
        return features.embed + self.no_mem_embed[...].astype(features.embed.dtype)

    def with_memory(
        self,
        features: FrameFeatures,
        memories: Memories,
        num_frames: Int[Array, ""] | int,
    ) -> Float[Array, "n h w c"]:
        """Return the embedding of one frame, conditioned on each object's memories.

        `num_frames` is the length of the video: it scales the temporal positions of
        object pointers if below 16. Pass any larger number where it is unknown.
        sam2_base.py:497-676.
        """
        _, h, w, c = features.embed.shape
        n, slots = memories.spatial_valid.shape
        m, dtype = self.config.mem_dim, features.embed.dtype
        spatial = memories.spatial.reshape(n, slots * h * w, m)
        place = sine_position_encoding(h, w, m).reshape(1, 1, h * w, m)
        time = self.maskmem_tpos_enc[...][memories.spatial_time]
        spatial_position = (place + time[:, :, None]).reshape(n, -1, m)

        # A pointer is split into c / m tokens with one temporal position.
        parts = c // m
        pointers = memories.pointers.reshape(n, -1, m)
        longest = jnp.minimum(num_frames, self.config.max_obj_ptrs) - 1
        scaled = memories.pointer_time / jnp.maximum(longest, 1)
        pointer_position = self.obj_ptr_tpos_proj(sine_time_encoding(scaled, c))
        pointer_position = jnp.repeat(pointer_position, parts, axis=1)

        valid = [
            jnp.repeat(memories.spatial_valid, h * w, axis=1),
            jnp.repeat(memories.pointer_valid, parts, axis=1),
        ]
        out = self.memory_attention(
            features.embed.reshape(-1, h * w, c),
            sine_position_encoding(h, w, c).reshape(h * w, c),
            jnp.concatenate([spatial, pointers], axis=1).astype(dtype),
            jnp.concatenate([spatial_position, pointer_position], axis=1),
            jnp.concatenate(valid, axis=1),
            pointers.shape[1],
        )
        return out.reshape(n, h, w, c)

    def decode(
        self, image: Float[Array, "#n h w c"], features: FrameFeatures, prompts: Prompts
    ) -> DecodedMasks:
        """Decode masks of n objects from their prompts, on one image or on one each."""
        sparse, valid, dense = self.sam_prompt_encoder(prompts)
        position = self.sam_prompt_encoder.dense_position()
        return self.sam_mask_decoder(
            image, position, features.high_res, sparse, valid, dense
        )

    def pointer(
        self, chosen: ChosenMask, present: Bool[Array, "n"]
    ) -> Float[Array, "n c"]:
        """Project mask tokens to object pointers; no_obj_ptr for absent objects."""
        return self.absent_pointer(self.obj_ptr_proj(chosen.token), present)

    def absent_pointer(
        self, pointer: Float[Array, "n c"], present: Bool[Array, "n"]
    ) -> Float[Array, "n c"]:
        """Return `pointer` where `present`, else the learned `no_obj_ptr`."""
        absent = self.no_obj_ptr[...].astype(pointer.dtype)
        return jnp.where(present[:, None], pointer, absent)

    def encode_memory(
        self,
        features: FrameFeatures,
        mask_logits: Float[Array, "n S S"],
        present: Bool[Array, "n"],
        binarise: Bool[Array, "n"],
    ) -> Float[Array, "n h w m"]:
        """Encode the memory of a frame and its masks (sam2_base.py:678-726).

        `binarise` marks objects that are prompted on the frame: their masks are
        thresholded, not passed through a sigmoid.
        """
        config = self.config
        hard = (mask_logits > 0).astype(jnp.float32)
        masks = jnp.where(binarise[:, None, None], hard, jax.nn.sigmoid(mask_logits))
        masks = masks * config.memory_sigmoid_scale + config.memory_sigmoid_bias
        memory = self.memory_encoder(features.embed, masks)
        absent = self.no_obj_embed_spatial[...].astype(memory.dtype)
        return memory + jnp.where(present[:, None, None, None], 0, absent)


def for_inference(model: T) -> T:
    """Return a copy of a model with its weights as a video needs them.

    Those of products are held in the type that they are rounded to at each use: in
    bfloat16 half as much memory is held and read. For fused attention queries, keys and
    values have weights of their own, and what depends on no image is computed once.
    Not to be trained or saved; of a copy made so it is an equal one. In float32, with
    plain attention, it has the same weights.
    """
    model = nnx.clone(model)
    for _, module in list(nnx.iter_modules(model)):
        if isinstance(module, Sam2):
            config = module.config
            if config.fused or config.dtype != "float32":
                model.inference_only = True  # told where it would be saved
        if isinstance(module, _PRODUCTS) and module.dtype is not None:
            for name in ("kernel", "bias"):
                weight = getattr(module, name)
                weight.set_value(weight[...].astype(module.dtype))
    for _, module in list(nnx.iter_modules(model)):
        if isinstance(module, MultiScaleAttention) and module.fused:
            module.hold_apart()
        if isinstance(module, Sam2) and module.config.fused:
            module.image_encoder.trunk.hold_position(module.config.image_size)
    return model


def abstract_sam2(config: Sam2Config) -> Sam2:
    """Return an abstract model: parameters have shapes and dtypes, but no values."""
    return abstract(lambda rngs: Sam2(config, rngs=rngs))
