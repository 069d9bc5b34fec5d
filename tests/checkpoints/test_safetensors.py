"""Parameters are saved and loaded unchanged; damaged folders are refused."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors import safe_open

from c2g_jax.checkpoints.safetensors import (
    WEIGHTS,
    load_weights,
    parameters,
    read_manifest,
    save_weights,
)
from c2g_jax.types import InputError


class Inner(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List(nnx.Linear(2, 3, rngs=rngs) for _ in range(2))


class Outer(nnx.Module):
    def __init__(self, rngs):
        self.inner = Inner(rngs)
        self.token = nnx.Param(jnp.arange(4.0))


def outer(seed=0):
    return Outer(nnx.Rngs(seed))


def abstract(make=outer):
    return nnx.eval_shape(make)


@pytest.fixture
def folder(tmp_path):
    save_weights(outer(), tmp_path / "weights", {"size": "toy", "note": "ä"})
    return tmp_path / "weights"


NAMES = [
    "inner.layers.0.bias",
    "inner.layers.0.kernel",
    "inner.layers.1.bias",
    "inner.layers.1.kernel",
    "token",
]


def test_names_are_paths():
    assert sorted(parameters(outer())) == NAMES
    assert parameters(abstract())["inner.layers.1.kernel"].shape == (2, 3)


def test_round_trip(folder):
    loaded = load_weights(abstract(), folder, size="toy")
    assert isinstance(loaded, Outer)
    for name, value in parameters(outer()).items():
        assert np.array_equal(parameters(loaded)[name], value), name
    assert read_manifest(folder)["note"] == "ä"
    assert sorted(p.name for p in folder.iterdir()) == [
        "manifest.json",
        "weights.safetensors",
    ]


def test_half_precision_halves_the_file_and_is_widened_when_read(folder, tmp_path):
    half = tmp_path / "half"
    save_weights(outer(), half, {"size": "toy", "dtype": "float16"})
    with safe_open(half / WEIGHTS, framework="numpy") as file:
        assert {file.get_tensor(name).dtype for name in NAMES} == {np.dtype("float16")}
    whole, read = parameters(outer()), parameters(load_weights(abstract(), half))
    for name in NAMES:
        assert read[name].dtype == jnp.float32
        assert np.array_equal(read[name], np.float16(whole[name]).astype(np.float32))
    large = outer()
    large.token[...] = large.token[...] * 1e6
    with pytest.raises(InputError, match="token overflows float16: save it as"):
        save_weights(large, half, {"size": "toy", "dtype": "float16"})
    assert np.array_equal(parameters(load_weights(abstract(), half))["token"], range(4))


def test_loading_leaves_the_given_module_alone(folder):
    given = outer(seed=1)
    before = np.array(given.inner.layers[0].kernel[...])
    loaded = load_weights(given, folder)
    assert np.array_equal(given.inner.layers[0].kernel[...], before)
    assert not np.array_equal(loaded.inner.layers[0].kernel[...], before)


def test_a_part_is_read_by_its_prefix(folder):
    inner = load_weights(abstract(lambda: Inner(nnx.Rngs(5))), folder, prefix="inner")
    assert np.array_equal(
        inner.layers[1].kernel[...], outer().inner.layers[1].kernel[...]
    )


def test_saving_again_replaces(folder):
    save_weights(outer(seed=2), folder, {"size": "toy"})
    loaded = load_weights(abstract(), folder)
    kernel = outer(seed=2).inner.layers[0].kernel[...]
    assert np.array_equal(loaded.inner.layers[0].kernel[...], kernel)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["weights"]


def test_what_does_not_fit_is_listed_in_full(folder):
    class Other(nnx.Module):
        def __init__(self):
            self.token = nnx.Param(jnp.zeros(5))
            self.extra = nnx.Param(jnp.zeros(1))

    with pytest.raises(InputError) as caught:
        load_weights(abstract(Other), folder)
    text = str(caught.value)
    assert "1 missing: extra" in text
    assert f"4 unexpected: {', '.join(NAMES[:4])}" in text
    assert "1 misshapen: token float32[4] instead of float32[5]" in text
    assert "\n" not in text


def corrupt(folder, change):
    path = folder / "weights.safetensors"
    path.write_bytes(change(path.read_bytes()))


def set_manifest(folder, **fields):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: corrupt(f, lambda b: b[:-5]), "cut short or changed"),
        (lambda f: corrupt(f, lambda b: b[:-1] + b"\1"), "cut short or changed"),
        (lambda f: (f / "weights.safetensors").unlink(), "is missing"),
        (lambda f: (f / "manifest.json").unlink(), "no checkpoint in"),
        (lambda f: (f / "manifest.json").write_text("{"), "is not a checkpoint's"),
        (lambda f: (f / "manifest.json").write_text("[]"), "is not a checkpoint's"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff"), "no checkpoint in"),
        (lambda f: set_manifest(f, sha256=3), "is not a checkpoint's"),
        (lambda f: set_manifest(f, size="tiny"), "is of size tiny, not toy"),
    ],
)
def test_a_spoilt_folder_is_refused_in_one_line(folder, spoil, words):
    spoil(folder)
    with pytest.raises(InputError, match=words) as caught:
        load_weights(abstract(), folder, size="toy")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_safetensors_is_refused(folder):
    from c2g_jax.checkpoints.safetensors import file_sha256

    (folder / "weights.safetensors").write_bytes(b"no such thing")
    set_manifest(folder, sha256=file_sha256(folder / "weights.safetensors"))
    with pytest.raises(InputError, match="is not a safetensors file"):
        load_weights(abstract(), folder)


def test_a_failed_save_leaves_what_was_there(folder):
    with pytest.raises(TypeError):
        save_weights(outer(seed=3), folder, {"size": {1, 2}})
    load_weights(abstract(), folder, size="toy")
    assert sorted(p.name for p in folder.parent.iterdir()) == ["weights"]
