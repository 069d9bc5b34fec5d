"""The server's projects: a session each, with an unguessable id and a folder.

A project that a person worked on stays until that person deletes it. One that nobody
changed goes after a while, or when others need its place.
"""

import dataclasses
import itertools
import json
import logging
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c2g_jax.media.outputs import write_text
from c2g_jax.web.clips import Clip, read_clip
from c2g_jax.web.errors import WebError

CLIP, SAVED, USED, PROJECT = "clip", "session.c2g", "used.json", "project.json"
FILM = "video"  # the file that was opened, to play; missing for folders and images
ID_BYTES = 18  # 144 bits, 24 characters in a URL
RECORD_EVERY = 60.0  # seconds of use that are lost if the server is killed
MAX_NAME = 100  # characters


@dataclass(eq=False)
class Entry:
    """A project: a session with a name.

    used: Unix time of the last request; recorded: the value of `used` on disk.
    session: the open `Session`, None while it is only on disk. tracking: the running
    TrackStream. revision: counts changes, so that a page notices those of another.
    waiting: its jobs in the worker's queue. unsaved: the last change is only in memory,
    as the disk was full.
    """

    id: str
    folder: Path
    clip: Clip
    used: float
    name: str = ""
    recorded: float = 0.0
    session: Any = None
    tracking: Any = None
    revision: int = 0
    waiting: int = 0
    unsaved: bool = False

    @property
    def session_file(self) -> Path:
        """The file that the session is saved to; missing until its first change."""
        return self.folder / SAVED

    @property
    def film(self) -> Path:
        """The file that was opened; missing if it was no video file."""
        return self.folder / FILM

    @property
    def changed(self) -> bool:
        """Whether a person worked on it."""
        return self.session_file.exists() or self.revision > 0

    def to_json(self) -> dict:
        """Return id, name, and the clip as clients see it."""
        video = self.clip.to_json() | {"film": self.film.exists()}
        return {"id": self.id, "name": self.name, "video": video}

    @property
    def busy(self) -> bool:
        """Whether the session must stay in memory."""
        return self.tracking is not None or self.waiting > 0 or self.unsaved


class Registry:
    """All projects by id, including those of earlier runs of the server.

    root: folder of the projects. limit: of those that nobody changed; they are kept
    for `seconds` after their last use. earlier: folder of an older version's sessions,
    which become projects.
    """

    def __init__(
        self, root: Path, limit: int, seconds: float, earlier: Path | None = None
    ):
        self.root, self.limit, self.seconds = root, limit, seconds
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if earlier is not None and earlier != root and earlier.is_dir():
            self._take_over(earlier)
        self._entries = {entry.id: entry for entry in self._read_folders()}

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, session_id: str) -> Entry:
        """Return the session and mark it as used; WebError 404 if there is none."""
        entry = self._entries.get(session_id)
        if entry is None:
            raise WebError(404, "this session no longer exists: open the video again")
        entry.used = time.time()
        return entry

    def new_folder(self, name: str) -> tuple[str, Path]:
        """Make the folder of a new project, named after its video; returns its id."""
        stem = file_stem(name)
        for number in itertools.count(1):
            folder = self.root / (stem if number == 1 else f"{stem} {number}")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return secrets.token_urlsafe(ID_BYTES), folder

    def eviction_candidate(self) -> Entry | None:
        """Return the unchanged project to close for another one; None if none need be.

        WebError 429 if the limit is reached by projects that are in use.
        """
        fresh = [e for e in self if not e.changed]
        if len(fresh) < self.limit:
            return None
        idle = [e for e in fresh if not e.busy]
        if not idle:
            raise WebError(
                429,
                f"{self.limit} sessions are open, which is the limit: close one first",
            )
        return min(idle, key=lambda entry: entry.used)

    def add(self, session_id: str, clip: Clip, name: str) -> Entry:
        """Register a project whose folder already holds the clip."""
        folder = clip.folder.parent
        entry = Entry(session_id, folder, clip, time.time(), name)
        self.rename(entry, name)  # first: if it fails, there is no session
        self.record_use(entry)
        self._entries[session_id] = entry
        return entry

    def rename(self, entry: Entry, name: str) -> None:
        """Name a project."""
        document = json.dumps({"id": entry.id, "name": name}, ensure_ascii=False)
        write_text(entry.folder / PROJECT, document)
        entry.name = name

    def remove(self, entry: Entry) -> None:
        """Remove the session from the registry; the caller deletes its files."""
        self._entries.pop(entry.id, None)

    def expired(self) -> list[Entry]:
        """Return the sessions that nobody changed, and nobody used for long."""
        over = time.time() - self.seconds
        return [e for e in self if not (e.changed or e.busy) and e.used < over]

    def stale_use_records(self) -> list[Entry]:
        """Return the sessions whose time of last use on disk is out of date."""
        return [entry for entry in self if entry.used - entry.recorded > RECORD_EVERY]

    def record_use(self, entry: Entry) -> None:
        """Write the time of last use to disk, for the next run of the server.

        A write that fails is not repeated until the session is used again.
        """
        entry.recorded = entry.used
        write_text(entry.folder / USED, json.dumps(entry.used))

    def _take_over(self, earlier: Path) -> None:
        """Move what persons worked on in an older version's folder to the projects."""
        for folder in earlier.iterdir():
            if (folder / SAVED).exists() and not (self.root / folder.name).exists():
                shutil.move(folder, self.root / folder.name)

    def _read_folders(self) -> Iterator[Entry]:
        for folder in sorted(self.root.iterdir()):
            if not folder.is_dir() or folder.name.startswith("."):
                continue
            clip = read_clip(folder / CLIP)
            if clip is not None:
                clip = dataclasses.replace(clip, folder=folder / CLIP)
                session_id, name = _named(folder, clip.name)
                used = _last_use(folder)
                yield Entry(session_id, folder, clip, used, name, recorded=used)
            elif (folder / SAVED).exists():  # never delete a user's work
                logging.warning("%s: the session's video is missing: kept", folder)
            elif (folder / CLIP).is_dir() or (folder / PROJECT).exists():
                logging.info("an unfinished session is removed")
                shutil.rmtree(folder, ignore_errors=True)


def file_stem(name: str) -> str:
    """Return a video's name as the name of a folder: no suffix, path or hidden file."""
    stem = clean_name(name)
    return stem.rpartition(".")[0].strip(" .") or stem


def clean_name(name: str) -> str:
    """Return the last part of a path, without characters unsafe in file names."""
    name = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in name if c.isprintable()).strip(" .")
    return kept[:MAX_NAME] or "video"


def _named(folder: Path, default: str) -> tuple[str, str]:
    """Return id and name of a project; for folders of older versions id and default."""
    try:
        values = json.loads((folder / PROJECT).read_text(encoding="utf-8"))
        session_id, name = values["id"], values["name"]
        if isinstance(session_id, str) and isinstance(name, str):
            return session_id, name
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return folder.name, default


def _last_use(folder: Path) -> float:
    """Return the recorded Unix time of last use, else the folder's change time."""
    try:
        return float(json.loads((folder / USED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return folder.stat().st_mtime
