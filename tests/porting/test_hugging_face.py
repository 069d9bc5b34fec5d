"""Checkpoints of `transformers`: every tensor, and results of both models."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")
transformers = pytest.importorskip("transformers")

from c2g_jax.checkpoints.released import checkpoint_files
from c2g_jax.checkpoints.released.official import ONLY_2_1, convert
from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.sam2.config import sam2_config
from c2g_jax.types import InputError
from porting.compare import assert_within, compare, compare_masks
from porting.official import load_folder, port
from porting.pair import Clip, Pair
from porting.reference import Float32Torch, build_reference
from porting.runs import ObjectOutput, OurSession, VideoPrompt, run_ours
from porting.scenes import disc_centre, draw_video
from porting.stages import run_rows
from porting.transformers_reference import open_session

pytestmark = pytest.mark.parity
SIDE = 256


def read_checkpoint(path):
    return torch_state(checkpoint_files.read_checkpoint(path).state)


def torch_state(state):
    return {name: torch.from_numpy(x.read()) for name, x in state.items()}


def equal(ours, theirs):
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


@pytest.fixture(scope="module")
def saved(official, transformers_model, tmp_path_factory):
    """The folder that save_pretrained of the toy twin wrote."""
    folder = tmp_path_factory.mktemp("hub") / "sam2.1-hiera-toy"
    transformers_model("toy", official).save_pretrained(folder)
    return folder


def test_every_tensor_comes_back(saved, official, tmp_path):
    assert {file.name for file in saved.iterdir()} == {
        "config.json",
        "model.safetensors",
    }
    for path in (saved, saved / "model.safetensors"):
        assert equal(read_checkpoint(path), official)
    manifest = convert(saved, tmp_path / "out")
    assert (manifest["kind"], manifest["size"]) == ("sam2.1", "toy")
    source = manifest["source"]
    assert (source["naming"], source["tensors"]) == ("transformers", 359)
    ours = parameters(load_folder(tmp_path / "out")[0])
    wanted = parameters(port(official, sam2_config("toy")))
    assert ours.keys() == wanted.keys()
    assert all(np.array_equal(ours[name], wanted[name]) for name in wanted)


def test_a_checkpoint_in_shards(official, transformers_model, tmp_path):
    transformers_model("toy", official).save_pretrained(tmp_path, max_shard_size="4MB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert equal(read_checkpoint(tmp_path), official)
    first = min(tmp_path.glob("*.safetensors"))
    first.unlink()
    with pytest.raises(InputError, match=f"missing files: {first.name}"):
        read_checkpoint(tmp_path)


def test_a_published_size_at_its_own_image_size(tmp_path):
    """Tiny as the class makes it by default, against the official names."""
    theirs = transformers.Sam2VideoModel(transformers.Sam2VideoConfig())
    theirs.shared_image_embedding.positional_embedding.copy_(
        theirs.prompt_encoder.shared_embedding.positional_embedding
    )
    theirs.save_pretrained(tmp_path)
    state = read_checkpoint(tmp_path)
    wanted = build_reference("tiny").state_dict()
    assert len(state) == 471
    assert {k: v.shape for k, v in state.items()} == {
        k: v.shape for k, v in wanted.items()
    }
    port(state, sam2_config("tiny"))


@pytest.mark.parametrize("size", ["toy", "tiny"])
def test_image_features_are_those_of_transformers(size, transformers_model):
    torch.manual_seed(0)
    state = build_reference(size, SIDE).state_dict()
    for tensor in state.values():
        if tensor.ndim == 1:  # else biases and scales are all alike
            tensor.add_(0.1 * torch.randn(tensor.shape))
    theirs, ours = transformers_model(size, state), port(state, sam2_config(size, SIDE))
    clip = Clip(Pair(ours.config, ours, None), draw_video(1, SIDE, SIDE))
    features = clip.features(0)
    with torch.inference_mode():
        maps = theirs.get_image_features(pixels(clip)).fpn_hidden_states
    levels = zip((*features.high_res, features.embed), maps, strict=True)
    assert_within(
        compare("level", ours[0], theirs[:, 0].reshape(ours[0].shape))
        for ours, theirs in levels
    )


def pixels(clip):
    return torch.from_numpy(clip.images.transpose(0, 3, 1, 2).copy())


@torch.inference_mode()
def run_transformers(model, clip, points, labels):
    """One object, prompted on frame 0 and tracked to the end, as `run_ours` has it."""
    prompts = {1: (points, labels)}
    session = open_session(model, pixels(clip), (SIDE, SIDE), prompts)
    index = session.obj_id_to_idx(1)
    run, side = {}, model.config.memory_attention_rope_feat_sizes[0]
    for frame in range(len(clip.frames)):
        logits = model(session, frame_idx=frame).pred_masks
        outputs = session.output_dict_per_obj[index]
        kind = "cond_frame_outputs" if frame == 0 else "non_cond_frame_outputs"
        output = outputs[kind][frame]
        masks = torch.nn.functional.interpolate(logits, (SIDE, SIDE), mode="bilinear")
        run[frame, 1] = ObjectOutput(
            masks[0, 0].numpy(),
            logits[0, 0].numpy(),
            output["object_score_logits"].item(),
            output["object_pointer"].reshape(-1).numpy(),
            output["maskmem_features"].reshape(side, side, -1).numpy(),
        )
    return run


X, Y = (SIDE * share for share in disc_centre(0))
POINTS = dict(points=[[X, Y], [180, 77], [100, 150]], labels=[1, 0, 1])
CORNERS = [[30, 70], [130, 180]]


@pytest.fixture(scope="module")
def both(official, transformers_model):
    """A clip and the twin by how much is added to the object score, made once."""
    made = {}

    def make(present):
        if present not in made:
            state = dict(official)
            bias = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"
            state[bias] = state[bias] + (6 if present else 0)
            model = port(state, sam2_config("toy"))
            pair = Pair(model.config, model, None)
            frames = draw_video(4, SIDE, SIDE)
            made[present] = Clip(pair, frames), transformers_model("toy", state)
        return made[present]

    return make


@pytest.fixture
def float32_memory(monkeypatch):
    from transformers.models.sam2_video import modeling_sam2_video

    monkeypatch.setattr(modeling_sam2_video, "torch", Float32Torch("torch"))


@pytest.mark.parametrize("present", [True, False], ids=["seen", "lost"])
@pytest.mark.parametrize("kind", ["points", "box"])
@pytest.mark.usefixtures("float32_memory")
def test_a_video_is_tracked_as_transformers_does(kind, present, both):
    clip, twin = both(present)
    ours, theirs = POINTS, POINTS
    if kind == "box":
        ours = dict(box=np.ravel(CORNERS))
        theirs = dict(points=CORNERS, labels=[2, 3])
    wanted = run_transformers(twin, clip, **theirs)
    session = OurSession(clip)
    session.prompt([VideoPrompt(0, 1, ours)])
    # Memories of prompted frames are binarised, so a logit near 0 could make the two
    # differ: both continue from the same mask.
    logits = wanted[0, 1].mask_logits
    own = session.replace_mask(0, 1, logits)
    run = session.propagate()
    assert_within([compare_masks("prompted mask", own, logits), *run_rows(run, wanted)])
    found = {run[frame, 1].object_score > 0 for frame in range(1, 4)}
    assert found == {present}  # otherwise half of the tensors would not matter


def test_the_pointer_of_a_mask_is_that_of_transformers(both):
    """With one mask, as in the reference; transformers takes the best of three."""
    clip, twin = both(True)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    mask = (x - X) ** 2 + (y - Y) ** 2 < 40**2
    ours = run_ours(clip, [VideoPrompt(0, 1, dict(mask=mask))])[0, 1]
    with torch.inference_mode():
        maps = twin.get_image_features(pixels(clip)[:1]).fpn_hidden_states
        sides = twin.backbone_feature_sizes
        theirs = twin._single_frame_forward(
            input_masks=twin.mask_downsample(torch.tensor(mask).float()[None, None]),
            image_embeddings=[
                x.permute(1, 2, 0).unflatten(2, side)
                for x, side in zip(maps, sides, strict=True)
            ],
            multimask_output=False,
        )
    pointer = theirs.object_pointer.reshape(-1).numpy()
    assert_within([compare("pointer", ours.obj_ptr, pointer)])


def test_the_image_half_is_completed_or_refused(saved, official, checkpoint, tmp_path):
    """Of Sam2Model, which has no memory modules; they come from another checkpoint."""
    transformers.Sam2Model.from_pretrained(saved).save_pretrained(tmp_path / "half")
    with pytest.raises(InputError, match="half has no memory modules"):
        convert(tmp_path / "half", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    half = read_checkpoint(tmp_path / "half")
    assert all(name in official for name in half)
    other = {name: x + 1 for name, x in official.items()}
    torch.save(other, tmp_path / "other.pt")
    manifest = convert(
        tmp_path / "half", tmp_path / "out", complete_with=tmp_path / "other.pt"
    )
    source = manifest["source"]
    assert source["tensors"] == len(half)
    assert source["completed_with"]["tensors"] == 359 - len(half)
    wanted = parameters(port(other | half, sam2_config("toy")))
    ours = parameters(load_folder(tmp_path / "out")[0])
    assert all(np.array_equal(ours[name], wanted[name]) for name in wanted)


def test_a_sam_2_0_of_transformers(official, transformers_model, tmp_path):
    state = {k: v for k, v in official.items() if k not in ONLY_2_1}
    switches = (
        "enable_temporal_pos_encoding_for_object_pointers",
        "enable_occlusion_spatial_embedding",
    )
    model = transformers_model("toy", state, **dict.fromkeys(switches, False))
    model.save_pretrained(tmp_path / "hub")
    assert equal(read_checkpoint(tmp_path / "hub"), state)
    assert convert(tmp_path / "hub", tmp_path / "out")["kind"] == "sam2.0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_maskmem", 5),
        ("mask_decoder_config.dynamic_multimask_via_stability", False),
        ("vision_config.backbone_config.window_size_per_stage", [8, 4, 14, 7]),
    ],
)
def test_another_configuration_is_refused_by_name(name, value, saved, tmp_path):
    """Settings that change results but no shape."""
    config = json.loads((saved / "config.json").read_text())
    *path, last = name.split(".")
    node = config
    for key in path:
        node = node[key]
    assert node[last] != value
    node[last] = value
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "config.json").write_text(json.dumps(config))
    weights = (saved / "model.safetensors").read_bytes()
    (tmp_path / "hub" / "model.safetensors").write_bytes(weights)
    with pytest.raises(InputError) as caught:
        convert(tmp_path / "hub", tmp_path / "out")
    assert f"{name} is {value}, not" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_faults_are_named_as_in_the_file(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(saved / "model.safetensors")
    name = "mask_decoder.transformer.layers.0.self_attn.o_proj.bias"
    state[name] = state[name][:5].clone()
    state["memory_encoder.projection.wings"] = torch.ones(2)
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(InputError) as caught:
        convert(tmp_path / "x.safetensors", tmp_path / "out")
    assert f"1 misshapen: {name} float32[5] instead of" in str(caught.value)
    assert "1 unexpected: memory_encoder.projection.wings;" in str(caught.value)


def test_two_matrices_for_one_are_refused(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(saved / "model.safetensors")
    state["shared_image_embedding.positional_embedding"] += 1
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="positional_embedding differ"):
        read_checkpoint(tmp_path / "x.safetensors")
