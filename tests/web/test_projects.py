"""What persons worked on: listed, named, copied, saved to a file and opened from it."""

import errno
import json
import shutil
import zipfile

import numpy as np
import pytest

from c2g_jax.media.outputs import DiskFull
from c2g_jax.session import opening, saving
from c2g_jax.web import clips, model_host, projects, sessions
from c2g_jax.web.model_host import ModelHost
from tests.clips import write_clip
from tests.session.bold import bold_model
from tests.web.conftest import client_of
from tests.web.test_routes import ADULT, DOG, error, opened, tracked


def named(client) -> list[str]:
    return [p["name"] for p in client.get("/projects").json()["projects"]]


def test_the_list_has_what_was_worked_on_whatever_the_browser(tmp_path, clip):
    root = tmp_path / "mine"
    with client_of(tmp_path / "state", video=clip, projects=root) as client:
        opened(client)
        assert named(client) == []
        session = tracked(client)
        assert named(client) == ["kitchen.mp4"]
        answer = client.patch(session, json={"name": "../the long one\n"})
        assert answer.json()["name"] == "the long one"
    with client_of(tmp_path / "state2", video=clip, projects=root) as client:
        found = client.get("/projects").json()
        assert found["folder"] == str(root)
        (project,) = found["projects"]
        assert (project["name"], project["frames"]) == ("the long one", 24)
        assert client.get(f"/sessions/{project['id']}").json()["tracked"]
        assert client.delete(f"/sessions/{project['id']}").status_code == 204
        assert named(client) == []
    for wrong in ({"name": ""}, {"name": "x" * 101}, {}, {"name": 1}):
        with client_of(tmp_path / "state3", video=clip) as client:
            error(client.patch(opened(client), json=wrong), 422)


def test_the_newest_project_on_the_film_is_gone_on_with(tmp_path, clip):
    root = tmp_path / "mine"

    def newest(client) -> str:
        answer = client.post("/sessions", json={}, params={"newest": True})
        assert answer.status_code == 201
        return answer.json()["id"]

    with client_of(tmp_path / "state", video=clip, projects=root) as client:
        first = newest(client)
        assert newest(client) == first, "an untouched one is no reason for another"
        assert len(list(root.iterdir())) == 1
        older = tracked(client).rpartition("/")[2]
        worked = tracked(client).rpartition("/")[2]
        assert newest(client) == worked
        client.get(f"/sessions/{older}")
        assert newest(client) == older
        # Of the same name, but another film.
        other = tmp_path / "other" / "kitchen.mp4"
        other.parent.mkdir()
        write_clip(other, [np.zeros((180, 320, 3), np.uint8)] * 24, fps=5)
        sent = client.post(
            "/sessions", params={"name": "kitchen.mp4"}, content=other.read_bytes()
        )
        stranger = f"/sessions/{sent.json()['id']}"
        assert client.post(f"{stranger}/prompts", json=ADULT).status_code == 200
        assert newest(client) == older
    with client_of(tmp_path / "state2", video=clip, projects=root) as client:
        assert newest(client) == older
    with client_of(tmp_path / "state3", video=clip, projects=root, fps=2) as client:
        again = newest(client)
        assert again not in (first, older, worked)
        assert client.get("/status").json()["fps"] == 2
        assert client.get(f"/sessions/{again}").json()["video"]["fps"] == 2


def test_folders_are_named_after_the_video(client):
    for _ in range(3):
        tracked(client)
    folders = sorted(f.name for f in client.service.registry.root.iterdir())
    assert folders == ["kitchen", "kitchen 2", "kitchen 3"]


def test_a_copy_goes_its_own_way(client):
    session = tracked(client)
    answer = client.post(f"{session}/duplicate")
    assert answer.status_code == 201
    copy = f"/sessions/{answer.json()['id']}"
    assert sorted(named(client)) == ["kitchen.mp4", "kitchen.mp4 copy"]
    assert client.get(copy).json()["tracked"] == list(range(24))
    client.delete(f"{copy}/objects/1")
    assert len(client.get(copy).json()["objects"]) == 2
    assert len(client.get(session).json()["objects"]) == 3
    client.delete(session)
    assert client.get(f"{copy}/frames/3.jpg").status_code == 200


