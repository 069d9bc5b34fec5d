"""Folders of results: whole, or not there at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from c2g_jax.types import InputError


def check_output(folder: Path) -> None:
    """InputError unless the folder can be written, so that no work is lost later."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise InputError(f"--output={folder}: {place} is a file: name a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"--output={folder}: {place} is not writable: name another")


def write_aside(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside, that then takes the place of `path`."""
    path = Path(path)
    aside = path.with_name(f".{path.name}.part")
    try:
        write(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def output_folder(folder: Path) -> Iterator[Path]:
    """A folder beside, that becomes `folder`, or fills it, where no error occurs."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield aside
        aside.chmod(0o755)  # mkdtemp keeps it to its owner
        if folder.exists():
            for file in sorted(aside.iterdir()):
                file.replace(folder / file.name)
        else:
            aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
