"""A synthetic clip, servers with fake sessions, and a browser."""

import contextlib
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from c2g_jax.web.app import create_app, make_server
from c2g_jax.web.service import Settings
from tests.clips import write_clip
from tests.conftest import made_once
from tests.web import fake_session
from tests.web.browser import Person, delete_projects, launch
from tests.web.drawn_clip import FRAMES, draw

BASE = "http://127.0.0.1:8321"


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """The synthetic clip as an mp4 of 24 frames, 5 per second."""

    def make(folder):
        folder.mkdir()
        frames = [draw(t) for t in range(FRAMES)]
        video = write_clip(folder / "kitchen.mp4", frames, fps=5)
        with client_of(folder / "state", video=video) as client:
            assert client.post("/sessions", json={}).status_code == 201
        (folder / "state" / "default").rename(folder / "default")

    return made_once(tmp_path_factory, "web_clip", make) / "kitchen.mp4"


def prepare(state: Path, video: Path | None) -> Path:
    """Make a state folder; its clip is decoded once for all tests."""
    state.mkdir()
    held = None if video is None else video.parent / "default"
    if held is not None and held.exists():
        shutil.copytree(held, state / "default")
    return state


@contextlib.contextmanager
def client_of(state, model_host=None, **settings):
    """Yield a client of an application in this process."""
    model_host = model_host or fake_session.FakeModelHost()
    if not state.exists():
        prepare(state, settings.get("video"))
    app = create_app(model_host, Settings(state=state, **settings))
    with TestClient(app, base_url=BASE) as client:
        client.model_host, client.service = model_host, app.state.service
        yield client


@pytest.fixture
def client(tmp_path, clip):
    with client_of(tmp_path / "state", video=clip) as client:
        yield client


@contextlib.contextmanager
def served(state, model_host=None, **settings):
    """Run a server on a free port of the loopback address; yields (URL, service)."""
    if not state.exists():
        prepare(state, settings.get("video"))
    app = create_app(
        model_host or fake_session.FakeModelHost(), Settings(state=state, **settings)
    )
    server = make_server(app, seconds=1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        run = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        run.start()
        try:
            until(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.service
        finally:
            server.should_exit = True
            run.join(20)


def until(holds, seconds: float = 15.0):
    """Wait until holds() is true; returns its value."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.01)
    return value


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)  # other tests may use the cores
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory, clip):
    state = tmp_path_factory.mktemp("browser") / "state"
    with served(state, fake_session.FakeModelHost(step=0.02), video=clip) as (url, _):
        yield url


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def person(context, url):
    from playwright.sync_api import expect

    delete_projects(url)
    person = Person(context, url)
    expect(person.get("clip-name")).to_have_text("kitchen.mp4")
    yield person
    assert person.faults == []
