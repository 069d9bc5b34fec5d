"""One run at a time where something is written."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from .quirks import DownloadError


@contextlib.contextmanager
def only_one(place: Path, lock: Path) -> Iterator[None]:
    """Nobody else writes to `place` meanwhile; the lock ends with the process.

    Raises DownloadError where another run is at it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(
                f"{place}: another preparation is writing there: wait for its end"
            ) from error
        yield
