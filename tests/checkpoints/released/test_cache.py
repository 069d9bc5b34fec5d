"""A released checkpoint is converted once, into the user's cache, without torch."""

import json
import sys

import numpy as np
import pytest

from c2g_jax.checkpoints import load_sam2
from c2g_jax.checkpoints.description import TOY, describe_weights
from c2g_jax.checkpoints.pretrained import TOY_CHECKPOINT, find_checkpoint
from c2g_jax.checkpoints.released import cache
from c2g_jax.checkpoints.released.rules import to_torch
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
    WEIGHTS,
    file_sha256,
    initialise,
    parameters,
)
from c2g_jax.cli.paths import user_cache
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.types import InputError
from tests.checkpoints.released.archive import write_state
from tests.commands import python


@pytest.fixture(scope="module")
def model():
    return initialise(abstract_sam2(sam2_config("toy")), 3)


@pytest.fixture(scope="module")
def released(model, tmp_path_factory):
    """The model in the layout of the official .pt."""
    arrays = {name: np.asarray(x) for name, x in parameters(model).items()}
    path = tmp_path_factory.mktemp("released") / "sam2.1_hiera_toy.pt"
    return write_state(path, to_torch(arrays))


@pytest.fixture(scope="module")
def kept(released, tmp_path_factory):
    """The user's cache after one conversion, and what was reported."""
    home, lines = tmp_path_factory.mktemp("home"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        cache.weights_folder(released, lines.append)
    return home, lines


@pytest.fixture
def home(kept, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept[0]))
    return kept[0]


def test_every_parameter_arrives(released, model, home):
    loaded = parameters(load_sam2(released))
    wanted = parameters(model)
    assert loaded.keys() == wanted.keys()
    assert all(np.array_equal(loaded[name], wanted[name]) for name in wanted)


def test_size_and_progress_are_reported(released, kept):
    lines = kept[1]
    assert lines[0].startswith("sam2.1_hiera_toy.pt: SAM2.1 toy, 359 tensors")
    assert lines[1:4] == [f"converting: {k}%" for k in (25, 50, 75)]
    assert "kept in" in lines[-1]


def test_the_second_time_nothing_is_converted(released, home, monkeypatch):
    monkeypatch.setattr(cache, "convert", None)
    lines = []
    folder = find_checkpoint(released, lines.append)
    assert folder == user_cache() / "checkpoints" / file_sha256(released)
    assert lines == []
    assert find_checkpoint(folder) == folder


@pytest.fixture
def copies(released, kept, monkeypatch):
    """A conversion that copies the first one, which takes seconds."""
    folder = kept[0] / "click2graph" / "checkpoints" / file_sha256(released)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}

    def convert(path, folder, report):
        report("converting")
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return json.loads(files[MANIFEST])

    monkeypatch.setattr(cache, "convert", convert)


@pytest.mark.parametrize("part", [WEIGHTS, MANIFEST])
@pytest.mark.parametrize("left", [0, 200, None])
def test_half_a_cache_is_made_again(part, left, released, home, copies):
    """Cut short anywhere, or without one of its files."""
    folder = find_checkpoint(released)
    path = folder / part
    wanted = path.read_bytes()
    if left is None:
        path.unlink()
    else:
        path.write_bytes(wanted[:left])
    lines = []
    assert find_checkpoint(released, lines.append) == folder
    assert lines
    assert path.read_bytes() == wanted


def test_a_cache_of_another_version_is_made_again(released, home, copies):
    path = find_checkpoint(released) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["versions"]["c2g_jax"] = "0.0.1"
    path.write_text(json.dumps(manifest))
    lines = []
    find_checkpoint(released, lines.append)
    assert lines


def test_a_killed_conversion_leaves_nothing_that_is_used(released, tmp_path):
    code = (
        "import os, sys; from unittest import mock; from pathlib import Path;"
        "from c2g_jax.checkpoints.pretrained import find_checkpoint;"
        "mock.patch('pathlib.Path.replace', lambda *_: os._exit(9)).start();"
        "find_checkpoint(sys.argv[1])"
    )
    done = python("-c", code, str(released), XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 9, done.stderr
    assert not list(tmp_path.rglob(f"{file_sha256(released)}/*"))


def test_a_cache_that_cannot_be_written(released, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set XDG_CACHE_HOME to a folder"):
        find_checkpoint(released)


def test_what_is_no_checkpoint_leaves_no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = write_state(tmp_path / "x.pt", {"a": np.ones((2, 2), np.float32)})
    with pytest.raises(InputError, match=r"x\.pt holds no SAM2: none of"):
        find_checkpoint(path)
    assert not list(tmp_path.rglob("weights*"))
    with pytest.raises(InputError, match=r"there is no .*no\.pt"):
        find_checkpoint(tmp_path / "no.pt")


def test_no_lock_is_left_whatever_comes_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InputError):
        cache.weights_folder(tmp_path / "a.pt", print)
    assert list((tmp_path / "cache").rglob("*.lock")) == []
    with cache._locked(tmp_path / "cache" / "one"):
        assert (tmp_path / "cache" / "one.lock").exists()
    assert list((tmp_path / "cache").rglob("*.lock")) == []


def test_torch_is_never_imported(released, home):
    code = (
        "import sys; from c2g_jax.checkpoints import load_sam2;"
        "load_sam2(sys.argv[1]); print('torch' in sys.modules)"
    )
    done = python("-c", code, str(released), XDG_CACHE_HOME=str(home))
    assert done.stdout.split() == ["False"], done.stderr
    assert sys.modules.get("c2g_jax.checkpoints.released.torch_file")


def test_what_the_weights_are_is_said(released, home, tmp_path):
    line = describe_weights(TOY_CHECKPOINT)
    assert TOY in line
    assert line.endswith("give --checkpoint=sam2.1_hiera_large.pt")
    alone = describe_weights(find_checkpoint(released), named=released)
    assert alone.startswith("weights: the toy's SAM2.1 alone (sam2.1_hiera_toy.pt)")
    (tmp_path / MANIFEST).write_text(
        json.dumps({"size": "large", "sha256": "", "kind": "sam2.1"})
    )
    assert describe_weights(tmp_path, named="a/x.pt") == (
        "weights: SAM2.1 large alone (x.pt), nothing is guessed"
    )
    assert describe_weights(tmp_path, "b/heads.safetensors", "a/x.pt") == (
        "weights: SAM2.1 large (x.pt) with trained heads of heads.safetensors"
    )


def test_a_file_of_the_hub_is_a_link_without_a_suffix(released, home, tmp_path):
    link = tmp_path / "sam2.1_hiera_toy.pt"
    (tmp_path / "blob").write_bytes(released.read_bytes())
    link.symlink_to(tmp_path / "blob")
    assert find_checkpoint(link) == find_checkpoint(released)
