"""DIDM and SCH in a file of their own, beside a SAM2.1."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import c2g_jax
from c2g_jax.checkpoints import heads as heads_files
from c2g_jax.checkpoints.heads import (
    HEADS,
    heads_manifest,
    heads_of,
    load_model,
    read_heads,
    save_click2graph_and_heads,
    save_heads,
    settings_in_use,
    vocabulary_in_use,
    write_heads_settings,
)
from c2g_jax.checkpoints.pretrained import save_sam2
from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.settings import Settings
from c2g_jax.types import InputError, TrackRules
from c2g_jax.vocabulary import load_vocabulary
from tests.equality import same_parameters
from tests.small_click2graph import SAM2, VOCABULARY, build
from tests.small_sam2 import one_block_config

SETTINGS = Settings(temperature=(1.5, 1.0, 0.5))


@pytest.fixture(scope="module")
def model() -> Click2Graph:
    model = build(0)
    model.config = dataclasses.replace(model.config, settings=SETTINGS)
    return model


@pytest.fixture(scope="module")
def trained(model, tmp_path_factory):
    """A folder as a training leaves it: weights/ and heads.safetensors."""
    folder = tmp_path_factory.mktemp("run")
    save_click2graph_and_heads(model, folder / "weights", {"training": {"step": 7}})
    save_sam2(model.sam2, folder / "sam2")
    save_sam2(build(1).sam2, folder / "other")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("c2g_jax.checkpoints.pretrained.sam2_config", lambda *_: SAM2)


def test_heads_around_the_sam2_they_were_trained_around(model, trained):
    loaded, warning = load_model(trained / "sam2", trained / HEADS)
    assert warning is None
    assert same_parameters(loaded, model)
    assert loaded.config == model.config  # also the rules, which the manifest has
    assert loaded.config.rules == TrackRules(max_tracks=3)
    assert loaded.config.vocabulary == VOCABULARY
    assert loaded.sch.temperature == SETTINGS.temperature
    assert settings_in_use(trained / "sam2", trained / HEADS) == SETTINGS
    assert settings_in_use(trained / "weights", None) == SETTINGS
    assert settings_in_use(trained / "sam2", None) is None
    own = (trained / "sam2", trained / HEADS), (trained / "weights", None)
    assert all(vocabulary_in_use(*places) == VOCABULARY for places in own)
    released = trained / "sam2.1_hiera_tiny.pt"  # not converted, nor read
    for alone in (trained / "sam2", released):
        assert vocabulary_in_use(alone, None) == load_vocabulary()
    again, _ = load_model(trained / "sam2", trained / HEADS, rules=TrackRules())
    assert again.config.rules == TrackRules()


def test_settings_are_written_to_the_heads_of_a_model(model, trained, tmp_path):
    path = tmp_path / HEADS
    path.write_bytes((trained / HEADS).read_bytes())
    write_heads_settings(path, build(1), Settings())  # other heads: left alone
    assert settings_in_use(None, path) == SETTINGS
    write_heads_settings(path, model, Settings())
    assert settings_in_use(None, path) == Settings()
    assert read_heads(path).manifest["training"] == {"step": 7}
    write_heads_settings(tmp_path / "none", model, Settings())
    assert not (tmp_path / "none").exists()


def test_the_manifest_tells_all(model, trained):
    manifest = heads_manifest(trained / HEADS)
    assert manifest["training"] == {"step": 7}
    assert manifest["settings"] == SETTINGS.to_json()
    assert manifest["rules"]["max_tracks"] == 3
    assert manifest["sam2"]["size"] == "toy"
    assert manifest["sam2"]["width"] == 32
    assert manifest["click2graph"]["vocabulary"] == VOCABULARY.to_json()
    # Only DIDM and SCH are in the file, and no more than their bytes and the manifest.
    names = set(load_file(trained / HEADS))
    assert names == {k for k in parameters(model) if not k.startswith("sam2.")}
    assert (trained / HEADS).stat().st_mode & 0o777 == 0o644


def test_another_sam2_gives_a_warning(model, trained):
    loaded, warning = load_model(trained / "other", trained / HEADS)
    assert "was trained around another SAM2.1 (toy, sha256 " in warning
    assert "\n" not in warning
    assert same_parameters(loaded.didm, model.didm)
    assert same_parameters(loaded.sam2, build(1).sam2)


def test_heads_of_a_whole_checkpoint_and_into_one(model, trained, tmp_path):
    loaded, warning = load_model(trained / "sam2", trained / "weights")
    assert warning is None
    assert same_parameters(loaded, model)
    # In place of the heads of a whole checkpoint.
    other = build(1)
    save_click2graph_and_heads(other, tmp_path / "weights")
    loaded, warning = load_model(tmp_path / "weights", trained / HEADS)
    assert "another SAM2.1" in warning
    assert same_parameters(loaded.sch, model.sch)
    # Without heads it is the checkpoint's own.
    loaded, warning = load_model(tmp_path / "weights")
    assert warning is None
    assert same_parameters(loaded, other)
    with pytest.raises(InputError, match=r"holds SAM2\.1 alone, no heads"):
        load_model(trained / "sam2", trained / "other")
    assert "holds SAM2.1 alone" in load_model(trained / "sam2")[1]


def test_another_width_is_refused(trained, tmp_path, monkeypatch):
    wide = one_block_config(64, embed_dim=8, d_model=64, mem_dim=16)
    monkeypatch.setattr(heads_files, "load_sam2", lambda *_: Wide(wide))
    with pytest.raises(InputError, match=r"for a SAM2\.1 of width 32, but the .* 64: "):
        load_model(tmp_path, trained / HEADS)


class Wide:
    def __init__(self, config):
        self.config = config


def changed(path, to, tensors=None, **manifest):
    """Write a heads file again, with other tensors, or another manifest."""
    with safe_open(path, framework="numpy") as file:
        was = json.loads(file.metadata()["manifest"])
    now = {k: v for k, v in {**was, **manifest}.items() if v is not None}
    values = load_file(path) | (tensors or {})
    values = {name: x for name, x in values.items() if x is not None}
    save_file(values, to, {"manifest": json.dumps(now)})


BIAS = "didm.subject_proj.bias"
DAMAGES = {
    "a value": (dict(tensors={BIAS: np.ones(32, np.float32)}), "match the sha256"),
    "missing": (dict(tensors={BIAS: None}), f"1 missing: {BIAS}"),
    "unexpected": (
        dict(tensors={"didm.wings": np.ones(2, np.float32)}),
        r"1 unexpected: didm\.wings",
    ),
    "misshapen": (
        dict(tensors={BIAS: np.ones(31, np.float32)}),
        rf"1 misshapen: {BIAS} float32\[31\] instead of float32\[32\]",
    ),
    "no shape": (dict(click2graph=None), "does not describe a model"),
    "no sam2": (dict(sam2=None), "does not tell the SAM2.1"),
    "no sha256": (dict(sha256=None), "no manifest of heads"),
    "new rules": (dict(rules={"wings": 2}), "another version.*wings"),
    "new settings": (dict(settings={"spans": {"wings": 2}}), "has no valid settings"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_was_changed_is_refused(name, trained, tmp_path):
    how, line = DAMAGES[name]
    changed(trained / HEADS, tmp_path / "x.safetensors", **how)
    with pytest.raises(InputError, match=line) as caught:
        read_heads(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_what_is_no_file_of_heads_is_refused(model, trained, tmp_path):
    with pytest.raises(InputError, match=r"there are no heads in .*nowhere"):
        read_heads(tmp_path / "nowhere")
    (tmp_path / "text").write_text("no heads")
    with pytest.raises(InputError, match="is not a safetensors file"):
        read_heads(tmp_path / "text")
    with pytest.raises(InputError, match="no manifest of heads in its metadata"):
        read_heads(trained / "weights" / "weights.safetensors")
    whole = (trained / HEADS).read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-9])
    with pytest.raises(InputError, match=r"not a safetensors file|cut short"):
        read_heads(tmp_path / "cut")


def test_an_older_file_stays_where_writing_fails(model, trained, tmp_path, monkeypatch):
    save_heads(heads_of(model), tmp_path / HEADS)
    before = (tmp_path / HEADS).read_bytes()

    def save(values, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(heads_files, "save_file", save)
    with pytest.raises(InputError, match="No space left"):
        save_heads(heads_of(build(1)), tmp_path / HEADS)
    assert (tmp_path / HEADS).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [HEADS]


def test_a_session_keeps_its_heads(trained, tmp_path):
    frames = list(np.random.default_rng(0).integers(0, 256, (2, 48, 80, 3), np.uint8))
    given = dict(checkpoint=trained / "other", heads=trained / HEADS)
    with pytest.warns(UserWarning, match=r"another SAM2\.1"):
        session = c2g_jax.open(frames, **given)
    with contextlib.closing(session):
        session.save(tmp_path / "a.c2g")
        made = session.graph().provenance
    sha256 = heads_manifest(trained / HEADS)["sha256"]
    assert made["heads"] == {"name": HEADS, "sha256": sha256}
    with pytest.warns(UserWarning, match=r"another SAM2\.1"):
        session = c2g_jax.open_session(tmp_path / "a.c2g", frames)
    with contextlib.closing(session):
        assert session.source.heads_sha256 == sha256
    save_click2graph_and_heads(build(2), tmp_path / "weights")
    with (
        pytest.warns(UserWarning, match=r"another SAM2\.1"),
        pytest.raises(InputError, match=r"was made with heads of sha256 .* give the"),
    ):
        c2g_jax.open_session(tmp_path / "a.c2g", frames, heads=tmp_path / HEADS)
    with pytest.raises(InputError, match="a model and heads are given"):
        c2g_jax.open(frames, model=build(0), heads=trained / HEADS)
