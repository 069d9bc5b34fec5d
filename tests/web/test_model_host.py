"""The server with real sessions and a small, randomly initialised model."""

import numpy as np
import pytest

from c2g_jax.checkpoints import pretrained
from c2g_jax.click2graph.prior import Prior, count_relations
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary
from c2g_jax.web.model_host import ModelHost
from tests.session.bold import bold_model
from tests.web.conftest import client_of, until
from tests.web.test_routes import error, lines, opened


@pytest.fixture(scope="module")
def model_host(tmp_path_factory):
    """A ModelHost on a checkpoint with fewer layers than its size, to save time."""
    model, folder = bold_model(), tmp_path_factory.mktemp("weights")
    pretrained.save_click2graph(model, folder)
    model_host = ModelHost(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "c2g_jax.web.model_host.load_model", lambda *_, **__: (model, None)
        )
        assert model_host.load() is None
    model_host.load = lambda report=None: None
    return model_host


def test_a_prior_is_of_the_models_names(model_host, monkeypatch, clip, tmp_path):
    model = bold_model()
    monkeypatch.setattr(
        "c2g_jax.web.model_host.load_model", lambda *_, **__: (model, None)
    )
    names = model.config.vocabulary
    other = Vocabulary(("lion",), (), ("eats",))
    prior = Prior(other, count_relations(np.zeros((0, 3), int), 1, 1))
    host = ModelHost(model_host.checkpoint, prior=prior)
    with pytest.raises(InputError, match="no object category in common"):
        host.load()
    sizes = len(names.objects), len(names.predicates)
    prior = Prior(names, count_relations(np.zeros((0, 3), int), *sizes))
    host = ModelHost(model_host.checkpoint, prior=prior)
    assert host.load() is None
    with client_of(tmp_path / "state", model_host, video=clip) as client:
        entry = client.service.registry.get(opened(client).rpartition("/")[2])
        session = host.open(entry.clip, entry.session_file)
        assert session.prior is prior
        session.close()


def test_what_the_weights_are_is_no_stage_and_no_warning(
    model_host, monkeypatch, capsys
):
    model = bold_model()
    monkeypatch.setattr(
        "c2g_jax.web.model_host.load_model", lambda *_, **__: (model, "SAM2.1 alone")
    )
    stages, host = [], ModelHost(model_host.checkpoint)
    assert host.load(stages.append) is None
    assert stages == []
    assert capsys.readouterr().err == f"{host.weights}; computes in float32\n"


def test_from_a_click_to_files_and_back_from_disk(model_host, tmp_path, clip):
    state = tmp_path / "state"
    with client_of(state, model_host, video=clip) as client:
        session = opened(client)  # before the model is ready
        until(
            lambda: client.service.readiness.ready or client.service.readiness.failure,
            seconds=200,
        )
        assert client.service.readiness.failure is None
        point = dict(kind="point", frame=0, x=60, y=80)
        view = client.post(f"{session}/prompts", json=point).json()["view"]
        assert view["objects"][0]["rle"]["size"] == [180, 320]
        assert client.get(session).json()["objects"][0]["prompted"] == [0]
        *updates, end = lines(client.post(f"{session}/track", json={"stop": 2}))
        assert [u["frame"] for u in updates] == [0, 1, 2]
        assert end == {"end": "done"}
        empty = client.post(f"{session}/track", json={"start": 2, "stop": 1})
        assert "there is nothing: stop later" in error(empty, 422)
        client.patch(f"{session}/objects/1", json={"category": "dog"})
        wrong = client.patch(f"{session}/objects/1", json={"category": "dgo"})
        assert "dog" in error(wrong, 422), "what is near is named"
        for kind in ("csv", "overlay"):
            exported = client.get(f"{session}/export", params={"format": kind})
            assert exported.status_code == 200, exported.text
        before = client.get(session).json()
        graph = client.get(f"{session}/graph").json()
    assert graph["video"]["name"] == "kitchen.mp4"
    assert graph["video"]["times"][:3] == [0.0, 0.2, 0.4]
    assert len(graph["provenance"]["checkpoint"]["sha256"]) == 64
    with client_of(state, model_host, video=clip) as client:
        after = client.get(session).json()
        assert before | {"revision": 0} == after
        assert client.get(f"{session}/graph").json() == graph
        assert "dog" in client.post(f"{session}/undo").json()["what"]
