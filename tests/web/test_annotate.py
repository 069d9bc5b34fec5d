"""The routes of annotating, with real sessions in the scripted world."""

import io
import json
import zipfile

import numpy as np
import pytest

import c2g_jax
from c2g_jax.click2graph.prior import Prior, count_relations
from c2g_jax.web import routes_annotate, routes_names
from tests.session import scripted
from tests.session.conftest import OTHER, centre
from tests.web.conftest import client_of


class ScriptedHost:
    """Replaces `ModelHost`; its sessions are on the scripted video."""

    weights, vocabulary = "the script", scripted.CONFIG.vocabulary

    def __init__(self, **model):
        self.model = model

    def load(self, report=None):
        return None

    def warm_up(self, report):
        pass

    warm_tracking = warm_up

    def open(self, clip, saved):
        video, model = scripted.video(), scripted.model(**self.model)
        if saved.exists():
            return c2g_jax.open_session(saved, video, model=model, autosave=saved)
        return c2g_jax.open(video, model=model, autosave=saved, guesses="suggest")


class Page:
    """A client of one session: its paths are below the session's."""

    def __init__(self, client):
        self.client = client
        self.id = client.post("/sessions", json={}).json()["id"]

    def __call__(self, method, path, body=None, status=200, **options):
        answer = self.client.request(
            method, f"/sessions/{self.id}{path}", json=body, **options
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def track(self):
        self.client.post(f"/sessions/{self.id}/track", json={})

    def whole(self, **query):
        return self("GET", "", params=query)


@pytest.fixture
def page(tmp_path, clip, monkeypatch):
    scripted.World().install(monkeypatch.setattr)
    with client_of(tmp_path / "state", ScriptedHost(), video=clip) as client:
        page = Page(client)
        page("POST", "/click", {"frame": 2, **centre(1, 1)})
        page.track()
        yield page


def test_a_click_selects_or_makes_and_never_twice(page):
    place = {"frame": 2, **OTHER}
    assert page("GET", "/at", params=place) == {"object_id": None}
    made = page("POST", "/click", place)
    assert (made["selected"], made["made"]) == (3, True)
    again = page("POST", "/click", place)
    assert (again["selected"], again["made"]) == (3, False)
    assert page("GET", "/at", params=place) == {"object_id": 3}
    assert len(page.whole()["objects"]) == 3


def test_suggestions_are_accepted_and_dismissed(page):
    whole = page.whole()
    assert whole["guesses"] == "suggest"
    assert [o["state"] for o in whole["objects"]] == ["accepted", "suggested"]
    (guess,) = whole["relations"]
    assert guess["state"] == "suggested"
    assert [o["object_id"] for o in page.whole(threshold=1)["objects"]] == [1]
    lane = [1, 2, guess["predicate"]]
    answer = page("POST", "/accept", {"lane": lane}, params={"frame": 4})
    assert {r["state"] for r in answer["view"]["relations"]} == {"accepted"}
    page("POST", "/undo")
    assert page("POST", "/accept_above", {"confidence": 0})["accepted"] == 1
    assert page("POST", "/accept_above", {"confidence": 0})["accepted"] == 0
    page("POST", "/undo")
    page("POST", "/dismiss", {"lane": 2})
    assert len(page.whole()["objects"]) == 1
    page("POST", "/undo")
    assert page("PUT", "/guesses", {"guesses": "take"})["guesses"] == "take"
    assert page.whole()["objects"][1]["state"] == "accepted"


def test_relations_and_spans(page):
    body = {"subject_id": 1, "object_id": 2, "predicate": "beside"}
    page("POST", "/relations", body | {"spans": [[3, 9]]})
    lane = [1, 2, "beside"]

    def spans(**edit):
        page("POST", "/spans", {"lane": lane, **edit})
        found = page.whole()["relations"]
        return [r["spans"] for r in found if r["predicate"] == "beside"]

    assert spans(action="split", frame=6) == [[[3, 5], [6, 9]]]
    assert spans(action="move", index=1, start=7) == [[[3, 5], [7, 9]]]
    assert spans(action="add", start=11, stop=11) == [[[3, 5], [7, 9], [11, 11]]]
    assert spans(action="join", index=0) == [[[3, 9], [11, 11]]]
    assert spans(action="delete", index=1) == [[[3, 9]]]
    assert spans(action="set", spans=[[1, 2]]) == [[[1, 2]]]
    page("POST", "/spans", {"lane": 2, "action": "set", "spans": [[4, 5]]})
    assert page.whole()["objects"][1]["lanes"] == [[4, 5]]
    page("DELETE", "/relations", params=body)
    assert "beside" not in {r["predicate"] for r in page.whole()["relations"]}
    told = page("POST", "/spans", {"lane": lane, "action": "fold"}, status=422)
    assert "action" in told["error"]
    late = {"lane": lane, "action": "set", "spans": [[1, 99]]}
    assert "beyond the video" in page("POST", "/spans", late, status=422)["error"]


def test_identity_and_brush(page):
    assert page("POST", "/objects/1/cut", {"at": 7})["object_id"] == 3
    page("POST", "/objects/3/merge", {"same_as": 1})
    assert len(page.whole()["objects"]) == 2
    page("POST", "/objects/2/promote", {})
    assert page.whole()["objects"][1]["role"] == "subject"
    stroke = {"frame": 4, "points": [[40, 40], [50, 50]], "radius": 4}
    answer = page("POST", "/brush", stroke)
    assert len(answer["view"]["objects"]) == 3
    eraser = stroke | {"erase": True, "object_id": 4, "radius": 30}
    assert "nothing of the mask" in page("POST", "/brush", eraser, status=422)["error"]
    page("POST", "/remove", {"object_ids": [1, 2]})
    assert [o["object_id"] for o in page.whole()["objects"]] == [4]


def test_names_of_the_session(page):
    names = page("GET", "/vocabulary")
    assert (len(names["categories"]), len(names["predicates"])) == (126, 57)
    assert names["own"] is False
    page("PATCH", "/objects/1", {"category": "robot", "new": "thing"})
    page("POST", "/vocabulary", {"name": "welds", "kind": "predicate"})
    names = page("GET", "/vocabulary", params={"subject_id": 1, "object_id": 2})
    assert names["categories"][0] == "robot"
    assert "welds" in names["predicates"]
    assert names["own"] is True
    text = "[thing]\nrobot\n[predicate]\nwelds\n"
    page("PUT", "/vocabulary", {"text": text})
    assert page("GET", "/vocabulary")["things"] == ["robot"]
    told = page("PUT", "/vocabulary", {"text": text + "welds"}, status=422)
    assert told["error"] == "the vocabulary: 'welds' is listed twice: list it once"
    told = page("PUT", "/vocabulary", {"text": None}, status=422)
    assert "'robot' is in use" in told["error"]


def test_names_come_ranked_by_the_prior(page):
    session = page.client.service.registry.get(page.id).session
    names = session.vocabulary
    page("PATCH", "/objects/1", {"category": names.objects[3]})
    page("PATCH", "/objects/2", {"category": names.objects[5]})
    sizes = len(names.objects), len(names.predicates)
    counts = count_relations(np.array([[3, 9, 8], [3, 9, 8], [3, 5, 7]]), *sizes)
    session.prior = Prior(names, counts)

    def first(**query):
        found = page("GET", "/vocabulary", params=query)
        return found["categories"][0], found["predicates"][0]

    assert first()[0] == names.objects[5]  # given last
    assert first(subject_id=1)[0] == names.objects[9]
    assert first(subject_id=1, object_id=2)[1] == names.predicates[7]
    page("GET", "/vocabulary", params={"subject_id": 9}, status=422)


def test_annotations_are_imported(page, tmp_path):
    page("POST", "/accept_above", {"confidence": 0})
    graph = page("GET", "/graph")
    data = json.dumps(graph).encode()
    url = f"/sessions/{page.id}/import"
    answer = page.client.post(url, content=data, params={"name": "a.json"})
    assert answer.json()["objects"] == 2
    assert len(page.whole()["objects"]) == 4
    page("POST", "/undo")
    packed = page.client.get(f"/sessions/{page.id}/export?format=open_pvsg").content
    answer = page.client.post(url, content=packed, params={"name": "a.zip"})
    assert answer.json()["objects"] == 2, answer.text
    assert len(page.whole()["objects"]) == 4
    damaged = graph | {"relations": [[1, 99, "on", [[0, 1]]], *graph["relations"][1:]]}
    for content, status, words in (
        (b"{", 422, "not JSON"),
        (json.dumps(damaged).encode(), 422, "mine.zip: the relation 1 on 99"),
        (b"", 422, "empty"),
        (zipped("a.txt"), 422, "has no pvsg.json"),
        (zipped("../pvsg.json"), 422, "holds the path"),
        (packed[: len(packed) // 2], 422, "not JSON|damaged|not UTF-8"),
    ):
        before = page.whole()["objects"]
        answer = page.client.post(url, content=content, params={"name": "mine.zip"})
        assert answer.status_code == status, answer.text
        assert "/" not in answer.json()["error"].replace("../", "")
        assert any(word in answer.json()["error"] for word in words.split("|"))
        assert page.whole()["objects"] == before


def zipped(name):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, "{}")
    return data.getvalue()


def test_a_project_is_one_download(tmp_path, clip, monkeypatch):
    scripted.World().install(monkeypatch.setattr)
    host = ScriptedHost(trained=False)
    with client_of(tmp_path / "state", host, video=clip) as client:
        pages = [Page(client), Page(client)]
        for page in pages:
            page("POST", "/click", {"frame": 2, **centre(1, 1)})
        query = {"sessions": [page.id for page in pages]}
        answer = client.get("/export", params=query)
        assert answer.status_code == 422
        assert "(frames: 1; frames: 1): name them" in answer.json()["error"]
        for page in pages:
            page("PATCH", "/objects/1", {"category": "adult"})
        answer = client.get("/export", params=query | {"val": [pages[0].id]})
        assert answer.status_code == 422
        left = "frames 3 to 11 are not tracked"
        assert answer.json()["error"].startswith(f"frames: {left}; frames: {left}: tr")
        query |= {"val": [pages[0].id], "unfinished": "take"}
        answer = client.get("/export", params=query)
        assert answer.status_code == 200
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            document = json.loads(archive.read("pvsg.json"))
            assert len([n for n in archive.namelist() if n.endswith(".mp4")]) == 2
        assert document["split"]["click2graph"] == {
            "train": ["video_2"],
            "val": ["video"],
        }
        assert client.get("/export", params={"sessions": ["no"]}).status_code == 404


@pytest.mark.parametrize("routes", [routes_annotate, routes_names])
def test_the_docstring_names_every_route(routes):
    for route in routes.router.routes:
        path = route.path.removeprefix("/sessions/{session_id}")
        path = path.replace("{object_id}", "I")
        (method,) = route.methods
        words = " ".join(routes.__doc__.split())
        assert f"{method} {path}" in words, (method, path)


def test_a_vocabulary_is_taken_up_to_the_librarys_limit(page):
    def text(count, length=0):
        names = (f"{k:x<{length}}" for k in range(count - 2))
        return "\n".join(["[stuff]", "sky", "[predicate]", "on", "[thing]", *names])

    page("PUT", "/vocabulary", {"text": text(5000, length=100)})
    assert len(page("GET", "/vocabulary")["things"]) == 4998
    told = page("PUT", "/vocabulary", {"text": text(10_000)}, status=422)["error"]
    assert told.endswith("10000 names are too many for a vocabulary: give up to 5000")
    told = page("PUT", "/vocabulary", {"text": "x" * (5 << 20)}, status=413)["error"]
    assert told == "the vocabulary is over 4 MB: give up to 5000 names"


def test_the_largest_stroke_reaches_the_session(page):
    points = [[1.2345678901234567 + k / 1e4, 2.3456789012345678] for k in range(5000)]
    stroke = {"frame": 2, "points": points, "radius": 1.2345678901234567}
    page("POST", "/brush", stroke | {"object_id": 1})
    too_many = stroke | {"points": [*points, *points]}
    assert page("POST", "/brush", too_many, status=413)["error"].endswith("at once")


def test_shapes_of_requests_are_checked(page):
    for method, path, body in (
        ("POST", "/brush", {"frame": 0, "points": [], "radius": 3}),
        ("POST", "/brush", {"frame": 0, "points": [[1]], "radius": 3}),
        ("POST", "/remove", {"object_ids": []}),
        ("POST", "/accept", {"lane": "one"}),
        ("POST", "/accept_above", {"confidence": 2}),
        ("POST", "/vocabulary", {"name": "x", "kind": "verb"}),
        ("PUT", "/guesses", {"guesses": "off"}),
        ("POST", "/objects/9/promote", {}),
    ):
        told = page(method, path, body, status=422)
        assert told["error"]
    assert np.isfinite(page.whole()["revision"])
