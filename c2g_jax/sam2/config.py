"""Hyperparameters of SAM2.1, by size."""

import dataclasses

import jax.numpy as jnp
from jax.extend import backend

from c2g_jax.sam2.fused_attention import (
    AUTO,
    FUSED,
    PLAIN,
    is_modern,
    resolve_attention,
)
from c2g_jax.types import InputError


@dataclasses.dataclass(frozen=True)
class Sam2Config:
    """Hyperparameters of a SAM2.1 model (sam2/configs/sam2.1/*.yaml).

    Options that all four published configurations set to the same value are not
    fields: the modules implement that value.
    """

    size: str
    # Hiera trunk
    embed_dim: int  # channels of the first stage; they double at each stage
    num_heads: int  # heads of the first stage; they double at each stage
    stages: tuple[int, int, int, int]  # blocks of each stage
    global_att_blocks: tuple[int, ...]  # blocks with global attention
    window_spec: tuple[int, int, int, int]  # window size of each stage
    pos_embed_size: tuple[int, int]  # grid of the stored position embedding
    # Shared by neck, prompt encoder, decoder and memory attention
    d_model: int = 256
    mem_dim: int = 64  # channels of a memory feature
    image_size: int = 1024  # side of the square model image, in pixels
    # Prompt encoder, mask decoder
    mask_in_chans: int = 16
    decoder_mlp_dim: int = 2048
    decoder_heads: int = 8
    iou_head_dim: int = 256
    stability_delta: float = 0.05
    stability_threshold: float = 0.98
    # Memory
    memory_layers: int = 4
    memory_mlp_dim: int = 2048
    num_maskmem: int = 7  # temporal position embeddings: prompted, and six recent
    max_obj_ptrs: int = 16
    memory_sigmoid_scale: float = 20.0
    memory_sigmoid_bias: float = -10.0
    dtype: str = "float32"  # of the computation; parameters are float32
    # Which form the programs take: "plain" runs everywhere and is tuned for CPUs;
    # "fused" is for GPUs: attention in fused kernels, all objects as one batch.
    attention: str = PLAIN

    @property
    def feature_size(self) -> int:
        """Side of the image embedding (stride 16)."""
        return self.image_size // 16

    @property
    def low_res_size(self) -> int:
        """Side of the mask logits (stride 4)."""
        return self.image_size // 4

    @property
    def stage_channels(self) -> tuple[int, ...]:
        return tuple(self.embed_dim * 2**i for i in range(4))

    @property
    def compute_dtype(self) -> jnp.dtype:
        return jnp.dtype(self.dtype)

    @property
    def fused(self) -> bool:
        return self.attention == FUSED


_PUBLISHED = {
    "tiny": dict(
        embed_dim=96,
        num_heads=1,
        stages=(1, 2, 7, 2),
        global_att_blocks=(5, 7, 9),
        window_spec=(8, 4, 14, 7),
        pos_embed_size=(7, 7),
    ),
    "small": dict(
        embed_dim=96,
        num_heads=1,
        stages=(1, 2, 11, 2),
        global_att_blocks=(7, 10, 13),
        window_spec=(8, 4, 14, 7),
        pos_embed_size=(7, 7),
    ),
    "base_plus": dict(
        embed_dim=112,
        num_heads=2,
        stages=(2, 3, 16, 3),
        global_att_blocks=(12, 16, 20),
        window_spec=(8, 4, 14, 7),
        pos_embed_size=(14, 14),
    ),
    "large": dict(
        embed_dim=144,
        num_heads=2,
        stages=(2, 6, 36, 4),
        global_att_blocks=(23, 33, 43),
        window_spec=(8, 4, 16, 8),
        pos_embed_size=(7, 7),
    ),
}
_TOY = dict(
    embed_dim=32,
    num_heads=1,
    stages=(1, 2, 3, 1),
    global_att_blocks=(4,),
    window_spec=(8, 4, 8, 4),
    pos_embed_size=(7, 7),
    d_model=128,
    mem_dim=32,
    image_size=256,
    memory_layers=2,
    memory_mlp_dim=512,
)
# Of the shipped checkpoint: deeper at strides 4 and 8 than toy, on a finer image. At
# stride 8 a window of 10 named the classes of things better than one of 4, at the same
# cost. One layer of memory attention, and 352 pixels, for 8 frames/s on two CPU cores.
_MINI = dict(
    _TOY,
    stages=(2, 3, 4, 1),
    global_att_blocks=(7,),
    window_spec=(8, 12, 12, 6),
    image_size=352,
    memory_layers=1,
)
RELEASED_SIZES = tuple(_PUBLISHED)
_SIZES = {"toy": _TOY, "mini": _MINI, **_PUBLISHED}
SIZES = tuple(_SIZES)
MAX_IMAGE_SIZE = 8192  # eight times the published one; beyond available memory


def default_dtype() -> str:
    """Return the type to compute in where none is given, by JAX's default device."""
    return "bfloat16" if is_modern(backend.get_default_device()) else "float32"


def sam2_config(
    size: str,
    image_size: int | None = None,
    dtype: str = "float32",
    attention: str = AUTO,
) -> Sam2Config:
    """Return the configuration of a size: toy, mini, tiny, small, base_plus or large.

    `image_size` overrides the side of the model image; it must be a multiple of 32,
    so that the windowed position embedding tiles the image. `dtype` is that of the
    computation, float32 or bfloat16; `attention` is auto (by the device), plain or
    fused. InputError for other values.
    """
    if size not in _SIZES:
        raise InputError(f"unknown size {size!r}: choose one of {', '.join(SIZES)}")
    if dtype not in ("float32", "bfloat16"):
        raise InputError(f"unknown dtype {dtype!r}: choose float32 or bfloat16")
    attention = resolve_attention(attention)
    config = Sam2Config(size=size, dtype=dtype, attention=attention, **_SIZES[size])
    if image_size is not None:
        if not 0 < image_size <= MAX_IMAGE_SIZE or image_size % 32:
            near = min(max(32, (image_size + 16) // 32 * 32), MAX_IMAGE_SIZE)
            raise InputError(
                f"image size {image_size} is not a positive multiple of 32 up to"
                f" {MAX_IMAGE_SIZE}: try {near}"
            )
        config = dataclasses.replace(config, image_size=image_size)
    return config
