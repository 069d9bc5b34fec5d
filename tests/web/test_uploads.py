"""Files from clients: limits, damaged files and hostile files."""

import asyncio
import os
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image

from c2g_jax.media.images import read_image
from c2g_jax.web import uploads
from c2g_jax.web.errors import WebError
from c2g_jax.web.sessions import clean_name
from c2g_jax.web.uploads import Limits
from tests.clips import number_of, numbered, write_clip
from tests.media.test_decoding import FILMS
from tests.web.conftest import client_of, served
from tests.web.test_routes import error, opened

DIE = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def send(client, data: bytes, name: str = "clip.mp4"):
    return client.post("/sessions", params={"name": name}, content=data)


def test_an_uploaded_video_becomes_frames(client, tmp_path):
    path = write_clip(tmp_path / "v.mp4", [numbered(i) for i in range(20)], fps=10)
    answer = send(client, path.read_bytes(), "C:\\videos\\my clip.mp4")
    assert answer.status_code == 201, answer.text
    video = answer.json()["video"]
    assert video["name"] == "my clip.mp4"
    assert (video["width"], video["height"], video["num_frames"]) == (64, 48, 10)
    assert video["times"][:3] == [0.0, 0.2, 0.4]
    session = answer.json()["id"]
    picture = tmp_path / "3.jpg"
    picture.write_bytes(client.get(f"/sessions/{session}/frames/3.jpg").content)
    assert number_of(read_image(picture)) == 6
    folder = client.service.registry.get(session).folder
    assert not (folder / "upload").exists()
    film = client.get(f"/sessions/{session}/film")  # for the player, unchanged
    assert film.headers["content-type"] == "video/mp4"
    assert film.content == path.read_bytes()


def test_an_image_is_a_video_of_one_frame(client, tmp_path):
    Image.new("RGB", (50, 40), "red").save(tmp_path / "i.png")
    video = send(client, (tmp_path / "i.png").read_bytes(), "i").json()["video"]
    assert (video["num_frames"], video["fps"], video["width"]) == (1, None, 50)


@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("cov1.mp4", 2, (160, 90)),
        ("trim_copy.mp4", 6, (160, 90)),
        ("h.avi", 12, (160, 90)),
        ("m_hflip.mp4", 2, (160, 90)),
    ],
)
def test_films_as_people_have_them(client, name, frames, size):
    video = send(client, (FILMS / name).read_bytes(), name).json()["video"]
    assert (video["num_frames"], video["width"], video["height"]) == (frames, *size)


def test_an_animation_has_all_its_frames(client, tmp_path):
    pictures = [Image.fromarray(numbered(i)) for i in range(6)]
    for name in ("a.webp", "a.png"):
        path = tmp_path / name
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200)
        video = send(client, path.read_bytes(), name).json()["video"]
        assert video["times"] == pytest.approx([0.2 * i for i in range(6)])
        assert video["fps"] == 5


def test_films_that_cannot_be_shown(client):
    line = error(send(client, (FILMS / "song.m4a").read_bytes(), "song.m4a"), 415)
    assert line == "the file has no video track: use another"
    line = error(send(client, (FILMS / "rtc.webm").read_bytes(), "call.webm"), 422)
    assert line == (
        "call.webm: the frame at 0.40 s is 96x128 but the first frame is 160x90: "
        "record or export it again"
    )


