"""Output paths of a session: never its own video; errors name the path."""

import numpy as np
import pytest
from PIL import Image

import c2g_jax
from c2g_jax.types import InputError
from tests.clips import numbered, write_clip
from tests.session import scripted
from tests.session.conftest import run

KINDS = ("scene_graph", "coco", "graphml", "csv", "overlay", "open_pvsg")


@pytest.fixture
def clip(tmp_path):
    write_clip(tmp_path / "own.mp4", [numbered(t, 64, 64) for t in range(3)])
    return tmp_path / "own.mp4"


@pytest.fixture
def frames(tmp_path):
    (tmp_path / "frames").mkdir()
    for t in range(3):
        Image.fromarray(numbered(t, 64, 64)).save(tmp_path / "frames" / f"{t}.png")
    return tmp_path / "frames"


def writers(session):
    yield session.save
    yield session.save_graph
    for kind in KINDS:
        yield lambda path, kind=kind: session.export(kind, path)
    yield lambda path: setattr(session, "autosave", path)


def test_a_session_never_writes_over_its_video(make_session, clip, monkeypatch):
    session = make_session(clip)
    session.click(0, 12, 12)
    run(session.track())
    before = clip.read_bytes()
    (clip.parent / "link.mp4").symlink_to(clip)
    (clip.parent / "hard.mp4").hardlink_to(clip)
    monkeypatch.chdir(clip.parent)
    for write in writers(session):
        for name in (clip, "own.mp4", "./own.mp4", "link.mp4", "hard.mp4"):
            with pytest.raises(InputError, match="is the session's video"):
                write(name)
    with pytest.raises(InputError, match="exists already"):
        session.export("open_pvsg", clip.parent)
    assert clip.read_bytes() == before
    assert session.autosave is None
    assert sorted(p.name for p in clip.parent.iterdir()) == [
        "hard.mp4",
        "link.mp4",
        "own.mp4",
    ]
    with pytest.raises(InputError, match="is the session's video"):
        c2g_jax.open(clip, model=scripted.model(), autosave=clip)


def test_a_session_never_writes_over_its_frames(make_session, frames):
    session = make_session(frames)
    session.click(0, 12, 12)
    before = {p: p.read_bytes() for p in frames.iterdir()}
    for write in writers(session):
        with pytest.raises(InputError, match="among the frames of the session's video"):
            write(frames / "1.png")
        with pytest.raises(InputError, match="among the frames of the session's video"):
            write(frames / "new.png")  # it would be a frame when the folder is read
        with pytest.raises(InputError, match="is the session's video"):
            write(frames)
    assert {p: p.read_bytes() for p in frames.iterdir()} == before
    session.save(frames / "a.c2g")  # no frame, and not read as one
    again = c2g_jax.open_session(frames / "a.c2g", model=scripted.model())
    assert again.video.num_frames == 3


def test_a_place_that_cannot_be_written_is_named(make_session, tmp_path):
    session = make_session()
    session.click(0, 12, 12)
    run(session.track())
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    for write in writers(session):
        for place in (tmp_path / "file" / "x", "/proc/x", "a\0b", 5):
            with pytest.raises(InputError) as told:
                write(place)
            assert ".part" not in str(told.value)
            assert "\n" not in str(told.value)
    for place in (tmp_path, tmp_path / "file" / "x", "/proc/x", 5, np.zeros(3)):
        with pytest.raises(InputError):
            make_session(autosave=place)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert session.autosave is None


def test_a_slash_at_its_end_makes_a_path_a_folder(make_session, clip, tmp_path):
    session = make_session(clip)
    session.click(0, 12, 12)
    run(session.track())
    *files, folder, autosave = writers(session)
    for write in (*files, autosave):
        with pytest.raises(InputError, match="new/ is a folder: name a file"):
            write(f"{tmp_path}/new/")
    assert not (tmp_path / "new").exists()
    folder(f"{tmp_path}/new/")
    assert (tmp_path / "new" / "pvsg.json").is_file()
