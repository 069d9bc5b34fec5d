"""The `sam2` package as the reference: built at any size, run on given frames.

Modules are built directly from the published configurations, without Hydra's global
state, and with the overrides of upstream's own builder.
"""

import contextlib
import functools
import importlib.resources
import types
from collections.abc import Iterator

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from sam2 import sam2_video_predictor
from sam2.sam2_video_predictor import SAM2VideoPredictor

from c2g_jax.sam2.config import Sam2Config, sam2_config

# Its progress bars would garble tables.
sam2_video_predictor.tqdm = functools.partial(sam2_video_predictor.tqdm, disable=True)

_FILES = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


def build_reference(
    size: str, image_size: int | None = None, release: str = "2.1"
) -> SAM2VideoPredictor:
    """Build the reference of a size, in evaluation mode, with torch's initial weights.

    It is also a SAM2Base. Hole filling is off. `release` is 2.1 or 2.0.
    """
    config = sam2_config(size, image_size)
    folder = {"2.0": "sam2", "2.1": "sam2.1"}[release]
    name = f"configs/{folder}/{folder}_hiera_{_FILES.get(size, 't')}.yaml"
    text = importlib.resources.files("sam2").joinpath(name).read_text("utf-8")
    model = OmegaConf.create(text).model
    if size not in _FILES:  # our own: tiny with other numbers
        _shrink(model, config)
    side = config.feature_size
    for attention in ("self_attention", "cross_attention"):
        model.memory_attention.layer[attention].feat_sizes = [side, side]
    # The overrides of build_sam2_video_predictor (build_sam.py:118-130).
    model._target_ = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    model.image_size = config.image_size
    model.binarize_mask_from_pts_for_mem_enc = True
    model.sam_mask_decoder_extra_args = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    return instantiate(model, _recursive_=True).eval().requires_grad_(False)


def _shrink(model: DictConfig, config: Sam2Config) -> None:
    """Set the hyperparameters of `config` in a published configuration."""
    trunk, neck = model.image_encoder.trunk, model.image_encoder.neck
    trunk.embed_dim, trunk.num_heads = config.embed_dim, config.num_heads
    trunk.stages = list(config.stages)
    trunk.global_att_blocks = list(config.global_att_blocks)
    trunk.window_spec = list(config.window_spec)
    trunk.window_pos_embed_bkg_spatial_size = list(config.pos_embed_size)
    neck.d_model = neck.position_encoding.num_pos_feats = config.d_model
    neck.backbone_channel_list = list(reversed(config.stage_channels))

    attention, layer = model.memory_attention, model.memory_attention.layer
    attention.d_model = layer.d_model = config.d_model
    attention.num_layers = config.memory_layers
    layer.dim_feedforward = config.memory_mlp_dim
    layer.self_attention.embedding_dim = config.d_model
    layer.cross_attention.embedding_dim = config.d_model
    layer.cross_attention.kv_in_dim = config.mem_dim

    encoder = model.memory_encoder
    encoder.in_dim, encoder.out_dim = config.d_model, config.mem_dim
    encoder.position_encoding.num_pos_feats = config.mem_dim
    encoder.mask_downsampler.embed_dim = config.d_model
    encoder.fuser.layer.dim = config.d_model


class Float32Torch(types.ModuleType):
    """The torch module, with float32 as bfloat16."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str):
        return getattr(torch, name)


@contextlib.contextmanager
def float32_memory() -> Iterator[None]:
    """Make the reference's video predictor keep memories in float32, in this context.

    As published it rounds them to bfloat16 even in float32
    (sam2_video_predictor.py:781, 833); it uses that dtype for nothing else.
    """
    sam2_video_predictor.torch = Float32Torch("torch")
    try:
        yield
    finally:
        sam2_video_predictor.torch = torch


@contextlib.contextmanager
def _given_frames(images: torch.Tensor, height: int, width: int) -> Iterator[None]:
    """Make `init_state` use these images instead of reading a path."""
    original = sam2_video_predictor.load_video_frames
    sam2_video_predictor.load_video_frames = lambda **_: (images, height, width)
    try:
        yield
    finally:
        sam2_video_predictor.load_video_frames = original


class _State(dict):
    """A predictor's state that keeps all cached features."""

    def __setitem__(self, key, value):
        if key == "cached_features":
            self[key].update(value)
        else:
            super().__setitem__(key, value)


def open_frames(
    predictor: SAM2VideoPredictor,
    images: np.ndarray,
    size: tuple[int, int],
    features: dict | None = None,
) -> dict:
    """Return a state of the predictor for normalised images float32 [t, S, S, 3].

    `size` is (height, width) of the original video. Each frame is encoded once (the
    reference itself caches only the last one); states over the same images may share
    `features`.
    """
    features = {} if features is None else features
    with _given_frames(to_torch(images), *size):
        original = predictor._get_image_feature
        # `init_state` would encode frame 0 here.
        predictor._get_image_feature = lambda *_, **__: None
        try:
            state = predictor.init_state(video_path="")
        finally:
            predictor._get_image_feature = original
    state["cached_features"] = features
    return _State(state)


def to_torch(x: np.ndarray) -> torch.Tensor:
    """Convert NHWC to NCHW."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def to_numpy(x: torch.Tensor) -> np.ndarray:
    """Convert NCHW to NHWC, float32."""
    return np.moveaxis(x.detach().float().numpy(), 1, -1)
