"""Files and folders of results: whole, or not there at all."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from c2g_jax.types import InputError


def check_output(path: str | Path, flag: str = "output", kind: str = "folder") -> None:
    """InputError unless the folder can be written, so that no work is lost later.

    Tried by making it, with all above it, in a folder that is removed again. `flag` is
    what named it. With kind "file" it is a file that is to be written.
    """
    path, named = Path(path), f"--{flag}={path}"
    place = path.absolute()
    if kind == "file" and os.path.isdir(place):
        raise InputError(f"{named}: {place} is a folder: name a file")
    if kind == "file":
        place = place.parent
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


def write_aside(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside, that then takes the place of `path`.

    InputError where the disk is full.
    """
    path = Path(path)
    aside = path.with_name(_aside_name(path))
    try:
        with _room_for(path):
            write(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def output_folder(folder: Path, owned: Collection[str] = ()) -> Iterator[Path]:
    """A folder beside, that becomes `folder`, or fills it, where no error occurs.

    `owned` names files of `folder` that are of an earlier run: those that are not
    written now are removed. InputError where the disk is full.
    """
    folder = folder.absolute()
    there = folder.is_dir()
    if not there:
        folder.parent.mkdir(parents=True, exist_ok=True)
    # Within a folder that is there: what is above it may be of another disk or person.
    aside = tempfile.mkdtemp(prefix=".part-", dir=folder if there else folder.parent)
    aside = Path(aside)
    try:
        with _room_for(folder):
            yield aside
        aside.chmod(0o755)  # mkdtemp keeps it to its owner
        if not there:
            aside.replace(folder)
            return
        files = sorted(aside.iterdir())
        for name in set(owned) - {file.name for file in files}:
            (folder / name).unlink(missing_ok=True)
        for file in files:
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _room_for(place: Path) -> Iterator[None]:
    """A full disk is told by the place that was asked for, not by the one aside."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{place}: {os.strerror(error.errno)}, and nothing is written: make room "
            "there, or write elsewhere"
        ) from error


def _aside_name(path: Path) -> str:
    return f".{path.name}.part"
