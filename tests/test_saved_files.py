"""Files that version 0.1.0 wrote (`tests/saved`) are read by this one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

import c2g_jax
from c2g_jax.checkpoints.orbax import load_orbax
from c2g_jax.checkpoints.pretrained import load_click2graph
from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.export.scene_graph_json import graph_to_json, read_scene_graph
from c2g_jax.media.rle import decode_mask
from c2g_jax.session.session_state import SessionState
from c2g_jax.types import TrackRules
from tests.saved.small import FORMS, SAM2, frames, shown, small_model
from tests.training import toy_run

SAVED = Path(__file__).parent / "saved"


@pytest.fixture
def small_sizes(monkeypatch):
    """The name of the size of the saved checkpoints, which no release has."""
    monkeypatch.setattr("c2g_jax.checkpoints.pretrained.sam2_config", lambda *_: SAM2)


@pytest.mark.parametrize("form", FORMS)
def test_checkpoints_hold_the_same_model(small_sizes, form):
    model, trained = load_click2graph(SAVED / form)
    assert trained
    wanted = small_model(form)
    assert model.config == wanted.config
    values = parameters(model)
    assert values.keys() == parameters(wanted).keys()
    for name, value in parameters(wanted).items():
        np.testing.assert_array_equal(values[name], value)


def test_a_checkpoint_of_orbax_holds_the_same_module():
    module = nnx.eval_shape(lambda: toy_run.Net(nnx.Rngs(0)))
    found = parameters(load_orbax(module, SAVED / "orbax"))
    for name, value in parameters(toy_run.Net(nnx.Rngs(1))).items():
        np.testing.assert_array_equal(found[name], value)


def test_a_session_shows_what_it_showed_and_goes_on_as_it_went_on(
    small_sizes, monkeypatch
):
    # Since then, tracks of one object end as twins, new tracks end soon unless they are
    # met again, and what was met on one frame alone is dropped.
    rules = TrackRules(twin_iou=None, tentative=TrackRules.patience)
    monkeypatch.setattr(SessionState, "_met_again", lambda state: set(state.objects))
    model, _ = load_click2graph(SAVED / "learned", rules=rules)
    session = c2g_jax.open_session(SAVED / "session.c2g", frames(), model=model)
    close_to(shown(session), was_shown("shown.json", stale=[1, 2, 3, 4, 5]))
    for _ in session.track(start=2):
        pass
    close_to(shown(session), was_shown("tracked.json", stale=[1]))
    session.close()


def test_what_a_person_drew_is_shown_as_it_was(small_sizes):
    model, _ = load_click2graph(SAVED / "learned")
    session = c2g_jax.open_session(SAVED / "annotated.c2g", frames(), model=model)
    assert session.guesses == "suggest"
    assert session.vocabulary.things[-1] == "robot"
    close_to(shown(session), json.loads((SAVED / "annotated.json").read_text()))
    session.close()


def was_shown(name, stale):
    """What a session showed; `stale` are frames that version 0.1.0 did not all mark.

    The prompt on frame 2 concerns frame 1 as well, which attends to it when it is
    tracked again.
    """
    document = json.loads((SAVED / name).read_text())
    document["stale"] = stale
    for view in document["views"]:
        view["stale"] = view["frame"] in stale
    # Of before there were suggestions: all was taken.
    for part in (document, *document["views"]):
        for row in (*part["objects"], *part["relations"]):
            row["state"] = "accepted"
    return document


def test_a_scene_graph_is_read_and_written_as_it_was():
    path = SAVED / "scene_graph.json"
    graph = read_scene_graph(path)
    assert graph.objects
    assert graph_to_json(graph) == json.loads(path.read_text())


def test_a_training_goes_on_from_a_saved_step(tmp_path):
    shutil.copytree(SAVED / "run", tmp_path / "run")
    assert toy_run.make_run(tmp_path / "run").train()
    (tmp_path / "whole").mkdir()
    toy_run.make_run(tmp_path / "whole").train()
    assert toy_run.lines(tmp_path / "run")[-1]["step"] == toy_run.STEPS
    _, resumed, _ = toy_run.last_state(tmp_path / "run")
    _, whole, _ = toy_run.last_state(tmp_path / "whole")
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        # Another processor may round a matrix product in another order.
        np.testing.assert_allclose(resumed[name], value, rtol=1e-4, atol=1e-6)


def close_to(found, wanted, where="") -> None:
    """Equal as JSON, but for what another processor rounds otherwise."""
    if isinstance(wanted, dict) and "counts" in wanted:
        differ = decode_mask(found) != decode_mask(wanted)
        assert differ.mean() < 0.01, where  # logits that are 0 but for rounding
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys(), where
        for key, value in wanted.items():
            close_to(found[key], value, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for i, value in enumerate(wanted):
            close_to(found[i], value, f"{where}[{i}]")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4), where
    else:
        assert found == wanted, where
