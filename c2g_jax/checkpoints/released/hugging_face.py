"""Checkpoints of `transformers`: tensor names, and config.json.

Converts names and layouts of its classes Sam2VideoModel and Sam2Model to those of the
official checkpoints (transformers/models/sam2_video/modeling_sam2_video.py).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.checkpoints.released.stored_tensor import StoredTensor
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.types import InputError

_MLPS = (
    r"(output_hypernetworks_mlps\.\d|iou_prediction_head|pred_obj_score_head"
    r"|obj_ptr_proj)"
)

_DOWN = "mask_downsampler"

# Pattern and replacement. All rows are applied to a name, in this order: modules first,
# then parts that occur in several modules.
RULES: tuple[tuple[str, str], ...] = (
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^prompt_encoder\.", "sam_prompt_encoder."),
    (r"^mask_decoder\.", "sam_mask_decoder."),
    (r"^object_pointer_proj\.", "obj_ptr_proj."),
    (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
    (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
    (r"^no_object_pointer$", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
    (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
    (
        r"\.shared_embedding\.positional_embedding$",
        ".pe_layer.positional_encoding_gaussian_matrix",
    ),
    (r"\.mask_embed\.conv1\.", ".mask_downscaling.0."),
    (r"\.mask_embed\.layer_norm1\.", ".mask_downscaling.1."),
    (r"\.mask_embed\.conv2\.", ".mask_downscaling.3."),
    (r"\.mask_embed\.layer_norm2\.", ".mask_downscaling.4."),
    (r"\.mask_embed\.conv3\.", ".mask_downscaling.6."),
    (r"\.upscale_conv1\.", ".output_upscaling.0."),
    (r"\.upscale_layer_norm\.", ".output_upscaling.1."),
    (r"\.upscale_conv2\.", ".output_upscaling.3."),
    *(
        (rf"\.{_DOWN}\.layers\.{i}\.{part}\.", f".{_DOWN}.encoder.{3 * i + k}.")
        for i in range(4)
        for k, part in enumerate(("conv", "layer_norm"))
    ),
    (rf"\.{_DOWN}\.final_conv\.", f".{_DOWN}.encoder.12."),
    (r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."),
    (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
    (r"\.memory_fuser\.layers\.(\d)\.scale$", r".fuser.layers.\1.gamma"),
    (r"\.memory_fuser\.", ".fuser."),
    (r"\.depthwise_conv\.", ".dwconv."),
    (r"\.pointwise_conv(\d)\.", r".pwconv\1."),
    (r"\.o_proj\.", ".out_proj."),
    (r"\.layer_norm", ".norm"),
    (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
    (rf"{_MLPS}\.layers\.0\.", r"\1.layers.1."),
    (rf"{_MLPS}\.proj_in\.", r"\1.layers.0."),
    (rf"{_MLPS}\.proj_out\.", r"\1.layers.2."),
)  # fmt: skip

_SECOND_MATRIX = "shared_image_embedding.positional_embedding"
_MATRIX = "prompt_encoder.shared_embedding.positional_embedding"
_POINTS = "prompt_encoder.point_embed.weight"


def is_transformers(state: Mapping[str, Any]) -> bool:
    """Return whether the tensors have the names of `transformers`."""
    return any(name.startswith("vision_encoder.") for name in state)


def official_name(name: str) -> str:
    """Return the official name of a tensor."""
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    return name


def to_official(
    state: Mapping[str, StoredTensor], source: str
) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Return the state under its official names, and each one's name in the file.

    `transformers` stores the four point embeddings as one tensor, and the matrix of the
    position encoding twice. InputError where those two differ, or where two tensors
    get the same official name.
    """
    state = dict(state)
    matrix, second = state.get(_MATRIX), state.pop(_SECOND_MATRIX, None)
    both = matrix is not None and second is not None
    if both and not np.array_equal(matrix.read(), second.read()):
        raise InputError(
            f"{source}: {_SECOND_MATRIX} and {_MATRIX} differ, but the model has one "
            "for both: make them equal"
        )
    points = state.get(_POINTS)
    if points is not None and points.shape[:1] == (4,):
        del state[_POINTS]
        state |= {
            f"prompt_encoder.point_embeddings.{index}.weight": points.row(index)
            for index in range(4)
        }
    official: dict[str, StoredTensor] = {}
    names: dict[str, str] = {}
    for name, tensor in state.items():
        new = official_name(name)
        if new in official:
            raise InputError(
                f"{source}: {name} is the second tensor named {new}: remove one"
            )
        official[new], names[new] = tensor, name
    return official, names


def check_config(path: Path, config: Sam2Config) -> None:
    """Raise InputError where a config.json has other values than SAM2.1 of this size.

    Checks the settings that change results but no shape of a tensor. Settings that the
    file leaves out have their default, the expected value.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not readable as JSON: download it again"
        ) from error
    wrong = []
    for name, value in _settings(config).items():
        found: Any = given
        for key in name.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None and found != value:
            wrong.append(f"{name} is {found}, not {value}")
    if wrong:
        raise InputError(
            f"{path} describes another model than SAM2.1 {config.size}: "
            f"{'; '.join(wrong)}"
        )


def _settings(config: Sam2Config) -> dict[str, Any]:
    trunk, decoder = "vision_config.backbone_config", "mask_decoder_config"
    return {
        f"{trunk}.global_attention_blocks": list(config.global_att_blocks),
        f"{trunk}.window_size_per_stage": list(config.window_spec),
        f"{trunk}.num_attention_heads_per_stage": [
            config.num_heads * 2**stage for stage in range(4)
        ],
        "vision_config.fpn_top_down_levels": [2, 3],
        f"{decoder}.num_attention_heads": config.decoder_heads,
        f"{decoder}.dynamic_multimask_via_stability": True,
        f"{decoder}.dynamic_multimask_stability_delta": config.stability_delta,
        f"{decoder}.dynamic_multimask_stability_thresh": config.stability_threshold,
        "memory_attention_num_attention_heads": 1,
        "memory_attention_feed_forward_hidden_act": "relu",
        "num_maskmem": config.num_maskmem,
        "max_object_pointers_in_encoder": config.max_obj_ptrs,
        "sigmoid_scale_for_mem_enc": config.memory_sigmoid_scale,
        "sigmoid_bias_for_mem_enc": config.memory_sigmoid_bias,
        "multimask_output_in_sam": True,
        "multimask_output_for_tracking": True,
        "multimask_min_pt_num": 0,
        "multimask_max_pt_num": 1,
    }
