"""Convert a released checkpoint once, into the user's cache."""

import contextlib
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from c2g_jax import __version__
from c2g_jax.checkpoints.released.checkpoint_files import INDEX, weight_files
from c2g_jax.checkpoints.released.official import convert
from c2g_jax.checkpoints.safetensors import (
    MANIFEST,
    WEIGHTS,
    file_sha256,
    read_manifest,
)
from c2g_jax.cli.paths import user_cache
from c2g_jax.types import InputError

_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


def is_released(path: Path) -> bool:
    """Return whether a path is of a released checkpoint, not of a folder of ours.

    By its suffix where it is no folder. A folder without weights is neither.
    """
    if not path.is_dir():
        return path.suffix in _SUFFIXES
    if (path / MANIFEST).is_file() or (path / WEIGHTS).is_file():
        return False
    names = [file.name for file in path.iterdir()]
    return any(name.endswith((*_SUFFIXES, INDEX)) for name in names)


def report_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def weights_folder(path: Path, report: Callable[[str], None] | None = None) -> Path:
    """Return the folder of ours with a released checkpoint, converted at most once.

    It lies in the user's cache, named by the sha256 of the files. `report` is called
    with lines about size and progress, by default on stderr. InputError for what is no
    checkpoint of SAM2, and for a cache that cannot be written.
    """
    report = report or report_on_stderr
    key = _sha256(path)
    folder = user_cache() / "checkpoints" / key
    if _is_valid(folder):
        return folder
    with _locked(folder):
        if _is_valid(folder):  # another process has made it meanwhile
            return folder
        for left in (folder / MANIFEST, folder / WEIGHTS):
            left.unlink(missing_ok=True)
        start = time.monotonic()
        manifest = convert(path, folder, report=report)
        for note in manifest["source"].get("notes", ()):
            report(note)
        report(f"converted in {time.monotonic() - start:.0f} s, kept in {folder}")
    return folder


def _sha256(path: Path) -> str:
    """Return the sha256 of the file; of several and their config, that of theirs."""
    files = weight_files(path)
    config = files[0].with_name("config.json")
    if path.is_dir() and config.is_file():
        files = (*files, config)
    sums = [file_sha256(file) for file in files]
    if len(sums) == 1:
        return sums[0]
    return hashlib.sha256(" ".join(sums).encode()).hexdigest()


def _is_valid(folder: Path) -> bool:
    """Return whether a folder holds a whole checkpoint, made by this version."""
    try:
        manifest = read_manifest(folder)
        made_by = manifest.get("versions", {}).get("c2g_jax")
        if made_by != __version__:
            return False
        return file_sha256(folder / WEIGHTS) == manifest["sha256"]
    except (InputError, OSError, AttributeError):
        return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process makes the folder; InputError if none can."""
    place = folder.with_suffix(".lock")
    while True:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = open(place, "w", encoding="ascii")  # noqa: SIM115
        except OSError as error:
            raise InputError(
                f"the converted checkpoint cannot be kept in {folder.parent} "
                f"({error.strerror}): set XDG_CACHE_HOME to a folder that can be "
                "written"
            ) from error
        with lock:
            # A file system without locks: both make it, and one is renamed last.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_file(place, lock):  # removed by the one that held it before
                continue
            try:
                yield
            finally:
                place.unlink(missing_ok=True)
            return


def _is_file(place: Path, file: IO) -> bool:
    """Return whether an open file is the one of a path."""
    try:
        return os.path.samestat(os.stat(place), os.fstat(file.fileno()))
    except OSError:
        return False
