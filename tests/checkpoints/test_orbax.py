"""Parameters are saved to and loaded from Orbax checkpoints unchanged."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.checkpoints.orbax import load_orbax, save_orbax
from c2g_jax.checkpoints.safetensors import load_weights, read_manifest, save_weights
from c2g_jax.types import InputError
from tests.equality import same_parameters


class Outer(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List(nnx.Linear(2, 3, rngs=rngs) for _ in range(2))
        self.token = nnx.Param(jnp.arange(4.0))


def outer(seed=0):
    return Outer(nnx.Rngs(seed))


def abstract():
    return nnx.eval_shape(outer)


@pytest.fixture
def folder(tmp_path):
    save_orbax(outer(), tmp_path / "weights", {"size": "toy", "note": "ä"})
    return tmp_path / "weights"


def test_round_trip(folder):
    loaded = load_orbax(abstract(), folder, size="toy")
    assert isinstance(loaded, Outer)
    assert same_parameters(loaded, outer())
    assert read_manifest(folder)["note"] == "ä"
    assert read_manifest(folder)["format"] == "orbax"


def test_the_tree_is_one_that_orbax_itself_reads(folder):
    from orbax.checkpoint import v1

    tree = v1.load(folder / "orbax")
    assert tree["layers"]["1"]["kernel"].shape == (2, 3)
    assert np.array_equal(tree["token"], np.arange(4.0, dtype=np.float32))


def test_a_part_by_its_prefix(folder):
    part = nnx.eval_shape(lambda: nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    assert same_parameters(
        load_orbax(part, folder, prefix="layers.1"), outer().layers[1]
    )


def test_a_second_one_replaces_the_first(folder):
    save_orbax(outer(1), folder, {"size": "toy"})
    assert same_parameters(load_orbax(abstract(), folder), outer(1))
    assert sorted(file.name for file in folder.iterdir()) == ["manifest.json", "orbax"]
    assert [file.name for file in folder.parent.iterdir()] == ["weights"]


def test_nothing_half_written_stays(folder):
    with pytest.raises(TypeError):
        save_orbax(outer(1), folder, {"size": object()})
    assert same_parameters(load_orbax(abstract(), folder), outer())
    assert [file.name for file in folder.parent.iterdir()] == ["weights"]


def damage(folder):
    for file in (folder / "orbax").rglob("*"):
        if file.is_file():
            data = bytearray(file.read_bytes())
            data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
            file.write_bytes(data)


def other_values(folder):
    manifest = (folder / "manifest.json").read_text()
    save_orbax(outer(1), folder, {"size": "toy"})
    (folder / "manifest.json").write_text(manifest)


def other_names(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    save_orbax(outer().layers[0], folder, manifest)


BAD = {
    "damaged": (damage, "cut short or changed"),
    "other values": (other_values, "does not match the sha256"),
    "other names": (other_names, "5 missing|missing: layers"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused_in_one_line(name, folder):
    make, line = BAD[name]
    make(folder)
    with pytest.raises(InputError, match=line) as caught:
        load_orbax(abstract(), folder)
    assert "\n" not in str(caught.value)


def test_sizes_and_formats_are_told_apart(folder, tmp_path):
    with pytest.raises(InputError, match="of size toy, not tiny"):
        load_orbax(abstract(), folder, size="tiny")
    with pytest.raises(InputError, match="in the format orbax: read it with"):
        load_weights(abstract(), folder)
    save_weights(outer(), tmp_path / "other", {"size": "toy"})
    with pytest.raises(InputError, match="not in the format orbax: use load_weights"):
        load_orbax(abstract(), tmp_path / "other")
    with pytest.raises(InputError, match="no checkpoint in"):
        load_orbax(abstract(), tmp_path)
