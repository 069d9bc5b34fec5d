"""Concurrent, slow and disconnected clients; limits, expiry and shutdown."""

import http.client
import json
import signal
import socket
import threading
import time
import urllib.parse

import pytest

from c2g_jax.web.app import create_app, make_server
from c2g_jax.web.service import Settings
from tests.web.conftest import client_of, prepare, served, until
from tests.web.fake_session import FakeModelHost
from tests.web.test_routes import ADULT, error, lines, opened, tracked


class Wire:
    """A client on a real socket, which can disconnect at any time."""

    def __init__(self, url: str):
        self.connection = http.client.HTTPConnection(
            urllib.parse.urlsplit(url).netloc, timeout=20
        )

    def send(self, method: str, path: str, body=None):
        headers = {} if body is None else {"Content-Type": "application/json"}
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, headers)
        return self.connection.getresponse()

    def json(self, *request):
        answer = self.send(*request)
        data = answer.read()
        assert answer.status < 300, data
        return json.loads(data)

    def open(self) -> str:
        session = f"/sessions/{self.json('POST', '/sessions', {})['id']}"
        self.json("POST", f"{session}/prompts", ADULT)
        return session


@pytest.fixture
def server(tmp_path, clip):
    with served(tmp_path / "state", FakeModelHost(step=0.05), video=clip) as found:
        yield found


def test_a_video_is_told_while_the_worker_has_no_time(tmp_path, clip):
    hold = threading.Event()
    with client_of(tmp_path / "state", FakeModelHost(hold=hold), video=clip) as client:
        session = opened(client)
        entry = client.service.registry.get(session.rpartition("/")[2])
        entry.session_file.write_text("{}")  # only the worker can answer for it
        answer = client.get(f"{session}/video")
        hold.set()
    assert answer.json()["id"] == entry.id
    assert answer.json()["video"]["name"] == "kitchen.mp4"


def test_while_one_is_tracked_another_is_answered(server):
    url, _ = server
    one, two = Wire(url), Wire(url)
    session, other = one.open(), two.open()
    stream = one.send("POST", f"{session}/track", {})
    assert json.loads(stream.readline())["frame"] == 0
    two.json("POST", f"{other}/prompts", ADULT | {"object_id": 1})
    refused = two.send("POST", f"{session}/prompts", ADULT)
    assert refused.status == 409
    assert "cancel" in json.loads(refused.read())["error"]
    assert two.json("GET", f"{session}/frames/0")["tracked"]
    assert two.json("GET", session)["tracking"]
    stream.read()
    assert not two.json("GET", session)["tracking"]


def test_cancel_ends_after_the_step_that_runs(server):
    url, _ = server
    one, two = Wire(url), Wire(url)
    session = one.open()
    stream = one.send("POST", f"{session}/track", {})
    stream.readline()
    assert two.json("POST", f"{session}/cancel", {})["tracking"]
    rest = [json.loads(line) for line in stream.read().splitlines()]
    assert rest[-1] == {"end": "cancelled"}
    state = two.json("GET", session)
    assert 1 <= len(state["tracked"]) < 24
    assert state["can_undo"]


