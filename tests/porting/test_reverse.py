"""From an official checkpoint to a folder of ours and back."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

import porting.convert
from c2g_jax.checkpoints.pretrained import save_click2graph, seeded_click2graph
from c2g_jax.checkpoints.released import rules
from c2g_jax.checkpoints.released.official import convert
from c2g_jax.checkpoints.released.rules import to_torch
from c2g_jax.checkpoints.safetensors import parameters, save_weights
from c2g_jax.click2graph.model import click2graph_config
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.types import InputError
from porting.official import load_folder, port
from porting.reference import build_reference
from porting.reverse import reverse
from tests.commands import ROOT, call_main, run

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("size", ["toy", "tiny"])
def test_the_rules_go_back(size):
    """Names and shapes; `tests/parity` shows that there they are the official ones."""
    abstract = parameters(abstract_sam2(sam2_config(size)))
    arrays = {k: np.broadcast_to(np.float32(0), x.shape) for k, x in abstract.items()}
    tensors = to_torch(arrays)
    assert len(tensors) == len(arrays)
    again, unknown = rules.to_flax(tensors.items())
    assert unknown == []
    assert {k: x.shape for k, x in again.items()} == {
        k: x.shape for k, x in arrays.items()
    }


def test_an_array_of_another_model_has_no_way_back():
    with pytest.raises(KeyError, match=r"no rule makes a\.b"):
        to_torch({"a.b": np.zeros((2, 2))})


def test_moved_names_are_read_both_ways():
    name = "memory_encoder.mask_downsampler.encoder.10.bias"
    assert rules.rename(name) == "memory_encoder.mask_downsampler.norms.3.bias"
    assert rules.rename(rules.rename(name), back=True) == name
    assert rules.rename("no_mem_embed") == rules.rename("no_mem_embed", back=True)


@pytest.mark.parametrize("format", ["safetensors", "orbax"])
def test_there_and_back_bit_for_bit(format, official, checkpoint, tmp_path, capsys):
    """By the command lines, into the reference, strictly."""
    folder, back = tmp_path / "folder", tmp_path / "deep" / "back.pt"

    def command(*words):
        if format == "orbax":  # in this process, which has imported it all
            call_main(porting.convert.main, *words)
            return capsys.readouterr().out
        done = run("porting.convert", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    out = command(
        f"--checkpoint={checkpoint}", f"--output={folder}", f"--format={format}"
    )
    assert "toy.pt: SAM2.1 toy, 359 tensors, 4,159,970 parameters" in out
    out = command("--reverse", f"--checkpoint={folder}", f"--output={back}")
    assert "SAM2.1 toy, 359 tensors" in out
    state = torch.load(back, weights_only=True)["model"]
    assert state.keys() == official.keys()
    for name, tensor in official.items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor), name
    build_reference("toy").load_state_dict(state, strict=True)
    assert [file.name for file in back.parent.iterdir()] == ["back.pt"]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("--output=o.pt",), "no checkpoint in"),
        (("--output=o",), "name a .pt file"),
        (("--output=o.pt", "--format=orbax"), "leave out --format"),
    ],
)
def test_reverse_refuses_in_one_line(args, line, tmp_path, refuse):
    words = "--reverse", f"--checkpoint={tmp_path}", *args
    assert line in refuse(porting.convert, *words)
    assert not (ROOT / "o.pt").exists()


def test_of_a_click2graph_its_sam2_goes_back(official, tmp_path):
    config = click2graph_config(sam2_config("toy"))
    model = seeded_click2graph(config, seed=0)
    model.sam2 = port(official, config.sam2)
    save_click2graph(model, tmp_path / "folder")
    what, tensors, (note,) = reverse(tmp_path / "folder", tmp_path / "x.pt")
    assert (what, tensors) == ("SAM2.1 toy", 359)
    assert "for its DIDM and SCH use --reverse --heads=" in note
    state = torch.load(tmp_path / "x.pt", weights_only=True)["model"]
    assert all(torch.equal(state[name], official[name]) for name in official)


def test_a_folder_keeps_its_format(checkpoint, tmp_path):
    convert(checkpoint, tmp_path / "folder", "orbax")
    with pytest.raises(InputError, match="in the format orbax already"):
        convert(checkpoint, tmp_path / "folder")
    convert(checkpoint, tmp_path / "folder", "orbax")
    load_folder(tmp_path / "folder")


def test_a_full_disk_leaves_no_file(monkeypatch, official, tmp_path):
    """With the error of torch's writer, which does not mention the disk."""

    def save(content, path):
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos")

    save_weights(port(official, sam2_config("toy")), tmp_path / "w", {"size": "toy"})
    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(InputError, match="bytes free: make room there, or write"):
        reverse(tmp_path / "w", tmp_path / "back.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
