import contextlib
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import c2g_jax
from c2g_jax.session.file import read_session
from c2g_jax.session.moments import moments_of
from c2g_jax.session.state_parts import Observation
from c2g_jax.types import InputError
from tests.commands import ROOT
from tests.session import scripted
from tests.session.conftest import everything, run


@pytest.fixture
def worked_on(session):
    """A session with some of everything in it."""
    session.click(2, 12, 12)
    run(session.track(stop=6, direction="both"))
    session.click(4, 6, 6, positive=False, object_id=1)
    session.box(3, 4, 44, 20, 60)
    session.mask(5, np.arange(64)[:, None] * np.ones(64) > 50)
    session.rename(1, "adult")
    session.set_predicate(1, 2, "holding", 3, 5)
    run(session.track(start=4, stop=7))
    session.undo()
    return session


def open_again(path, count=scripted.FRAMES, **options):
    video = scripted.video(count)
    return c2g_jax.open_session(path, video, model=scripted.model(), **options)


def test_a_session_comes_back_exactly(worked_on, tmp_path):
    path = tmp_path / "a.c2g"
    worked_on.save(path)
    again = open_again(path)
    assert everything(again) == everything(worked_on)
    # What can be undone and redone comes back too, and goes on being the same.
    for turn in ("redo", "undo", "undo", "undo", "undo", "redo"):
        assert getattr(again, turn)() == getattr(worked_on, turn)()
        assert everything(again) == everything(worked_on)
    # So do prompts and tracking: the answers refine those that were saved.
    for session in (again, worked_on):
        session.click(4, 32, 40, object_id=1)
        run(session.track(start=8))
    assert everything(again) == everything(worked_on)
    assert list(tmp_path.iterdir()) == [path]


def test_a_saved_session_is_the_same_file_again(worked_on, tmp_path):
    worked_on.save(tmp_path / "a.c2g")
    again = open_again(tmp_path / "a.c2g")
    again.save(tmp_path / "b.c2g")

    def content(name):
        with zipfile.ZipFile(tmp_path / name) as archive:
            return {n: archive.read(n) for n in archive.namelist()}

    assert content("a.c2g") == content("b.c2g")


