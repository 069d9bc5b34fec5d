"""Where a session may write: any place but its own video."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from c2g_jax.media.outputs import check_output, file_named, path_named
from c2g_jax.media.video import check_not_input
from c2g_jax.types import InputError


def place_named(path: str | Path, video: str | None, folder: bool = False) -> Path:
    """The path of an output; InputError where it is of the wrong kind, or the video.

    `video`: where the session's video lies, None for one that was given as arrays.
    """
    place = path_named(path)
    check_not_input(video, place, "the session's video")
    # As it was given: a slash at its end, which makes it a folder, is gone from a Path.
    return place if folder else file_named(path)


def place_to_write(path: str | Path, video: str | None) -> Path:
    """The same of a file that is written later, tried now so that no work is lost."""
    place = place_named(path, video)
    check_output(place, None, "file")
    return place


@contextlib.contextmanager
def writing(
    path: str | Path, video: str | None, folder: bool = False
) -> Iterator[Path]:
    """The path of an output, its parents there; InputError where it cannot be written.

    Arguments as in `place_named`.
    """
    place = place_named(path, video, folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield place
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"{place}: cannot be written ({reason}): name another place"
        ) from error
