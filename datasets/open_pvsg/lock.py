"""A file lock that allows one writer at a time."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from .quirks import DownloadError


@contextlib.contextmanager
def only_one(place: Path, lock: Path) -> Iterator[None]:
    """Hold an exclusive lock for writing to `place`; it ends with the process.

    Raises DownloadError if another run holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(
                f"{place}: another preparation is writing there: wait until it ends"
            ) from error
        yield
