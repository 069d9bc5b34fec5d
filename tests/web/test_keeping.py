"""State kept, reported and cleaned up when a file, the disk or a job fails."""

import asyncio
import contextlib
import errno
import logging
import shutil
import threading
import time

import pytest
from starlette.testclient import TestClient

from c2g_jax.media.outputs import DiskFull
from c2g_jax.web import clips, sessions
from c2g_jax.web.worker import Worker
from tests.web.conftest import client_of
from tests.web.fake_session import FakeModelHost
from tests.web.test_routes import ADULT, error, opened, tracked


@pytest.mark.parametrize("torn", ["", "17", None])
def test_a_torn_note_of_its_use_costs_no_session(tmp_path, clip, torn):
    """A kill during a write leaves an empty file, a part, or no file."""
    with client_of(tmp_path / "state", video=clip) as client:
        session = tracked(client)
        entry = client.service.registry.get(session.rpartition("/")[2])
    recorded = entry.folder / sessions.USED
    recorded.unlink()
    if torn is not None:
        recorded.write_text(torn and "[")
    with client_of(tmp_path / "state", video=clip) as client:
        assert client.get(session).json()["tracked"] == list(range(24))
        found = client.service.registry.get(session.rpartition("/")[2])
        assert abs(found.used - time.time()) < 600


def test_use_is_noted_by_and_by_and_not_by_each_request(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("c2g_jax.web.service.SWEEP", 0.02)
    with client_of(tmp_path / "state", video=clip) as client:
        session = opened(client)
        entry = client.service.registry.get(session.rpartition("/")[2])
        recorded = entry.folder / sessions.USED
        before = recorded.read_text()
        assert client.post(f"{session}/prompts", json=ADULT).status_code == 200
        time.sleep(0.1)
        assert recorded.read_text() == before
        entry.used += sessions.RECORD_EVERY + 1
        for _ in range(200):
            if recorded.read_text() != before:
                break
            time.sleep(0.02)
        assert float(recorded.read_text()) == entry.used


def test_only_what_was_never_finished_is_removed_at_the_start(tmp_path, clip):
    with client_of(tmp_path / "state", video=clip) as client:
        worked = client.service.registry.get(tracked(client).rpartition("/")[2])
        fresh = client.service.registry.get(opened(client).rpartition("/")[2])
    for entry in (worked, fresh):
        (entry.folder / sessions.CLIP / clips.FILE).unlink()
    with client_of(tmp_path / "state", video=clip) as client:
        assert len(client.service.registry) == 0
        assert worked.session_file.exists()
        assert not fresh.folder.exists()


def test_a_full_disk_stops_neither_a_change_nor_the_stopping(
    tmp_path, clip, monkeypatch, caplog
):
    with client_of(tmp_path / "state", FakeModelHost(step=0.05), video=clip) as client:
        session = opened(client)

        def full(path, write):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(sessions, "write_text", full)
        assert client.post(f"{session}/prompts", json=ADULT).status_code == 200
    assert "could not be saved" in caplog.text
    assert "Traceback" not in caplog.text
    monkeypatch.undo()
    with client_of(tmp_path / "state", video=clip) as client:
        assert len(client.get(session).json()["objects"]) == 1


def test_a_session_that_finds_no_room_on_the_disk_leaves_nothing(
    tmp_path, clip, monkeypatch
):
    with client_of(tmp_path / "state", video=clip, max_sessions=1) as client:
        untouched, root = opened(client), client.service.registry.root
        quiet = TestClient(client.app, client.base_url, raise_server_exceptions=False)

        def full(source, target):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(clips.os, "link", full)
        monkeypatch.setattr(shutil, "copyfile", full)
        assert "no space" in error(quiet.post("/sessions", json={}), 507)
        assert client.get(untouched).status_code == 200, "nobody made room for it"
        kept = client.service.registry.get(untouched.rpartition("/")[2])
        assert list(root.iterdir()) == [kept.folder]


def test_what_was_posted_is_done_before_the_worker_ends(caplog):
    worker, gate, done = Worker(), threading.Event(), []

    def fail():
        raise ValueError("nobody waits for this")

    async def run():
        worker.post(gate.wait)
        worker.post(fail)
        last = worker.post(lambda: done.append(1))
        worker.close()
        gate.set()
        await asyncio.wrap_future(last)

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert done == [1]
    assert "nobody waits for this" in caplog.text


def test_a_posted_job_that_finds_no_room_is_one_sentence(tmp_path, caplog):
    place = tmp_path / "session.c2g"

    def save():
        raise DiskFull(place, errno.ENOSPC)

    async def run():
        worker = Worker()
        with contextlib.suppress(DiskFull):
            await asyncio.wrap_future(worker.post(save))
        worker.close()

    asyncio.run(run())
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{place}: No space left on device")
    assert record.exc_info is None
