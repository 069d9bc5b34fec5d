"""The routes and their answers, with a fake session."""

import io
import json
import re
import zipfile

import pytest

from c2g_jax.media.rle import decode_mask
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.vocabulary import load_vocabulary
from tests.web import fake_session
from tests.web.conftest import client_of, until

ADULT = dict(kind="point", frame=0, x=60, y=80)
DOG = dict(kind="point", frame=0, x=282, y=40)


def opened(client) -> str:
    """Open a session; returns its URL path."""
    answer = client.post("/sessions", json={})
    assert answer.status_code == 201, answer.text
    return f"/sessions/{answer.json()['id']}"


def tracked(client) -> str:
    session = opened(client)
    assert client.post(f"{session}/prompts", json=ADULT).status_code == 200
    lines(client.post(f"{session}/track", json={}))
    return session


def lines(answer) -> list[dict]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def error(answer, status: int) -> str:
    assert answer.status_code == status, answer.text
    (key, line), *rest = answer.json().items()
    assert (key, rest) == ("error", [])
    assert "\n" not in line
    assert line
    return line


def test_the_page_and_its_files(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert 'src="/static/main.js"' in page.text
    script = client.get("/static/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "//cdn" not in page.text
    assert "http" not in page.text.replace("http://www.w3.org", "")


def test_status_and_vocabulary(client):
    until(lambda: client.get("/status").json()["ready"])
    status = client.get("/status").json()
    assert (status["ready"], status["stage"], status["error"]) == (True, "ready", None)
    assert status["video"] == "kitchen.mp4"
    names = client.get("/vocabulary").json()
    assert names["predicates"] == list(load_vocabulary().predicates)
    assert len(names["objects"]) == 126


def test_a_new_session_shows_the_video(client):
    session = opened(client)
    state = client.get(session).json()
    video = state["video"]
    assert (video["width"], video["height"], video["num_frames"]) == (320, 180, 24)
    assert video["times"][5] == 1.0
    assert state["objects"] == state["relations"] == []
    assert not client.model_host.opened, "the model was asked for nothing"
    picture = client.get(f"{session}/frames/23.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    assert "immutable" in picture.headers["cache-control"]
    assert client.get(f"{session}/frames/3").json()["objects"] == []
    assert "24" in error(client.get(f"{session}/frames/24.jpg"), 404)
    error(client.get(f"{session}/frames/-1"), 404)


def test_a_click_answers_with_the_mask(client):
    session = opened(client)
    answer = client.post(f"{session}/prompts", json=ADULT).json()
    (shown,) = answer["view"]["objects"]
    assert (shown["object_id"], shown["role"]) == (1, "subject")
    mask = decode_mask(shown["rle"])
    assert (mask == fake_session.shape_mask("adult", 0)).all()
    assert answer["can_undo"]
    assert not answer["can_redo"]
    assert answer["revision"] == 1


def test_a_prompt_looks_at_its_frame_once(client, monkeypatch):
    session, looks = opened(client), []
    view = fake_session.FakeSession.view

    def counted(session, frame):
        looks.append(frame)
        return view(session, frame)

    monkeypatch.setattr(fake_session.FakeSession, "view", counted)
    client.post(f"{session}/prompts", json=ADULT)
    assert looks == [0]
    query = dict(frame=0, object_id=1, index=0)
    client.delete(f"{session}/prompts", params=query)
    assert looks == [0, 0]
    client.post(f"{session}/undo", params={"frame": 3})
    assert looks == [0, 0, 3]


def test_points_boxes_objects_by_hand_and_dots_taken_back(client):
    session = opened(client)
    prompts = f"{session}/prompts"
    box = dict(kind="box", frame=2, x1=250, y1=20, x2=300, y2=60)
    client.post(prompts, json=ADULT)
    client.post(prompts, json=box)
    minus = dict(ADULT, x=65, positive=False, object_id=1)
    client.post(prompts, json=minus)
    by_hand = dict(kind="object", frame=0, x=160, y=142, subject_id=1)
    view = client.post(prompts, json=by_hand).json()["view"]
    roles = [(o["object_id"], o["role"], o["subject_ids"]) for o in view["objects"]]
    assert roles == [(1, "subject", []), (2, "subject", []), (3, "object", [1])]
    labels = [p["label"] for p in view["objects"][0]["prompts"]]
    assert labels == [1, 0]
    query = dict(frame=0, object_id=1, index=1)
    view = client.delete(prompts, params=query).json()["view"]
    assert [p["label"] for p in view["objects"][0]["prompts"]] == [1]
    assert "no prompt 7" in error(
        client.delete(prompts, params=query | {"index": 7}), 422
    )


def test_tracking_streams_frames_and_says_how_it_ended(client):
    session = opened(client)
    client.post(f"{session}/prompts", json=ADULT)
    *updates, end = lines(client.post(f"{session}/track", json={"stop": 9}))
    assert [u["frame"] for u in updates] == list(range(10))
    assert [(u["done"], u["total"]) for u in updates][-1] == (10, 10)
    assert end == {"end": "done"}
    assert updates[5]["view"]["relations"][0]["predicate"] == "holding"
    state = client.get(session).json()
    assert state["tracked"] == list(range(10))
    assert not state["tracking"]
    assert [r["predicate"] for r in state["relations"]] == ["holding", "next to"]
    sure = client.get(session, params={"threshold": 0.8}).json()["relations"]
    assert [r["predicate"] for r in sure] == ["holding"]


def test_the_page_begins_where_spans_do(client):
    (value,) = re.findall(r'id="threshold"[^>]*value="([^"]*)"', client.get("/").text)
    assert float(value) == SpanConfig().min_confidence


def test_labels_are_corrected_undone_and_done_again(client):
    session = tracked(client)
    named = client.patch(f"{session}/objects/1", json={"category": "child"})
    assert named.status_code == 200, named.text
    link = dict(subject_id=1, object_id=2, predicate="carrying", start=0, stop=5)
    client.patch(f"{session}/relations", json=link)
    state = client.get(session).json()
    assert (state["objects"][0]["category"], state["objects"][0]["fixed"]) == (
        "child",
        True,
    )
    spans = {r["predicate"]: r["spans"] for r in state["relations"]}
    assert spans["carrying"] == [[0, 5]]
    assert spans["holding"] == [[6, 17]]
    undone = client.post(f"{session}/undo", params={"frame": 3}).json()
    assert undone["what"] == "1 carrying 2"
    assert undone["view"]["frame"] == 3
    assert client.post(f"{session}/redo").json()["can_undo"]
    client.patch(f"{session}/relations", json=link | {"predicate": None, "stop": 23})
    names = [r["predicate"] for r in client.get(session).json()["relations"]]
    assert "holding" not in names
    client.delete(f"{session}/objects/1")
    assert [o["object_id"] for o in client.get(session).json()["objects"]] == [2, 3]


def test_the_graph_is_the_file_of_the_schema(client):
    session = tracked(client)
    graph = client.get(f"{session}/graph").json()
    assert graph["schema_version"] == 1
    assert graph["video"]["name"] == "kitchen.mp4"
    assert graph["relations"][0] == [1, 2, "holding", [[0, 17]]]
    saved = client.get(f"{session}/export", params={"format": "scene_graph"})
    assert saved.json() == graph


@pytest.mark.parametrize(
    ("kind", "name", "start"),
    [
        ("scene_graph", "kitchen_scene_graph.json", b"{"),
        ("coco", "kitchen_coco.json", b"{"),
        ("graphml", "kitchen.graphml", b"<?xml"),
        ("csv", "kitchen.csv", b"subject"),
        ("overlay", "kitchen_overlay.mp4", b"\0\0\0"),
        ("open_pvsg", "kitchen_open_pvsg.zip", b"PK"),
    ],
)
def test_exports(client, kind, name, start):
    session = tracked(client)
    answer = client.get(f"{session}/export", params={"format": kind})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.content.startswith(start)
    if kind == "open_pvsg":
        names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        assert "pvsg.json" in names


def test_errors_are_one_sentence_with_the_right_status(client):
    session = tracked(client)
    prompts = f"{session}/prompts"
    assert "outside" in error(client.post(prompts, json=ADULT | {"x": 9999}), 422)
    assert "frame" in error(client.post(prompts, json=ADULT | {"frame": "first"}), 422)
    error(client.post(prompts, json=ADULT | {"x": None}), 422)
    error(client.post(prompts, json=ADULT | {"kind": "sphere"}), 422)
    error(client.post(prompts, json=ADULT | {"more": 1}), 422)
    error(
        client.post(prompts, content="{", headers={"Content-Type": "application/json"}),
        422,
    )
    wrong = client.patch(f"{session}/objects/1", json={"category": "unicorn"})
    assert "unicorn" in error(wrong, 422)
    assert "no object 99" in error(client.delete(f"{session}/objects/99"), 422)
    assert "choose one of" in error(client.get(f"{session}/export?format=doc"), 422)
    error(client.get(session, params={"threshold": 7}), 422)
    error(client.get("/sessions/guess"), 404)
    error(client.get("/no/such/place"), 404)
    error(client.put(session), 405)
    fresh = opened(client)
    assert "nothing to undo" in error(client.post(f"{fresh}/undo"), 422)
    assert "click" in error(client.post(f"{fresh}/track", json={}), 422)
    assert not client.get(fresh).json()["tracking"], "a refusal leaves it free"


def test_an_error_of_ours_is_not_told_in_full(tmp_path, clip):
    class Broken(fake_session.FakeModelHost):
        def open(self, clip, saved):
            raise RuntimeError("secret /root/path")

    from starlette.testclient import TestClient

    with client_of(tmp_path / "state", Broken(), video=clip) as client:
        quiet = TestClient(client.app, client.base_url, raise_server_exceptions=False)
        session = opened(client)
        line = error(quiet.post(f"{session}/prompts", json=ADULT), 500)
        assert "secret" not in line


def test_a_model_that_cannot_be_had_is_said(tmp_path, clip):
    from c2g_jax.types import InputError
    from tests.web.conftest import until

    class Bare(fake_session.FakeModelHost):
        def load(self, report=None):
            raise InputError("no checkpoint is given")

    with client_of(tmp_path / "state", Bare(), video=clip) as client:
        until(lambda: client.get("/status").json()["error"])
        session = opened(client)
        assert client.get(f"{session}/frames/0.jpg").status_code == 200
        line = error(client.post(f"{session}/prompts", json=ADULT), 503)
        assert line == "no checkpoint is given"


def test_sessions_outlive_the_server(tmp_path, clip):
    with client_of(tmp_path / "state", video=clip) as client:
        session = tracked(client)
        client.patch(f"{session}/objects/1", json={"category": "child"})
        before = client.get(session).json()
    with client_of(tmp_path / "state", video=clip) as client:
        after = client.get(session).json()
        assert before | {"revision": 0} == after
        assert client.post(f"{session}/undo").json()["what"] == "object 1 is child"


def test_without_a_video_the_page_waits_for_one(tmp_path):
    with client_of(tmp_path / "state") as client:
        assert client.get("/status").json()["video"] is None
        assert "open a video" in error(client.post("/sessions", json={}), 404)