def test_files_that_are_no_session(worked_on, tmp_path):
    path = tmp_path / "a.c2g"
    worked_on.save(path)
    whole = path.read_bytes()
    for name, data in (
        ("cut", whole[: len(whole) // 2]),
        ("text", b"hello"),
        ("nothing", b""),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match="not a whole session"):
            open_again(tmp_path / name)
    with pytest.raises(InputError, match="no such session"):
        open_again(tmp_path / "missing")
    with pytest.raises(InputError, match="give it again"):
        c2g_jax.open_session(path, model=scripted.model())
    with pytest.raises(InputError, match="12 frames"):
        open_again(path, 5)


def rewritten(path, other, change):
    """The same session with its document changed, as another version may write it."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(files["session.json"])
    change(document)
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in files.items():
            text = json.dumps(document)
            archive.writestr(name, text if name == "session.json" else data)
    return other


def test_another_video_of_the_same_size_is_refused(worked_on, tmp_path):
    path = tmp_path / "a.c2g"
    worked_on.save(path)
    before = everything(worked_on)
    black = [np.zeros((64, 64, 3), np.uint8)] * scripted.FRAMES
    late = [*scripted.video()[:6], *black[6:]]  # another one from the middle on
    for video in (black, late):
        with pytest.raises(InputError, match="the frames of frames look different"):
            c2g_jax.open_session(path, video, model=scripted.model())
    # Other pixels of the same pictures are the same video, as of another encoding.
    noise = np.random.default_rng(0).integers(-3, 4, (64, 64, 3))
    near = [np.uint8(rgb + noise) for rgb in scripted.video()]
    assert (
        everything(c2g_jax.open_session(path, near, model=scripted.model())) == before
    )

    def older(document):
        del document["video"]["likeness"], document["model"]

    old = rewritten(path, tmp_path / "old.c2g", older)
    assert everything(open_again(old)) == before
    again = c2g_jax.open_session(old, black, model=scripted.model())
    again.close()


def observations(path) -> list[Observation]:
    objects = read_session(path).now.objects.values()
    return [o for obj in objects for o in obj.observations.values()]


def with_moments(path, other, moments) -> None:
    """Write the same file with other moments, or without."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(other, "w") as changed:
        for name in archive.namelist():
            if name != "moments.npy":
                changed.writestr(name, archive.read(name))
        if moments is not None:
            data = io.BytesIO()
            np.save(data, moments)
            changed.writestr("moments.npy", data.getvalue())


def test_moments_of_another_kind_are_refused(worked_on, tmp_path):
    path, other = tmp_path / "a.c2g", tmp_path / "other.c2g"
    worked_on.save(path)
    count = len(observations(path))
    for moments in (
        np.zeros((count, 3), np.float32),
        np.zeros(count, np.float32),
        np.zeros((count - 1, 5), np.float32),
        np.full((count, 5), np.nan, np.float32),
        np.full((count, 5), "text"),
    ):
        with_moments(path, other, moments)
        with pytest.raises(InputError, match="not a whole session file"):
            read_session(other)


def test_moments_are_kept_and_an_older_files_are_those_of_its_masks(
    worked_on, tmp_path
):
    path, old = tmp_path / "a.c2g", tmp_path / "old.c2g"
    worked_on.save(path)
    with_moments(path, old, None)
    kept, masks = observations(path), [o.mask for o in observations(path)]
    assert {m is None for m in masks} == {True, False}
    for one, other in zip(kept, observations(old), strict=True):
        np.testing.assert_array_equal(other.moments, moments_of(other.mask))
        # The logits have cells of four pixels, the masks pixels.
        np.testing.assert_allclose(one.moments, other.moments, atol=0.02)
    assert everything(open_again(old)) == everything(worked_on)


def test_a_model_of_another_shape_is_refused(worked_on, tmp_path):
    path = tmp_path / "a.c2g"
    worked_on.save(path)
    config = scripted.CONFIG.sam2
    for changes, words in (
        (dict(image_size=128), "image_size 64, but this one has 128"),
        (dict(size="tiny"), "size toy, but this one has tiny"),
        (dict(d_model=256), "d_model 128, but this one has 256"),
    ):
        other = scripted.model(sam2=dataclasses.replace(config, **changes))
        with pytest.raises(InputError, match=words):
            c2g_jax.open_session(path, scripted.video(), model=other)


def test_a_damaged_session_is_refused_or_read(worked_on, tmp_path):
    """Whatever byte is wrong; where it is of no matter, the file is read."""
    path = tmp_path / "a.c2g"
    worked_on.save(path)
    whole, lines = path.read_bytes(), set()
    # Within the compressed text, and in the table of contents.
    for place in (*range(25, 200, 3), *range(len(whole) - 330, len(whole))):
        torn = bytearray(whole)
        torn[place] ^= 0xFF
        path.write_bytes(torn)
        try:
            read_session(path)
        except InputError as error:
            lines.add(str(error).removeprefix(f"{path}: ").partition(" (")[0])
    assert lines == {"not a whole session file"}
    with pytest.raises(InputError, match="cannot be read"):
        read_session(tmp_path)


def test_a_session_made_by_hand_is_refused_by_one_line(worked_on, tmp_path):
    """A whole archive whose document lacks something, or has something else there."""
    path, other = tmp_path / "a.c2g", tmp_path / "b.c2g"
    worked_on.save(path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(files["session.json"])
    parts = [(key,) for key in document if key not in ("program", "version")]
    for key in ("video", "model", "source", "history", "spans", "adapt"):
        parts += [(key, inner) for inner in document[key]]
    parts += [("source", "options", name) for name in document["source"]["options"]]
    refused = 0
    for part in parts:
        for change in ("drop", None, "text", 7, [3]):
            changed = json.loads(files["session.json"])
            at = changed
            for key in part[:-1]:
                at = at[key]
            if change == "drop":
                del at[part[-1]]
            else:
                at[part[-1]] = change
            with zipfile.ZipFile(other, "w") as archive:
                for name, data in files.items():
                    if name == "session.json":
                        data = json.dumps(changed)
                    archive.writestr(name, data)
            # What is of no matter, or may be so, is read.
            with contextlib.suppress(InputError):
                open_again(other)
                refused -= 1
            refused += 1
    assert refused > 60


_UNTIL_KILLED = """
import sys, c2g_jax
from tests.session import scripted
scripted.World().install(setattr)
video, model = scripted.video(), scripted.model()
session = c2g_jax.open(video, model=model, autosave=sys.argv[1])
session.click(2, 12, 12)
session.click(2, 12, 52)
for update in session.track():
    print(update.frame, flush=True)
"""


def test_a_crash_loses_the_last_action_at_most(make_session, tmp_path):
    path = tmp_path / "auto.c2g"
    command = [sys.executable, "-c", _UNTIL_KILLED, path]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "2\n"  # in the midst of tracking
        os.kill(process.pid, signal.SIGKILL)
    again = open_again(path, autosave=path)
    expected = make_session()
    expected.click(2, 12, 12)
    expected.click(2, 12, 52)
    seen, wanted = everything(again), everything(expected)
    assert [o["object_id"] for o in seen["objects"]] == [1, 2]
    assert [v["objects"] for v in seen["views"]] == [
        v["objects"] for v in wanted["views"]
    ]
    assert again.undo() == "point for a new subject on frame 2"
    third = open_again(path)
    assert everything(third) == everything(again)


def test_a_save_that_fails_leaves_the_old_file(session, tmp_path, monkeypatch):
    path = tmp_path / "a.c2g"
    session.save(path)
    before = path.read_bytes()
    session.click(2, 12, 12)

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="no space"):
        session.save(path)
    session.autosave = path
    with pytest.raises(InputError, match="what was done stands"):
        session.click(2, 12, 52)
    assert len(session.objects()) == 2
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
