"""Files of projects: the opened video, kept to play, and session files of others."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from c2g_jax.media.outputs import write_atomic
from c2g_jax.media.video import open_video
from c2g_jax.sam2.predictors.frame_reader import FrameReader
from c2g_jax.session.file import SavedSession
from c2g_jax.session.fingerprint import differ, fingerprint_of
from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip

_FICLONE = 0x40049409  # the request of ioctl_ficlone(2)

# Media types of what browsers play, by the first bytes of the file.
_PLAYED = {
    "video/mp4": lambda head: head[4:8] == b"ftyp",
    "video/webm": lambda head: head.startswith(b"\x1a\x45\xdf\xa3"),
}


def film_type(path: Path) -> str | None:
    """Return the media type of a video file that browsers can play, else None."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return None
    return next((kind for kind, fits in _PLAYED.items() if fits(head)), None)


def keep_film(source: Path | None, target: Path) -> None:
    """Copy a video file that browsers can play; do nothing for another.

    A hard link would change with the user's file where that is overwritten in place.
    """
    if source is not None and film_type(source) is not None:
        write_atomic(target, lambda aside: _copy(source, aside))


def _copy(source: Path, target: Path) -> None:
    """Copy a file; where the file system can, both share their blocks until written."""
    with open(source, "rb") as old, open(target, "wb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, 1 << 20)


def is_of_film(clip: Clip, film: Path, other: Clip, source: Path) -> bool:
    """Return whether a clip is of the same video as another, at any frame rate.

    film: the kept video file of the clip, which may be missing; source: the file or
    folder that the other one was decoded from.
    """
    names = [(c.name, c.width, c.height) for c in (clip, other)]
    if names[0] != names[1]:
        return False
    files = film, source
    if all(f.is_file() for f in files) and len({f.stat().st_size for f in files}) > 1:
        return False
    first, second = (c.frame_file(0).read_bytes() for c in (clip, other))
    return first == second


def is_saved_session(path: Path) -> bool:
    """Return whether a file is a session's (.c2g): a zip, as no video or image is."""
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def clip_of(saved: SavedSession, clips: Iterable[Clip], name: str) -> Clip:
    """Return the clip that a session was saved on; InputError if it is not there."""
    video = saved.video
    shape = (video["width"], video["height"], video["num_frames"])
    for clip in clips:
        if (clip.width, clip.height, clip.num_frames) != shape:
            continue
        reader = FrameReader(open_video(clip.folder), None)
        try:
            if not differ(saved.fingerprint, fingerprint_of(reader, clip.num_frames)):
                return clip
        finally:
            reader.close()
    raise InputError(
        f"{name} was made on {video['name']}, {shape[0]}x{shape[1]} with {shape[2]} "
        "frames, which is not here: open that video first, with as many frames per "
        "second, then this file"
    )


@contextlib.contextmanager
def shown_as(path: Path, name: str) -> Iterator[None]:
    """Name a file in errors as its owner does, not by its path on this machine."""
    try:
        yield
    except InputError as error:
        if str(path) not in str(error):
            raise
        raise InputError(str(error).replace(str(path), name)) from error
