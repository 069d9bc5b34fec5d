"""Hugging Face's Sam2VideoModel with the weights of an official checkpoint."""

from collections.abc import Mapping
from typing import Any

import torch
import transformers

from c2g_jax.checkpoints.released.hugging_face import official_name
from c2g_jax.sam2.config import sam2_config


def build_transformers(
    size: str,
    state: Mapping[str, torch.Tensor],
    image_size: int | None = None,
    **changes: Any,
) -> transformers.Sam2VideoModel:
    """Build the model of a size, in evaluation mode, from an official state.

    `changes` override its configuration.
    """
    ours = sam2_config(size, image_size)
    model = transformers.Sam2VideoModel(_config(ours, changes))
    if ours.mem_dim != 64:  # transformers hard-codes 64
        for layer in model.memory_attention.layers:
            for name in ("k_proj", "v_proj"):
                projection = torch.nn.Linear(ours.mem_dim, ours.d_model)
                setattr(layer.cross_attn_image, name, projection)
    point = "sam_prompt_encoder.point_embeddings.{}.weight".format
    matrix = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    theirs = {
        "prompt_encoder.point_embed.weight": torch.cat(
            [state[point(i)] for i in range(4)]
        ),
        "shared_image_embedding.positional_embedding": state[matrix],
    }
    for name in model.state_dict().keys() - theirs.keys():
        theirs[name] = state[official_name(name)]
    model.load_state_dict(theirs, strict=True)
    return model.eval().requires_grad_(False)


def open_session(
    model: transformers.Sam2VideoModel,
    images: torch.Tensor,
    size: tuple[int, int],
    prompts: Mapping[int, tuple[list, list]],
) -> transformers.Sam2VideoInferenceSession:
    """Open a session on normalised images [t, 3, S, S] of a video of `size` (h, w).

    `prompts` are on frame 0: {object id: (points (x, y) in pixels of S, labels)}.
    """
    height, width = size
    session = transformers.Sam2VideoInferenceSession(
        images, video_height=height, video_width=width, dtype=torch.float32
    )
    for obj_id, (points, labels) in prompts.items():
        given = dict(
            point_coords=torch.tensor([[points]]).float(),
            point_labels=torch.tensor([[labels]], dtype=torch.int32),
        )
        session.add_point_inputs(session.obj_id_to_idx(obj_id), 0, given)
    session.obj_with_new_inputs = list(prompts)
    return session


def _config(ours, changes: Mapping[str, Any]) -> transformers.Sam2VideoConfig:
    side, image_size = ours.feature_size, ours.image_size
    trunk = transformers.Sam2HieraDetConfig(
        hidden_size=ours.embed_dim,
        image_size=[image_size] * 2,
        blocks_per_stage=list(ours.stages),
        embed_dim_per_stage=list(ours.stage_channels),
        num_attention_heads_per_stage=[ours.num_heads * 2**i for i in range(4)],
        window_size_per_stage=list(ours.window_spec),
        global_attention_blocks=list(ours.global_att_blocks),
        window_positional_embedding_background_size=list(ours.pos_embed_size),
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=trunk,
        backbone_channel_list=list(ours.stage_channels[::-1]),
        backbone_feature_sizes=[[side * 4] * 2, [side * 2] * 2, [side] * 2],
        fpn_hidden_size=ours.d_model,
    )
    settings = dict(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=ours.d_model, image_size=image_size),
        mask_decoder_config=dict(hidden_size=ours.d_model),
        image_size=image_size,
        memory_attention_hidden_size=ours.d_model,
        memory_attention_num_layers=ours.memory_layers,
        memory_attention_feed_forward_hidden_size=ours.memory_mlp_dim,
        memory_attention_rope_feat_sizes=[side, side],
        memory_encoder_hidden_size=ours.d_model,
        memory_encoder_output_channels=ours.mem_dim,
        mask_downsampler_embed_dim=ours.d_model,
        memory_fuser_embed_dim=ours.d_model,
        memory_fuser_intermediate_dim=4 * ours.d_model,
    )
    return transformers.Sam2VideoConfig(**settings | changes)
