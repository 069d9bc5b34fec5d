"""A server on an address that others reach answers only who has its token."""

import re

import pytest
from starlette.testclient import TestClient

from c2g_jax.types import InputError
from c2g_jax.web import access, app
from c2g_jax.web.__main__ import listen
from c2g_jax.web.service import Settings
from tests.web.conftest import prepare
from tests.web.fake_session import FakeModelHost
from tests.web.test_routes import error

PATHS = ("/", "/status", "/static/main.js", "/sessions/x", "/nowhere")
BASE = "http://10.0.0.5:8321"


@pytest.fixture
def remote(tmp_path, clip):
    """(a client without the token, the Access) of a server on all addresses."""
    state = prepare(tmp_path / "state", clip)
    granted = access.access_for("0.0.0.0", "0.0.0.0")
    served = app.create_app(FakeModelHost(), Settings(state=state, video=clip), granted)
    with TestClient(served, base_url=BASE, follow_redirects=False) as client:
        yield client, granted


def test_without_the_token_nothing_is_answered(remote):
    client, granted = remote
    for path in PATHS:
        assert "link with the token" in error(client.get(path), 401)
    error(client.post("/sessions", json={}), 401)
    for wrong in ("", "x", granted.token[:-1], granted.token + "a", "é", "%00"):
        error(client.get("/", params={"token": wrong}), 401)
        headers = {"Cookie": f"{granted.cookie}={wrong}".encode()}
        error(client.get("/status", headers=headers), 401)
    twice = f"/?token={granted.token}&token=x"
    error(client.get(twice), 401)
    # The token is traded at the page alone, so that it stays out of other addresses.
    error(client.get("/status", params={"token": granted.token}), 401)
    error(client.post("/", params={"token": granted.token}), 401)


def test_a_browser_without_the_token_is_told_so_in_a_page(remote):
    client, _ = remote
    page = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = client.get("/", headers=page)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "<p>Open the link with the token that the server printed" in answer.text
    answer = client.get("/", headers=page | {"Host": "<b>.example"})
    assert answer.status_code == 403
    assert "<p>This server only answers at" in answer.text


def test_the_link_gives_a_cookie_that_scripts_cannot_read(remote):
    client, granted = remote
    answer = client.get("/", params={"token": granted.token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite" in cookie
    for path in ("/", "/status", "/static/main.js"):
        assert client.get(path).status_code == 200
    assert client.post("/sessions", json={}).status_code == 201
    again = client.get("/", params={"token": "old"})
    assert again.status_code == 200, "a cookie is enough"


def test_with_the_token_foreign_names_and_sites_stay_refused(remote):
    client, granted = remote
    client.get("/", params={"token": granted.token})
    for host in ("evil.example", "10.0.0.5.evil.example"):
        error(client.get("/status", headers={"Host": host}), 403)
    for origin in ("http://evil.example", "null", "http://10.0.0.6:8321"):
        error(client.post("/sessions", json={}, headers={"Origin": origin}), 403)
    own = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/sessions", json={}, headers=own).status_code == 201


def test_the_token_is_compared_in_constant_time(remote, monkeypatch):
    client, granted = remote
    seen = []
    compare = access.secrets.compare_digest
    monkeypatch.setattr(
        access.secrets, "compare_digest", lambda a, b: seen.append(a) or compare(a, b)
    )
    client.get("/", params={"token": "guess"})
    client.get("/status", headers={"Cookie": f"{granted.cookie}=guess"})
    assert seen.count(b"guess") == 2


@pytest.mark.parametrize(
    ("host", "address", "asked"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("localhost", "::1", False),
        ("127.0.0.5", "127.0.0.5", False),
        ("0.0.0.0", "0.0.0.0", True),
        ("::", "::", True),
        ("gpu.lab", "192.168.1.7", True),
    ],
)
def test_only_loopback_addresses_need_no_token(host, address, asked):
    granted = access.access_for(host, address)
    assert (granted.token is not None) == asked
    page = access.link(granted, host, address, 80)
    assert re.fullmatch(r"http://[^/]+:80/(\?token=[\w-]{32})?", page)
    assert ("token" in page) == asked
    assert granted.knows_host(page.split("/")[2])
    assert granted.knows_host("localhost:8000"), "as through a tunnel"
    assert granted.knows_host("10.1.2.3") == (address in ("0.0.0.0", "::"))
    assert not granted.knows_host("evil.example")


def test_the_link_of_all_addresses_names_one_that_others_know(monkeypatch):
    networks = []

    class Probe:
        def __init__(self, family, kind):
            self.family = family

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def connect(self, place):
            if self.family not in networks:
                raise OSError("Network is unreachable")

        def getsockname(self):
            return {access.socket.AF_INET: "10.1.2.3"}.get(self.family, "fd00::7"), 5

    granted = access.access_for("0.0.0.0", "0.0.0.0")
    monkeypatch.setattr(access.socket, "socket", Probe)
    for known, host in (
        ([access.socket.AF_INET, access.socket.AF_INET6], "10.1.2.3"),
        ([access.socket.AF_INET6], "[fd00::7]"),
        ([], access.socket.gethostname()),
    ):
        networks[:] = known
        page = access.link(granted, "0.0.0.0", "0.0.0.0", 80)
        assert page.startswith(f"http://{host}:80/?token=")
        assert granted.knows_host(page.split("/")[2])


def test_every_start_has_a_token_of_its_own():
    tokens = {access.access_for("0.0.0.0", "0.0.0.0").token for _ in range(5)}
    assert len(tokens) == 5


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 300])
def test_an_address_that_is_not_ours_is_one_line(host):
    with pytest.raises(InputError, match="address"):
        listen(host, 0)
