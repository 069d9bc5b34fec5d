"""A seeded toy checkpoint in the official naming, and its twin in `transformers`."""

import pytest


@pytest.fixture(scope="session")
def official():
    """The state of a seeded toy checkpoint, in the official naming."""
    pytest.importorskip("torch")
    pytest.importorskip("sam2")
    from porting.seeded import seeded_state

    return seeded_state("toy")


@pytest.fixture
def checkpoint(official, tmp_path):
    """The same in a file, as the official ones have it."""
    from porting.seeded import save_checkpoint

    save_checkpoint(official, tmp_path / "toy.pt")
    return tmp_path / "toy.pt"


@pytest.fixture(scope="session")
def transformers_model():
    """A function: Sam2VideoModel of a size, with the values of an official state.

    Its own state asks for the names, so that nothing is inverted here.
    """
    transformers = pytest.importorskip("transformers")
    import torch

    from porting.hugging_face import official_name

    def model(size, state, image_size=256, **changes):
        model = transformers.Sam2VideoModel(
            transformers_config(size, image_size, changes)
        )
        if size == "toy":
            for layer in model.memory_attention.layers:  # it fixes memories at 64
                for name in ("k_proj", "v_proj"):
                    setattr(layer.cross_attn_image, name, torch.nn.Linear(32, 128))
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
        return model.eval()

    return model


def transformers_config(size, image_size, changes):
    """The configuration of `transformers` for one of our sizes."""
    import transformers

    from c2g_jax.sam2.config import sam2_config

    ours = sam2_config(size, image_size)
    side = ours.feature_size
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
