"""Checkpoints in every container and wrapping, and what is refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from c2g_jax.checkpoints.released.checkpoint_files import read_checkpoint
from c2g_jax.types import InputError

NAMES = (
    "image_encoder.trunk.pos_embed",
    "no_mem_embed",
    "memory_encoder.out_proj.bias",
)
STATE = {
    name: torch.arange(8, dtype=torch.float32).reshape(2, 4) + i
    for i, name in enumerate(NAMES)
}


def prefixed(prefix):
    return {prefix + name: x for name, x in STATE.items()}


WRAPPED = {
    "bare": STATE,
    "model": {"model": STATE},
    "state_dict": {"state_dict": STATE, "epoch": 3},
    "model_state_dict": {"model_state_dict": STATE, "optimizer": {"lr": 0.1}},
    "data parallel": {"model": prefixed("module.")},
    "compiled": prefixed("_orig_mod."),
    "both": prefixed("module._orig_mod."),
    "both, the other way": prefixed("_orig_mod.module."),
    "lightning": {"state_dict": prefixed("model.")},
    "ema": {"ema": STATE, "epoch": 3},
    "net": {"net": STATE},
    "network": {"network": prefixed("module.")},
    "weights": {"weights": STATE, "step": torch.tensor(3)},
    "any one name": {"my_sam2": STATE, "lr": 0.1},
    "in each other": {"state_dict": {"model": {"ema": STATE}}},
    "beside an optimizer": {
        "net": STATE,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "buffer": STATE},
    },
    "a prefix of any name": prefixed("net.sam2."),
    "parameters": {name: torch.nn.Parameter(x) for name, x in STATE.items()},
}


def same(state):
    return state.keys() == STATE.keys() and all(
        np.array_equal(state[name].read(), STATE[name].numpy()) for name in STATE
    )


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappings(name, tmp_path):
    torch.save(WRAPPED[name], tmp_path / "x.pt")
    checkpoint = read_checkpoint(tmp_path / "x.pt")
    assert same(checkpoint.state)
    assert checkpoint.naming == "official"


def test_a_prefix_of_some_names_stays(tmp_path):
    torch.save(STATE | {"module.more": torch.ones(1)}, tmp_path / "x.pt")
    assert "module.more" in read_checkpoint(tmp_path / "x.pt").state
    part = {NAMES[0]: STATE[NAMES[0]]}  # all names of SAM2 that begin alike
    torch.save(part, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt").state.keys() == part.keys()


def test_of_several_the_model_is_read_and_the_rest_is_named(tmp_path):
    averaged = {name: x + 1 for name, x in STATE.items()}
    torch.save({"ema": averaged, "model": STATE}, tmp_path / "x.pt")
    checkpoint = read_checkpoint(tmp_path / "x.pt")
    assert same(checkpoint.state)
    assert checkpoint.notes == (f"{tmp_path / 'x.pt'}: read model, not ema",)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_floats_are_converted_with_a_line(dtype, tmp_path):
    state = {name: x.to(getattr(torch, dtype)) for name, x in STATE.items()}
    torch.save(state, tmp_path / "x.pt")
    (note,) = read_checkpoint(tmp_path / "x.pt").notes
    assert note.endswith(f"x.pt: {dtype} is converted to float32")
    torch.save(STATE, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt").notes == ()


@pytest.mark.parametrize("folder", [False, True])
def test_safetensors_in_the_official_naming(folder, tmp_path):
    save_file(prefixed("module."), tmp_path / "sam2.1_hiera_toy.safetensors")
    path = tmp_path if folder else tmp_path / "sam2.1_hiera_toy.safetensors"
    checkpoint = read_checkpoint(path)
    assert same(checkpoint.state)
    assert checkpoint.files == (tmp_path / "sam2.1_hiera_toy.safetensors",)


def test_a_folder_of_the_hub_holds_the_same_twice(tmp_path):
    """It has model.safetensors and the official .pt."""
    save_file(STATE, tmp_path / "model.safetensors")
    torch.save({"model": STATE}, tmp_path / "sam2.1_hiera_tiny.pt")
    files = read_checkpoint(tmp_path).files
    assert [file.name for file in files] == ["model.safetensors"]


class Note:
    pass


def write(content):
    return lambda path: torch.save(content, path / "x.pt")


BAD = {
    "nothing": (lambda path: None, "holds no checkpoint"),
    "two": (
        lambda path: [save_file(STATE, path / f"{n}.safetensors") for n in "ab"],
        "several checkpoints, a.safetensors, b.safetensors: name one",
    ),
    "objects": (write({"model": STATE, "args": Note()}), "Python objects"),
    "no tensors": (write({"epoch": 3}), "holds no tensors: give a state dict"),
    "a list": (write([STATE]), "holds no tensors"),
    "mixed": (write(STATE | {"epoch": 3}), "holds non-tensors: epoch"),
    "not finite": (
        write(STATE | {"no_obj_ptr": torch.tensor([1.0, np.nan])}),
        "non-finite values in no_obj_ptr",
    ),
    "8 bits": (
        write(STATE | {"no_obj_ptr": torch.ones(2).to(torch.float8_e4m3fn)}),
        "float8_e4m3fn in no_obj_ptr: give the weights as released, not quantised",
    ),
    "several of no known name": (
        write({"one": STATE, "two": STATE}),
        "holds several state dicts, under one, two: save one alone",
    ),
    "two models in one": (
        write(prefixed("a.") | prefixed("b.")),
        "holds several models, under a, b: save the state dict of one alone",
    ),
    "one model and something else": (
        write({"state_dict": prefixed("model.") | {"loss.weight": torch.ones(2)}}),
        "other tensors beside those of the model under model: loss.weight: save the",
    ),
    "SAM1": (
        write({"image_encoder.patch_embed.proj.weight": torch.ones(2, 2)}),
        r"is a checkpoint of SAM1 \(Segment Anything, 2023\), which is another",
    ),
    "SAM1 of transformers": (
        write({"vision_encoder.layers.0.attn.qkv.weight": torch.ones(2, 2)}),
        "is a checkpoint of SAM1",
    ),
    "SAM1, wrapped": (
        write({"model": {"module.image_encoder.blocks.0.norm1.bias": torch.ones(2)}}),
        "is a checkpoint of SAM1",
    ),
    "MobileSAM": (
        write({"image_encoder.layers.0.blocks.0.bias": torch.ones(2)}),
        "is a checkpoint of MobileSAM",
    ),
    "SAM 3": (
        write({"detector.a.bias": torch.ones(2), "tracker.b.bias": torch.ones(2)}),
        "is a checkpoint of SAM 3",
    ),
    "a folder of ours": (
        lambda path: (path / "manifest.json").write_text("{}"),
        "is a checkpoint of this project: use it as it is, or --reverse makes a .pt",
    ),
    "cut short": (
        lambda path: (path / "x.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{"),
        "cut short or another kind",
    ),
    "text": (lambda path: (path / "x.pt").write_text("x"), "cut short or another kind"),
    "a broken index": (
        lambda path: (path / "model.safetensors.index.json").write_text("{}"),
        "not an index of shards",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name, tmp_path):
    make, line = BAD[name]
    make(tmp_path)
    with pytest.raises(InputError, match=line) as caught:
        read_checkpoint(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*nowhere"):
        read_checkpoint(tmp_path / "nowhere")


def test_a_bit_that_flipped_is_noticed(tmp_path):
    """In a .pt."""
    path = tmp_path / "x.pt"
    torch.save({"model": STATE | {"more": torch.zeros(2000)}}, path)
    whole = path.read_bytes()
    wanted = {k: x.read() for k, x in read_checkpoint(path).state.items()}
    refused = 0
    for place in range(0, len(whole), 97):
        torn = whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
        path.write_bytes(torn)
        try:
            found = read_checkpoint(path).state
        except InputError:
            refused += 1
        else:  # what the archive keeps twice, or does not use
            assert found.keys() == wanted.keys()
            assert all(np.array_equal(found[k].read(), wanted[k]) for k in wanted)
    assert refused > 0.8 * len(range(0, len(whole), 97))


def test_a_file_saved_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert same(read_checkpoint(tmp_path / "x.pt").state)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(STATE, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 211):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="cut short"):
            read_checkpoint(path)
