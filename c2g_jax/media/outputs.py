"""Atomic writing of result files and folders: complete, or not there at all."""

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

# Prefix of temporary folders, and the file in them that the writing process locks.
_TEMPORARY, _LOCK = ".c2g-part-", "lock"


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error means that the disk or a quota is full."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return getattr(error, "errno", None) in full


class DiskFull(InputError):
    """The disk of a path is full; errno and strerror are those of the OSError."""

    def __init__(self, place: Path, number: int):
        self.errno, self.strerror = number, os.strerror(number)
        super().__init__(
            f"{place}: {self.strerror}, and nothing is written: make room there, or "
            "write elsewhere"
        )


def check_output(
    path: str | Path, flag: str | None = "output", kind: str = "folder"
) -> None:
    """Raise InputError unless `path` can be written, before any work is done.

    The missing folders of the path are made in a temporary folder, as a trial. flag:
    the flag that gave the path, for the message. kind: "folder" or "file".
    """
    named = str(path) if flag is None else f"--{flag}={path}"
    path = Path(path) if kind == "folder" else file_named(path, named)
    place = path.absolute() if kind == "folder" else path.absolute().parent
    missing = [] if kind == "folder" else [_temporary_name(path)]
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
    """Return a caller's path, `~` expanded; InputError if the value cannot be one."""
    if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
        shown = " ".join(reprlib.repr(path).split())
        raise InputError(f"{shown} is not a path: give the name of a {kind}")
    return Path(os.path.expanduser(path))


def file_named(path: str | Path, named: str | None = None) -> Path:
    """Return the path; InputError, which calls it `named`, if it is a folder."""
    if os.path.isdir(path) or str(path).endswith(os.sep):
        raise InputError(f"{named or path} is a folder: name a file")
    return Path(path)


def write_text(path: str | Path, text: str) -> None:
    """Replace a file by UTF-8 text, as `write_atomic` does."""
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_atomic(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a temporary file, then rename it to `path`.

    It is synced to disk before, so that a crash leaves the new file or the old one,
    complete. DiskFull if the disk is full, InputError if `path` is a folder.
    """
    path = file_named(path)
    temporary = path.with_name(_temporary_name(path))
    try:
        with _naming_full_disk(path):
            write(temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def output_folder(folder: Path, owned: Collection[str] = ()) -> Iterator[Path]:
    """Yield a temporary folder; without an error it becomes `folder`, or fills it.

    owned: names of files in `folder` that earlier runs wrote; those not written now
    are removed. Temporary folders of killed runs are removed as well. DiskFull if the
    disk is full.
    """
    folder = folder.absolute()
    exists = folder.is_dir()
    if not exists:
        folder.parent.mkdir(parents=True, exist_ok=True)
    for place in (folder, folder.parent):
        _remove_abandoned(place)
    # Inside an existing folder: its parent may be on another disk, or not writable.
    parent = folder if exists else folder.parent
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
    try:
        with open(temporary / _LOCK, "w", encoding="ascii") as lock:
            _try_lock(lock)
            with _naming_full_disk(folder):
                (result := temporary / "result").mkdir()
                yield result
            if exists:
                _move_files(result, folder, owned)
            else:
                result.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_files(source: Path, folder: Path, owned: Collection[str]) -> None:
    files = sorted(source.iterdir())
    for name in set(owned) - {file.name for file in files}:
        (folder / name).unlink(missing_ok=True)
    for file in files:
        file.replace(folder / file.name)


def _remove_abandoned(place: Path) -> None:
    """Remove the temporary folders of killed runs: no process locks them."""
    for lock in place.glob(f"{_TEMPORARY}*/{_LOCK}"):
        # Another process may remove it first, or it may belong to another user.
        with contextlib.suppress(OSError), open(lock, "r+", encoding="ascii") as file:
            if _try_lock(file):
                shutil.rmtree(lock.parent, ignore_errors=True)


def _try_lock(file: IO) -> bool:
    """Lock a file until it is closed or this process ends.

    Returns False if another process has locked it, or the file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _naming_full_disk(place: Path) -> Iterator[None]:
    """Report a full disk by the path of the result, not by the temporary one."""
    try:
        yield
    except (OSError, DiskFull) as error:
        if not disk_is_full(error):
            raise
        raise DiskFull(place, error.errno) from error


def _temporary_name(path: Path) -> str:
    return f".{path.name}.part"