def test_sessions_of_an_older_version_become_projects(tmp_path, clip):
    with client_of(tmp_path / "state", video=clip) as client:
        session = tracked(client)
        folder = client.service.registry.get(session.rpartition("/")[2]).folder
    # As version 0.1.0 had them: in the cache, named by their id.
    (folder / sessions.PROJECT).unlink()
    (folder / sessions.FILM).unlink()
    old = tmp_path / "state" / "sessions" / session.rpartition("/")[2]
    old.parent.mkdir()
    folder.rename(old)
    with client_of(tmp_path / "state", video=clip) as client:
        assert client.get(session).json()["tracked"] == list(range(24))
        assert named(client) == ["kitchen.mp4"]
        assert not old.exists()


def test_foreign_folders_among_the_projects_are_left_alone(tmp_path, clip):
    root = tmp_path / "mine"
    (root / "holiday pictures").mkdir(parents=True)
    (root / "notes.txt").write_text("mine")
    with client_of(tmp_path / "state", video=clip, projects=root) as client:
        assert named(client) == []
    assert (root / "holiday pictures").exists()
    assert (root / "notes.txt").exists()


def test_two_tabs_on_one_project_lose_nothing(client):
    session = opened(client)
    known = client.post(f"{session}/prompts", json=ADULT).json()["revision"]
    one = client.post(f"{session}/prompts", json=DOG, params={"revision": known})
    assert one.status_code == 200
    other = {"category": "child"}
    line = error(
        client.patch(f"{session}/objects/1", json=other, params={"revision": known}),
        409,
    )
    assert "another tab" in line
    now = client.get(session).json()
    assert [o["fixed"] for o in now["objects"]] == [False, False]
    fresh = {"revision": now["revision"]}
    answer = client.patch(f"{session}/objects/1", json=other, params=fresh)
    assert answer.status_code == 200