def damaged(tmp_path, clip):
    """Yield names and bytes of damaged and hostile files."""
    whole = clip.read_bytes()
    rng = np.random.default_rng(0)
    torn = bytearray(whole)
    for place in rng.integers(40, len(torn), 400):
        torn[place] ^= 0xFF
    yield "noise", rng.bytes(5000)
    yield "text", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "cut", whole[: len(whole) // 3]
    yield "header alone", b"\0\0\0\x18ftypmp42" + bytes(64)
    yield "matroska", b"\x1a\x45\xdf\xa3" + rng.bytes(3000)
    yield "png", b"\x89PNG\r\n\x1a\n" + rng.bytes(300)
    yield "torn", bytes(torn)


def test_broken_files_are_refused_and_the_server_goes_on(client, tmp_path, clip):
    for name, data in damaged(tmp_path, clip):
        answer = send(client, data, name)
        if name == "torn" and answer.status_code == 201:
            continue  # the part that is left can be decoded
        line = error(answer, 415 if answer.status_code == 415 else 422)
        assert str(tmp_path) not in line, name
    assert len(client.service.registry) <= 1
    opened(client)


def test_a_decoder_that_dies_takes_nothing_along(client, clip, monkeypatch):
    real = uploads.asyncio.create_subprocess_exec

    def killed(program, *arguments, **options):
        return real(program, "-c", DIE, **options)

    monkeypatch.setattr(uploads.asyncio, "create_subprocess_exec", killed)
    assert "cannot be decoded" in error(send(client, clip.read_bytes()), 422)
    monkeypatch.undo()
    assert send(client, clip.read_bytes()).status_code == 201


def test_a_decoder_is_started_without_a_fork_of_the_server(tmp_path, clip):
    # Fork handlers run at a fork, but not when a program is spawned.
    forks = []
    os.register_at_fork(before=lambda: forks.append(1))
    with served(tmp_path / "state") as (url, _):
        request = Request(f"{url}/sessions?name=k.mp4", clip.read_bytes())
        request.add_header("Content-Type", "application/octet-stream")
        assert urlopen(request).status == 201
    assert forks == []


def test_the_server_says_why_its_own_video_cannot_be_shown(
    tmp_path, clip, monkeypatch, caplog
):
    def why(state, video):
        with client_of(tmp_path / state, video=video) as client:
            line = error(client.post("/sessions", json={}), 404)
            assert client.get("/status").json()["video_error"] == line
            assert f"the page starts without a video: {line}" in caplog.text
            return line

    # No folder here has a clip decoded before.
    video = tmp_path / "own.mp4"
    assert "own.mp4: cannot be opened (No such file" in why("gone", video)
    video.write_bytes(clip.read_bytes()[:500])
    assert "own.mp4" in why("damaged", video)
    video.write_bytes(clip.read_bytes())
    real = uploads.asyncio.create_subprocess_exec

    def killed(program, *arguments, **options):
        return real(program, "-c", DIE, **options)

    monkeypatch.setattr(uploads.asyncio, "create_subprocess_exec", killed)
    assert "own.mp4: cannot be decoded" in why("dies", video)


def test_an_upload_that_is_refused_costs_nobody_a_session(tmp_path, clip):
    with client_of(tmp_path / "state", video=clip, max_sessions=1) as client:
        session = opened(client)
        error(send(client, b"no video"), 415)
        assert client.get(session).status_code == 200

        async def take_both():
            await client.service.uploads.acquire()
            await client.service.uploads.acquire()

        client.portal.call(take_both)
        assert "two uploads" in error(send(client, clip.read_bytes()), 429)
        assert client.get(session).status_code == 200
        client.portal.call(release_both, client.service.uploads)
        assert send(client, clip.read_bytes()).status_code == 201
        error(client.get(session), 404)


async def release_both(uploads):
    uploads.release()
    uploads.release()


def test_limits_of_bytes_frames_and_pixels(tmp_path, clip):
    data = clip.read_bytes()
    cases = (
        (Limits(bytes=1000), "limit of 0 MB"),
        (Limits(frames=23), "24 frames"),
        (Limits(pixels=320 * 180 - 1), "320x180"),
        (Limits(seconds=0.01), "too long"),
    )
    for limits, said in cases:
        with client_of(tmp_path / said.split()[-1], limits=limits) as client:
            assert said in error(send(client, data), 413)
            if limits.bytes == 1000:  # chunked, without Content-Length
                chunks = (data[k : k + 500] for k in range(0, 4000, 500))
                error(client.post("/sessions", content=chunks), 413)
            root = client.service.registry.root
            assert list(root.iterdir()) == [], "nothing is left behind"


def test_codecs_that_are_not_known_are_refused(client, tmp_path):
    frames = [numbered(i) for i in range(3)]
    path = write_clip(tmp_path / "v.mkv", frames, codec="ffv1")
    assert "ffv1" in error(send(client, path.read_bytes()), 415)


def test_an_empty_upload_and_two_at_once(client, clip):
    assert "empty" in error(send(client, b""), 422)

    async def take_both():
        await client.service.uploads.acquire()
        await client.service.uploads.acquire()

    client.portal.call(take_both)
    assert "two uploads" in error(send(client, clip.read_bytes()), 429)


def test_an_upload_that_stalls_is_given_up(tmp_path):
    async def silent():
        yield b"first"
        await asyncio.sleep(60)

    limits = Limits(pause=0.05)
    with pytest.raises(WebError, match="stalled"):
        asyncio.run(uploads.receive_file(silent(), tmp_path / "f", limits))


def test_names_are_only_names():
    assert clean_name("../../etc/passwd") == "passwd"
    assert clean_name("C:\\a\\b.mp4") == "b.mp4"
    assert clean_name("a\n\x1b[31mb.mp4") == "a[31mb.mp4"
    assert clean_name("..") == clean_name("") == "video"
    assert len(clean_name("x" * 999)) == 100
    assert os.sep not in clean_name("/" * 9)
