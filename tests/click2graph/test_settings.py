"""Settings of a checkpoint: kept with it, and used where nothing else is said."""

import dataclasses
import json

import numpy as np
import pytest

from c2g_jax.checkpoints.pretrained import (
    TOY_CHECKPOINT,
    load_click2graph,
    save_click2graph,
    settings_of,
    write_settings,
)
from c2g_jax.checkpoints.safetensors import read_manifest
from c2g_jax.click2graph.settings import (
    NARROW,
    RANKED,
    AdaptConfig,
    Settings,
    SpanConfig,
)
from c2g_jax.types import InputError
from tests.small_click2graph import SAM2, build

TUNED = Settings(
    SpanConfig(1, 3, 0.05, 0.1), AdaptConfig(width=0.3), temperature=(2.0, 1.5, 0.5)
)


def test_settings_are_json_and_back():
    again = Settings.from_json(json.loads(json.dumps(TUNED.to_json())))
    assert again == TUNED
    assert hash(again) == hash(TUNED)
    assert Settings.from_json(None) is None


def test_a_threshold_takes_the_place_of_the_best():
    assert RANKED.at_least(None) == RANKED
    assert RANKED.at_least(0.2) == SpanConfig(2, 2, 0.2, 0.0, None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkpoint that was not tuned."""
    monkeypatch.setattr("c2g_jax.checkpoints.pretrained.sam2_config", lambda *_: SAM2)
    save_click2graph(build(0), tmp_path / "weights", {"training": {"step": 3}})
    return tmp_path / "weights"


def test_a_checkpoint_without_settings_ranks_guesses(folder):
    assert "settings" not in read_manifest(folder)
    model, _ = load_click2graph(folder)
    assert model.config.settings is None
    assert model.config.spans == RANKED
    assert (RANKED.min_confidence, RANKED.start_confidence) == (0, 0)
    assert model.config.adapt == NARROW == AdaptConfig()


def test_settings_are_written_beside_the_weights_and_saved_again(folder, tmp_path):
    before = read_manifest(folder)
    write_settings(folder, TUNED)
    assert read_manifest(folder) == {**before, "settings": TUNED.to_json()}
    model, _ = load_click2graph(folder)
    assert model.config.settings == TUNED
    assert (model.config.spans, model.config.adapt) == (TUNED.spans, TUNED.adapt)
    save_click2graph(model, tmp_path / "again")
    again = read_manifest(tmp_path / "again")
    assert settings_of(again, "again") == TUNED
    assert again["sha256"] == before["sha256"]


def test_temperatures_divide_the_logits(folder):
    plain, _ = load_click2graph(folder)
    write_settings(folder, TUNED)
    tuned, _ = load_click2graph(folder)
    features = np.random.default_rng(0).normal(size=(4, 2, SAM2.d_model))
    features = features.astype(np.float32)
    for x, y, t in zip(
        plain.sch(*features), tuned.sch(*features), TUNED.temperature, strict=True
    ):
        np.testing.assert_allclose(x / t, y, rtol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"spans": {"max_gap": 2, "wings": 1}},
        {"spans": {"min_confidence": float("nan")}},
        {"spans": {"min_length": "5"}},
        {"adapt": {"width": -1}},
        {"temperature": [1, 1]},
        {"temperature": [1, 0, 1]},
        {"temperature": "hot"},
    ],
)
def test_settings_that_are_none_are_refused_in_a_line(folder, change):
    manifest = {**read_manifest(folder), "settings": TUNED.to_json() | change}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"no valid settings: .*c2g_jax\.tune"):
        load_click2graph(folder)


def test_the_toy_checkpoint_states_what_its_results_were_made_with():
    settings = settings_of(read_manifest(TOY_CHECKPOINT), TOY_CHECKPOINT)
    assert settings == Settings(
        SpanConfig(5, 5, 0.3, 0.0),
        AdaptConfig(0.05, 2.0, 8),
        (0.841, 1.682, 1.414),
    )
    assert dataclasses.asdict(settings.spans)["top"] is None