def test_a_disk_that_fills_while_copying_leaves_nothing(client, monkeypatch):
    session = tracked(client)
    before = sorted(client.service.registry.root.iterdir())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(clips.os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    client._transport.raise_server_exceptions = False
    assert "no space" in error(client.post(f"{session}/duplicate"), 507)
    assert sorted(client.service.registry.root.iterdir()) == before
    monkeypatch.undo()
    assert client.get(session).json()["tracked"] == list(range(24))


def test_frames_per_second_are_chosen_on_opening(client, clip):
    for fps, count in ((5, 24), (2, 10), (2.5, 12)):
        answer = client.post("/sessions", json={}, params={"fps": fps})
        assert answer.json()["video"]["num_frames"] == count
        sent = client.post(
            "/sessions",
            params={"fps": fps, "name": "k.mp4"},
            content=clip.read_bytes(),
        )
        assert sent.json()["video"]["num_frames"] == count
        assert sent.json()["video"]["fps"] == fps
    for wrong in (0, -1, "nan", "inf", 1001, "five"):
        error(client.post("/sessions", json={}, params={"fps": wrong}), 422)


def test_the_film_is_served_in_ranges_and_only_to_play(client, clip, tmp_path):
    session = opened(client)
    film = f"{session}/film"
    part = client.get(film, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert client.get(session).json()["video"]["film"]
    picture = tmp_path / "i.png"
    from PIL import Image

    Image.new("RGB", (50, 40), "red").save(picture)
    answer = client.post("/sessions", content=picture.read_bytes()).json()
    assert not answer["video"]["film"]
    assert "its frames" in error(client.get(f"/sessions/{answer['id']}/film"), 404)


def test_a_frame_that_is_looked_at_is_read_before_a_click(client):
    session = opened(client)
    answer = client.post(f"{session}/frames/3/encode")
    assert answer.json()["seconds"] >= 0
    assert client.model_host.opened[0].prepared == [3]
    error(client.post(f"{session}/frames/24/encode"), 404)
    assert not client.get(session).json()["can_undo"], "looking is no change"
    assert client.get("/projects").json()["projects"] == []


# With real sessions.


@pytest.fixture
def real(tmp_path, monkeypatch):
    """A ModelHost with a random model that is not compiled for."""
    model = bold_model()
    asked = []

    def load(folder, heads=None, *, named=None, **options):
        asked.append(options)
        return model, None

    monkeypatch.setattr(model_host, "load_model", load)
    monkeypatch.setattr(model_host, "find_checkpoint", lambda *_: tmp_path)
    monkeypatch.setattr(model_host, "describe_weights", lambda *_: "random")
    monkeypatch.setattr(model_host, "read_manifest", lambda _: {"sha256": "0" * 64})
    host = ModelHost(None)
    host.warm_up = host.warm_tracking = lambda report: None
    host.asked = asked
    return host


def test_a_session_file_is_saved_and_opened_from_the_page(real, tmp_path, clip):
    with client_of(tmp_path / "state", real, video=clip) as client:
        session = opened(client)
        assert client.post(f"{session}/prompts", json=ADULT).status_code == 200
        client.patch(f"{session}/objects/1", json={"category": "dog"})
        answer = client.get(f"{session}/file")
        assert 'filename="kitchen.c2g"' in answer.headers["content-disposition"]
        saved = answer.content
        path = tmp_path / "k.c2g"
        path.write_bytes(saved)
        with zipfile.ZipFile(path) as archive:
            options = json.loads(archive.read("session.json"))["source"]["options"]
        assert options == dict(fps=5, image_size=64, dtype="float32", discover_every=1)
        send = lambda data: client.post(  # noqa: E731
            "/sessions", params={"name": "mine.c2g"}, content=data
        )
        answer = send(saved)
        assert answer.status_code == 201, answer.text
        again = client.get(f"/sessions/{answer.json()['id']}").json()
        assert (again["name"], again["can_undo"]) == ("mine", True)
        assert again["objects"][0]["category"] == "dog"
        assert sorted(named(client)) == ["kitchen.mp4", "mine"]

        before = len(client.service.registry)
        for data in (saved[:-40], saved[:400], b"PK\x03\x04" + bytes(99)):
            line = error(send(data), 422)
            assert line.startswith("mine.c2g: not a whole session file")
        later = saved.replace(b'"version":1', b'"version":9')
        assert later == saved or send(later).status_code == 422
        assert len(client.service.registry) == before

    other = tmp_path / "other.mp4"
    write_clip(other, [np.zeros((180, 320, 3), np.uint8)] * 24, fps=5)
    with client_of(tmp_path / "elsewhere", real, video=other) as client:
        opened(client)
        answer = client.post("/sessions", params={"name": "m.c2g"}, content=saved)
        assert "open that video first" in error(answer, 422)
        assert "kitchen.mp4, 320x180 with 24 frames" in answer.json()["error"]
        assert str(tmp_path) not in answer.text


def test_a_disk_that_fills_while_saving_loses_nothing(
    real, tmp_path, clip, monkeypatch
):
    with client_of(tmp_path / "state", real, video=clip) as client:
        session = opened(client)
        client.post(f"{session}/prompts", json=ADULT)
        entry = client.service.registry.get(session.rpartition("/")[2])
        before = entry.session_file.read_bytes()

        def full(saved, logits_of):
            raise DiskFull(saved.path, errno.ENOSPC)

        with monkeypatch.context() as patch:
            patch.setattr(saving, "write_session", full)
            answer = client.patch(f"{session}/objects/1", json={"category": "dog"})
        line = error(answer, 507)
        assert "what was done stands, but could not be saved" in line
        assert "make room" in line
        assert entry.session_file.read_bytes() == before
        assert client.get(session).json()["objects"][0]["category"] == "dog"
        assert entry.busy, "it stays in memory"
    # Room was made by the time that the server stopped.
    with client_of(tmp_path / "state", real, video=clip) as client:
        assert client.get(session).json()["objects"][0]["category"] == "dog"


def test_a_session_goes_on_with_the_dtype_it_was_made_with(real, tmp_path, clip):
    place = tmp_path / "b.c2g"
    with client_of(tmp_path / "state", real, video=clip) as client:
        folder = client.service.registry.get(opened(client).rpartition("/")[2]).clip
        session = opening.open_video(folder.folder, model=real._model)
        session.source.options.update(dtype="bfloat16")
        session.click(0, 60, 80)
        session.save(place)
        session.close()
        answer = client.post(
            "/sessions", params={"name": "b.c2g"}, content=place.read_bytes()
        )
        assert answer.status_code == 201, answer.text
    assert real.asked[-1]["dtype"] == "bfloat16"


def test_a_kept_film_stays_when_the_users_own_is_overwritten(tmp_path):
    own, kept = tmp_path / "own.mp4", tmp_path / "kept.mp4"
    film = b"\0\0\0\x18ftypisom" + bytes(99)
    own.write_bytes(film)
    projects.keep_film(own, kept)
    with open(own, "r+b") as file:  # in place, as many programs write
        file.write(b"\0\0\0\x18ftypother")
    assert kept.read_bytes() == film
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept.mp4", "own.mp4"]
