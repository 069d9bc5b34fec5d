import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest

from c2g_jax.media.outputs import DiskFull, check_output, output_folder, write_atomic
from c2g_jax.types import InputError


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "out"
    with output_folder(target) as folder:
        (folder / "a.txt").write_text("new")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_is_there_is_filled(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "a.txt").write_text("old")
    (target / "mine.txt").write_text("kept")
    with output_folder(target) as folder:
        (folder / "a.txt").write_text("new")
        assert (target / "a.txt").read_text() == "old"
    assert (target / "a.txt").read_text() == "new"
    assert (target / "mine.txt").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path, error):
    def write_half():
        with output_folder(tmp_path / "out") as folder:
            (folder / "a.txt").write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_run_wrote_goes_where_it_is_not_written_again(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    for name in ("a.txt", "b.txt", "mine.txt"):
        (target / name).write_text("old")
    with output_folder(target, owned=("a.txt", "b.txt", "c.txt")) as folder:
        (folder / "a.txt").write_text("new")
        assert (target / "b.txt").exists()
    assert sorted(path.name for path in target.iterdir()) == ["a.txt", "mine.txt"]
    assert (target / "a.txt").read_text() == "new"


def test_beside_a_folder_that_is_there_nothing_is_written(tmp_path):
    """The folder may be a mount, or the only writable one."""
    target = tmp_path / "out"
    target.mkdir()
    with output_folder(target) as folder:
        assert folder.is_relative_to(target)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert list(target.iterdir()) == []


def leave_abandoned(target: Path) -> None:
    """Make the temporary folder that a killed run leaves."""
    with output_folder(target) as folder:
        (folder / "a.txt").write_text("half")
        shutil.copytree(folder.parent, folder.parent.parent / ".c2g-part-left")


@pytest.mark.parametrize("there", [False, True])
def test_what_a_killed_run_left_goes_with_the_next(tmp_path, there):
    target = tmp_path / "out"
    if there:
        target.mkdir()
    leave_abandoned(target)
    (tmp_path / ".c2g-part-mine").mkdir()  # not of this program: it has no lock
    left = (target if there else tmp_path) / ".c2g-part-left"
    assert (left / "result" / "a.txt").read_text() == "half"
    with output_folder(target):
        assert not left.exists()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".c2g-part-mine", "out"]


def test_what_another_run_is_at_stays(tmp_path):
    with output_folder(tmp_path / "out") as mine:
        (mine / "a.txt").write_text("mine")
        with output_folder(tmp_path / "other") as other:
            (other / "b.txt").write_text("other")
        assert (mine / "a.txt").exists()
    assert (tmp_path / "out" / "a.txt").read_text() == "mine"
    assert (tmp_path / "other" / "b.txt").read_text() == "other"


def test_a_disk_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with output_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_takes_its_place_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    write_atomic(path, lambda temporary: temporary.write_text("new"))
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/.name.part")


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(InputError, match="here is a folder: name a file"):
        write_atomic(tmp_path / "here", lambda temporary: temporary.write_text("new"))
    with pytest.raises(InputError, match="there/ is a folder: name a file"):
        write_atomic(
            f"{tmp_path}/there/", lambda temporary: temporary.write_text("new")
        )
    with pytest.raises(InputError, match=r"--json=.*/there/ is a folder: name a file"):
        check_output(f"{tmp_path}/there/", "json", kind="file")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_full_disk_is_told_by_the_place_that_was_asked_for(tmp_path):
    words = "No space left on device, and nothing is written: make room"
    with pytest.raises(InputError, match=f"{tmp_path}/a.txt: {words}"):
        write_atomic(tmp_path / "a.txt", full)
    with (
        pytest.raises(InputError, match=f"{tmp_path}/out: {words}"),
        output_folder(tmp_path / "out"),
    ):
        full()
    with (
        pytest.raises(DiskFull, match=f"{tmp_path}/out: {words}") as caught,
        output_folder(tmp_path / "out") as folder,
    ):
        write_atomic(folder / "a.txt", full)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_places_that_can_be_written_are_left_as_they_are(tmp_path):
    check_output(tmp_path / "new" / "folder")
    check_output(tmp_path)
    check_output(tmp_path / "new" / "file.pt", kind="file")
    (tmp_path / "file.pt").write_text("old")
    check_output(tmp_path / "file.pt", kind="file")
    assert [path.name for path in tmp_path.iterdir()] == ["file.pt"]
    assert (tmp_path / "file.pt").read_text() == "old"


@pytest.mark.parametrize(
    ("place", "kind", "words"),
    [
        ("file", "folder", "file is a file: name a folder"),
        ("file/out", "folder", "file is a file: name a folder"),
        ("file/out.pt", "file", "file is a file: name a file elsewhere"),
        (".", "file", "is a folder: name a file"),
        ("a" * 300, "folder", "too long"),
        ("a" * 300 + "/out", "folder", "too long"),
        ("é" * 130, "folder", "too long"),
        (
            "a" * 253,
            "file",
            "too long",
        ),  # with the prefix and suffix of the temporary name
        ("/".join(["a" * 200] * 30), "folder", "too long"),
        ("a\0b", "folder", "null byte"),
        ("/proc/out", "folder", "nothing can be written there"),
        ("/sys/out/deeper", "folder", "nothing can be written there"),
        ("/dev/null", "folder", "null is a file: name a folder"),
    ],
    ids=lambda value: value[:12],
)
def test_places_that_cannot_be_written(tmp_path, place, kind, words):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=words) as caught:
        check_output(tmp_path / place, flag="preview", kind=kind)
    assert str(caught.value).startswith("--preview=")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_place_that_we_may_not_use(tmp_path, monkeypatch):
    """Root can write anywhere, so the system call is replaced."""

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(InputError, match=r"nothing can be written there \(Permission"):
        check_output(tmp_path / "out")
