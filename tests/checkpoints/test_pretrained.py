"""Click2Graph from a folder: whole, or around a SAM2.1 alone."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from c2g_jax.checkpoints import pretrained
from c2g_jax.checkpoints.pretrained import load_click2graph, save_click2graph
from c2g_jax.checkpoints.safetensors import parameters, save_weights
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.sam2.model import Sam2
from c2g_jax.types import Frame, InputError, TrackRules
from tests.small_click2graph import (
    CONFIG,
    HEIGHT,
    SAM2,
    VOCABULARY,
    WIDTH,
    build,
    click,
    run,
)


@pytest.fixture(scope="module")
def model() -> Click2Graph:
    return build(0)


def test_a_model_comes_back_from_its_folder(model, tmp_path, monkeypatch):
    monkeypatch.setattr("c2g_jax.checkpoints.pretrained.sam2_config", lambda *_: SAM2)
    save_click2graph(model, tmp_path / "model", {"made_by": "a test"})
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert manifest["made_by"] == "a test"
    assert manifest["size"] == "toy"
    loaded, trained = load_click2graph(tmp_path / "model")
    assert trained
    assert loaded.config == dataclasses.replace(CONFIG, rules=TrackRules())
    assert loaded.config.vocabulary == VOCABULARY
    ours, theirs = parameters(loaded), parameters(model)
    assert ours.keys() == theirs.keys()
    assert {k.split(".")[0] for k in ours} == {"sam2", "didm", "sch"}
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key])
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    frames, prompts = [Frame(0, 0.0, rgb)], [click(0, 1, 20, 24)]
    (again,) = run(loaded, frames, prompts)
    (first,) = run(model, frames, prompts)
    assert again.subjects[0].triplets == first.subjects[0].triplets


def test_sam2_alone_says_that_the_rest_is_untrained(model, tmp_path, monkeypatch):
    monkeypatch.setattr("c2g_jax.checkpoints.pretrained.sam2_config", lambda *_: SAM2)
    save_weights(model.sam2, tmp_path / "sam2", {"size": "toy"})
    loaded, trained = load_click2graph(tmp_path / "sam2", seed=3)
    assert not trained
    assert len(loaded.config.vocabulary.objects) == 126
    ours, theirs = parameters(loaded.sam2), parameters(model.sam2)
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((loaded.didm, loaded.sch)))
    assert np.std(loaded.didm.query_embed[...]) > 0.5
    assert isinstance(loaded.sam2, Sam2)


def test_a_folder_that_does_not_fit_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr("c2g_jax.checkpoints.pretrained.sam2_config", lambda *_: SAM2)
    with pytest.raises(InputError, match="no checkpoint in"):
        load_click2graph(tmp_path / "nowhere")
    save_click2graph(model, tmp_path / "model")
    with pytest.raises(InputError, match="is of size toy, not tiny"):
        load_click2graph(tmp_path / "model", size="tiny")
    path = tmp_path / "model" / "manifest.json"
    good = path.read_text()
    for field, value in (("wings", 2), ("positions", "nowhere")):
        manifest = json.loads(good)
        manifest["click2graph"]["didm"][field] = value
        path.write_text(json.dumps(manifest))
        with pytest.raises(InputError, match=rf"does not describe a model.*{field}"):
            load_click2graph(tmp_path / "model")


def test_a_wrong_size_names_the_file_that_was_given(model, tmp_path, monkeypatch):
    """Not the conversion in the cache."""
    save_click2graph(model, tmp_path / "cached")
    monkeypatch.setattr(
        pretrained, "find_checkpoint", lambda folder, report=None: tmp_path / "cached"
    )
    for load in (load_click2graph, pretrained.load_sam2):
        with pytest.raises(InputError, match=r"in own\.pt is of size toy, not large"):
            load("own.pt", "large")