def test_everything_is_found_in_steps_that_can_be_cancelled(server):
    url, _ = server
    one, two = Wire(url), Wire(url)
    session = one.open()
    before = two.json("GET", session)
    stream = one.send("POST", f"{session}/find")
    assert json.loads(stream.readline()) == {"done": 1, "total": 24}
    for path, body in (("prompts", ADULT), ("track", {}), ("find", None)):
        refused = two.send("POST", f"{session}/{path}", body)
        assert refused.status == 409
        told = json.loads(refused.read())["error"]
        assert told.startswith("everything is being found")
    assert two.json("GET", session)["tracking"]
    two.json("POST", f"{session}/cancel", {})
    rest = [json.loads(line) for line in stream.read().splitlines()]
    assert rest[-1] == {"end": "cancelled"}
    after = two.json("GET", session)
    assert after["objects"] == before["objects"]
    assert not after["tracking"]

    stream = one.send("POST", f"{session}/find")
    rest = [json.loads(line) for line in stream.read().splitlines()]
    assert rest[-2:] == [{"done": 24, "total": 24}, {"end": "done"}]
    found = two.json("GET", session)["objects"]
    assert len(found) == len(before["objects"]) + 4
    assert {o["role"] for o in found} == {"subject"}
    assert two.json("POST", f"{session}/undo", {})["what"] == "everything found"
    assert two.json("GET", session)["objects"] == before["objects"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancel_before_the_first_step_is_heard(client, begun):
    session = opened(client)
    client.post(f"{session}/prompts", json=ADULT)
    entry = client.service.registry.get(session.rpartition("/")[2])

    async def run():
        tracking = client.service.track(
            entry, start=None, stop=None, direction="forward"
        )
        if not begun:
            tracking.cancel()
        await tracking.start()
        if begun:
            tracking.cancel()
        return [json.loads(line) async for line in tracking.lines()]

    assert client.portal.call(run) == [{"end": "cancelled"}]
    state = client.get(session).json()
    assert (state["tracked"], state["tracking"]) == ([], False)
    assert lines(client.post(f"{session}/track", json={}))[-1] == {"end": "done"}


def test_a_vanished_client_ends_its_tracking_and_keeps_what_is_done(server):
    url, service = server
    one, two = Wire(url), Wire(url)
    session = one.open()
    stream = one.send("POST", f"{session}/track", {})
    stream.readline()
    stream.close()
    one.connection.close()
    entry = service.registry.get(session.rpartition("/")[2])
    until(lambda: entry.tracking is None)
    state = two.json("GET", session)
    assert 1 <= len(state["tracked"]) < 24
    two.json("POST", f"{session}/prompts", ADULT | {"object_id": 1})


def test_a_client_that_does_not_read_is_given_up(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("c2g_jax.web.service.SWEEP", 0.05)
    with served(tmp_path / "state", video=clip, stall=0.1) as (url, service):
        session = Wire(url).open()
        entry = service.registry.get(session.rpartition("/")[2])

        def begin():  # like a client that sends a request and reads nothing
            return service.track(entry, start=None, stop=None, direction="forward")

        tracking = begin()
        until(lambda: entry.tracking is None)
        assert tracking.end() is None, "it is over already"


def test_a_step_may_take_longer_than_a_client_may_pause(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("c2g_jax.web.service.SWEEP", 0.05)
    host = FakeModelHost(step=0.5)
    with served(tmp_path / "state", host, video=clip, stall=0.2) as (url, _):
        wire = Wire(url)
        session = wire.open()
        stream = wire.send("POST", f"{session}/track", {"stop": 2})
        lines = [json.loads(line) for line in stream.read().splitlines()]
        assert lines[-1] == {"end": "done"}
        assert [line.get("frame") for line in lines] == [0, 1, 2, None]


def test_many_clients_at_once_lose_nothing(server):
    url, _ = server
    failures = []

    def run(seed):
        try:
            wire = Wire(url)
            session = wire.open()
            for k in range(8):
                body = ADULT | {"x": 40 + seed + k, "object_id": 1}
                view = wire.json("POST", f"{session}/prompts", body)["view"]
                said = view["objects"][0]["prompts"]
                assert [p["x"] for p in said][-1] == 40 + seed + k
                assert len(said) == k + 2
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_untouched_sessions_make_room_and_others_do_not(tmp_path, clip):
    with client_of(tmp_path / "state", video=clip, max_sessions=3) as client:
        first, second = opened(client), tracked(client)
        client.get(second)
        for _ in range(3):
            opened(client)
        assert len(client.service.registry) == 4
        error(client.get(first), 404)
        assert client.get(second).json()["tracked"]
        for _ in range(4):  # what a person worked on is never in the way
            tracked(client)
        fresh = [opened(client) for _ in range(3)]
        entries = [client.service.registry.get(s.rpartition("/")[2]) for s in fresh]
        for entry in entries:
            entry.waiting = 1  # as while a click waits
        assert "3 sessions" in error(client.post("/sessions", json={}), 429)
        entries[0].waiting = 0
        opened(client)
        error(client.get(fresh[0]), 404)


def test_a_closed_session_is_gone_with_its_files(client):
    session = tracked(client)
    entry = client.service.registry.get(session.rpartition("/")[2])
    assert client.delete(session).status_code == 204
    error(client.get(session), 404)
    error(client.get(f"{session}/frames/0.jpg"), 404)
    until(lambda: not entry.folder.exists())
    assert client.model_host.opened[0].closed


def test_only_what_nobody_worked_on_goes_by_age(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("c2g_jax.web.service.SWEEP", 0.05)
    with client_of(tmp_path / "state", video=clip, hours=1.0) as client:
        fresh, worked = opened(client), tracked(client)
        entries = [
            client.service.registry.get(s.rpartition("/")[2]) for s in (fresh, worked)
        ]
        time.sleep(0.2)
        assert client.get(fresh).status_code == 200
        for entry in entries:
            entry.used -= 5 * 365 * 24 * 3600
        until(lambda: not entries[0].folder.exists())
        error(client.get(fresh), 404)
        assert client.get(worked).json()["tracked"]
    with client_of(tmp_path / "state", video=clip, hours=1.0) as client:
        assert client.get(worked).json()["tracked"]


def test_only_so_many_sessions_are_in_memory(client, monkeypatch):
    monkeypatch.setattr("c2g_jax.web.service.MAX_OPEN", 2)
    sessions = [tracked(client) for _ in range(4)]
    alive = [s for s in client.model_host.opened if not s.closed]
    assert len(alive) == 2
    for session in sessions:  # closed ones are restored from their files
        assert client.get(session).json()["tracked"] == list(range(24))


def test_requests_of_one_session_are_bounded(tmp_path, clip):
    model_host = FakeModelHost(hold=threading.Event())
    with client_of(tmp_path / "state", model_host, video=clip) as client:
        session, answers = opened(client), []

        def ask():
            answers.append(client.post(f"{session}/prompts", json=ADULT).status_code)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        until(lambda: len(answers) == 4)
        assert client.get("/status").json()["stage"] == "compiling the first click"
        assert client.get(f"{session}/frames/0.jpg").status_code == 200
        model_host.hold.set()
        for thread in threads:
            thread.join()
        assert sorted(answers) == 8 * [200] + 4 * [429]


def test_stopping_ends_what_is_tracked(tmp_path, clip):
    with client_of(tmp_path / "state", FakeModelHost(step=0.05), video=clip) as client:
        session = opened(client)
        client.post(f"{session}/prompts", json=ADULT)
        entry = client.service.registry.get(session.rpartition("/")[2])

        async def begin():
            tracking = client.service.track(
                entry, start=None, stop=None, direction="forward"
            )
            await tracking.start()

        client.portal.call(begin)
    with client_of(tmp_path / "state", video=clip) as client:
        assert client.get(session).status_code == 200
        assert lines(client.post(f"{session}/track", json={}))[-1] == {"end": "done"}


def test_a_click_that_waits_is_answered_when_the_server_is_stopped(tmp_path, clip):
    hold, answers = threading.Event(), []
    host = FakeModelHost(hold=hold)
    app = create_app(
        host, Settings(state=prepare(tmp_path / "state", clip), video=clip)
    )
    server = make_server(app)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        run = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        run.start()
        until(lambda: server.started)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        wire = Wire(url)
        session = wire.json("POST", "/sessions", {})["id"]

        def click():
            answer = wire.send("POST", f"/sessions/{session}/prompts", ADULT)
            answers.append((answer.status, json.loads(answer.read())["error"]))

        waiting = threading.Thread(target=click)
        waiting.start()
        entry = app.state.service.registry.get(session)
        until(lambda: entry.waiting)
        server.handle_exit(signal.SIGINT, None)  # Ctrl-C, while the model is busy
        waiting.join(10)
        assert answers == [(503, "the server is stopping: start it again")]
        run.join(10)
        assert not run.is_alive(), "it waits for no compilation"
        assert app.state.service.worker.idle_seconds() == 0
        assert not app.state.service.worker.posted
        hold.set()


def test_the_end_waits_for_no_export_and_says_nothing(
    tmp_path, clip, monkeypatch, capfd
):
    hold, begun = threading.Event(), threading.Event()
    app = create_app(
        FakeModelHost(), Settings(state=prepare(tmp_path / "state", clip), video=clip)
    )
    server = make_server(app)

    def draw(*_):
        begun.set()
        hold.wait(30)

    monkeypatch.setattr("c2g_jax.web.routes_export._write", draw)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        run = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        run.start()
        try:
            until(lambda: server.started)
            wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")
            session = wire.open()
            wire.connection.request("GET", f"{session}/export?format=overlay")
            assert begun.wait(10)
            server.handle_exit(signal.SIGINT, None)
            run.join(10)
            assert not run.is_alive()
            assert capfd.readouterr().err == ""
        finally:
            hold.set()
            wire.connection.close()


def test_what_is_compiled_beside_waits_until_nobody_uses_the_model(
    tmp_path, clip, monkeypatch
):
    monkeypatch.setattr("c2g_jax.web.readiness.QUIET", 0.3)
    monkeypatch.setattr("c2g_jax.web.readiness.ASK", 0.01)
    host, begun = FakeModelHost(), threading.Event()
    host.warm_tracking = lambda report: begun.set()  # of the server's own thread
    with client_of(tmp_path / "state", host, video=clip) as client:
        worker, readiness = client.service.worker, client.service.readiness
        assert begun.wait(30)
        hold, order = threading.Event(), []
        client.model_host.warm_tracking = lambda report: (
            report("tracking"),
            order.append((worker.idle_seconds() >= 0.3, readiness.preparing)),
        )
        worker.post(lambda: hold.wait(30))
        compiling = threading.Thread(target=readiness._warm_tracking)
        compiling.start()
        time.sleep(0.5)
        assert order == [], "a click is served"
        hold.set()
        compiling.join(10)
        assert order == [(True, "tracking")]
        assert readiness.preparing is None
    worker.close()
    assert readiness._warm_tracking() is None, "a closed server compiles nothing"
