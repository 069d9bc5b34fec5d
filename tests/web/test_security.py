"""Requests from pages of other sites, and requests that no page sends."""

import pytest

from c2g_jax.web import security
from tests.web.conftest import BASE
from tests.web.test_routes import ADULT, error, opened


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:8321", "localhost.evil:1", "[::2]", ""],
)
def test_foreign_hosts_are_refused(client, host):
    for path in ("/", "/status", "/static/main.js"):
        error(client.get(path, headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1:99", "localhost", "[::1]:8321"])
def test_names_of_this_machine_are_answered(client, host):
    assert client.get("/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"]
)
def test_foreign_origins_are_refused(client, origin):
    headers = {"Origin": origin}
    assert "another site" in error(
        client.post("/sessions", json={}, headers=headers), 403
    )
    error(client.get("/status", headers=headers), 403)
    assert len(client.service.registry) == 0


def test_our_own_page_is_answered(client):
    headers = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/sessions", json={}, headers=headers).status_code == 201


def test_what_another_site_embeds_is_refused_and_a_link_to_us_is_not(client):
    for site in ("cross-site", "same-site"):
        embedded = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        error(client.get("/static/main.js", headers=embedded), 403)
        followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
        assert client.get("/", headers=followed).status_code == 200


def test_every_answer_says_what_the_page_may_do(client):
    for path in ("/", "/status", "/static/style.css", "/nowhere"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_bodies_are_bounded(client):
    session = opened(client)
    long = "x" * (security.MAX_BODY + 1)
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"{session}/prompts", content=long, headers=headers)
    assert f"{security.MAX_BODY} bytes: send less" in error(answer, 413)
    chunks = (
        long[:10_000].encode() for _ in range(100)
    )  # chunked, without Content-Length
    error(client.post(f"{session}/prompts", content=chunks, headers=headers), 413)
    assert client.post(f"{session}/prompts", json=ADULT).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../__main__.py",
        "/static/%2e%2e/__main__.py",
        "/static/..%2f..%2fvocabulary.json",
        "/sessions/..%2f..",
        "/sessions/%2e%2e/frames/0.jpg",
    ],
)
def test_no_path_leads_out_of_the_page(client, path):
    assert client.get(path).status_code == 404


def test_ids_cannot_be_guessed_and_are_not_paths(client):
    ids = {opened(client).rpartition("/")[2] for _ in range(5)}
    assert len(ids) == 5
    assert all(len(session_id) == 24 for session_id in ids)
    folder = client.service.registry.root
    (folder / "planted").mkdir()
    error(client.get("/sessions/planted"), 404)
    assert folder.stat().st_mode & 0o077 == 0
