"""Files and folders of results: whole, or not there at all."""

import contextlib
import errno
import fcntl
import os
import reprlib
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO

from c2g_jax.types import InputError

_ASIDE, _LOCK = ".c2g-part-", "lock"  # a folder aside, and what its run holds in it


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says that no more can be written, by the disk or a quota."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in full


class NoRoom(InputError):
    """A disk is full; errno and strerror are those of the system's error."""

    def __init__(self, place: Path, number: int):
        self.errno, self.strerror = number, os.strerror(number)
        super().__init__(
            f"{place}: {self.strerror}, and nothing is written: make room there, or "
            "write elsewhere"
        )


def check_output(
    path: str | Path, flag: str | None = "output", kind: str = "folder"
) -> None:
    """InputError unless the folder can be written, so that no work is lost later.

    Tried by making it, with all above it, in a folder that is removed again. `flag` is
    what named it, if one did. With kind "file" it is a file that is to be written.
    """
    named = str(path) if flag is None else f"--{flag}={path}"
    path = Path(path) if kind == "folder" else file_named(path, named)
    place = path.absolute() if kind == "folder" else path.absolute().parent
    missing = [] if kind == "folder" else [_aside_name(path)]
    while not os.path.lexists(place):
        missing.insert(0, place.name)
        place = place.parent
    if not place.is_dir():
        raise InputError(f"{named}: {place} is a file: name a {kind} elsewhere")
    try:
        with tempfile.TemporaryDirectory(prefix=".trial-", dir=place) as trial:
            Path(trial, *missing).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{named}: nothing can be written there ({reason}): name another {kind}"
        ) from None


def path_named(path: str | Path, kind: str = "file") -> Path:
    """What a caller gave as a path; InputError where it can be none."""
    if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
        shown = " ".join(reprlib.repr(path).split())
        raise InputError(f"{shown} is no path: give the name of a {kind}")
    return Path(path)


def file_named(path: str | Path, named: str | None = None) -> Path:
    """The path of a file to write; InputError, of `named`, where it names a folder."""
    if os.path.isdir(path) or str(path).endswith(os.sep):
        raise InputError(f"{named or path} is a folder: name a file")
    return Path(path)


def write_aside(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside, that then takes the place of `path`.

    It is on the disk by then, so that a crash leaves this file or the old one, whole.
    NoRoom where the disk is full, InputError where `path` is a folder.
    """
    path = file_named(path)
    aside = path.with_name(_aside_name(path))
    try:
        with _room_for(path):
            write(aside)
            with open(aside, "rb") as file:
                os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def output_folder(folder: Path, owned: Collection[str] = ()) -> Iterator[Path]:
    """A folder beside, that becomes `folder`, or fills it, where no error occurs.

    `owned` names files of `folder` that are of an earlier run: those that are not
    written now are removed. So is what runs left aside that were killed. NoRoom where
    the disk is full.
    """
    folder = folder.absolute()
    there = folder.is_dir()
    if not there:
        folder.parent.mkdir(parents=True, exist_ok=True)
    for place in (folder, folder.parent):
        _remove_left(place)
    # Within a folder that is there: what is above it may be of another disk or person.
    aside = tempfile.mkdtemp(prefix=_ASIDE, dir=folder if there else folder.parent)
    aside = Path(aside)
    try:
        with open(aside / _LOCK, "w", encoding="ascii") as lock:
            _hold(lock)
            with _room_for(folder):
                (whole := aside / "whole").mkdir()
                yield whole
            if there:
                _fill(folder, whole, owned)
            else:
                whole.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fill(folder: Path, whole: Path, owned: Collection[str]) -> None:
    files = sorted(whole.iterdir())
    for name in set(owned) - {file.name for file in files}:
        (folder / name).unlink(missing_ok=True)
    for file in files:
        file.replace(folder / file.name)


def _remove_left(place: Path) -> None:
    """Remove what runs left aside that were killed: nobody holds it."""
    for lock in place.glob(f"{_ASIDE}*/{_LOCK}"):
        # Others may remove it as well, or it may be another person's.
        with contextlib.suppress(OSError), open(lock, "r+", encoding="ascii") as file:
            if _hold(file):
                shutil.rmtree(lock.parent, ignore_errors=True)


def _hold(file: IO) -> bool:
    """Hold a file until it is closed or this process ends.

    False where another process holds it, or the disk has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _room_for(place: Path) -> Iterator[None]:
    """A full disk is told by the place that was asked for, not by the one aside."""
    try:
        yield
    except (OSError, NoRoom) as error:
        if not disk_is_full(error):
            raise
        raise NoRoom(place, error.errno) from error


def _aside_name(path: Path) -> str:
    return f".{path.name}.part"
