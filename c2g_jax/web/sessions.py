"""The server's sessions: unguessable ids, a folder each, a limit and an expiry."""

import dataclasses
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

CLIP, SAVED, USED = "clip", "session.c2g", "used.json"
ID_BYTES = 18  # 144 bits, 24 characters in a URL
RECORD_EVERY = 60.0  # seconds of use that are lost if the server is killed
UNCHANGED = 3600.0  # seconds that a session without any edit is kept


@dataclass(eq=False)
class Entry:
    """A session of the server.

    used: Unix time of the last request; recorded: the value of `used` on disk.
    session: the open `Session`, None while it is only on disk. tracking: the running
    TrackStream. revision: counts changes, so that a page notices those of another.
    waiting: its jobs in the worker's queue.
    """

    id: str
    folder: Path
    clip: Clip
    used: float
    recorded: float = 0.0
    session: Any = None
    tracking: Any = None
    revision: int = 0
    waiting: int = 0

    @property
    def session_file(self) -> Path:
        """The file that the session is saved to; missing until its first change."""
        return self.folder / SAVED

    @property
    def busy(self) -> bool:
        """Whether the session must stay in memory."""
        return self.tracking is not None or self.waiting > 0


class Registry:
    """All sessions by id, including those of earlier runs of the server."""

    def __init__(self, root: Path, limit: int, seconds: float):
        self.root, self.limit, self.seconds = root, limit, seconds
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
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

    def new_folder(self) -> tuple[str, Path]:
        """Return a new unguessable id and its folder, which is not made yet."""
        session_id = secrets.token_urlsafe(ID_BYTES)
        return session_id, self.root / session_id

    def eviction_candidate(self) -> Entry:
        """Return the least recently used unchanged session; WebError 429 if none."""
        idle = [e for e in self if not e.busy and not e.session_file.exists()]
        if not idle:
            raise WebError(
                429,
                f"{self.limit} sessions are open, which is the limit: close one first",
            )
        return min(idle, key=lambda entry: entry.used)

    def add(self, session_id: str, clip: Clip) -> Entry:
        """Register a session whose folder already holds the clip."""
        folder = clip.folder.parent
        entry = Entry(session_id, folder, clip, time.time())
        self.record_use(entry)  # first: if it fails, there is no session
        self._entries[session_id] = entry
        return entry

    def remove(self, entry: Entry) -> None:
        """Remove the session from the registry; the caller deletes its files."""
        self._entries.pop(entry.id, None)

    def expired(self) -> list[Entry]:
        """Return the sessions that were not used for too long."""
        now, over = time.time(), []
        for entry in self:
            changed = entry.session_file.exists() or entry.revision
            kept = self.seconds if changed else min(UNCHANGED, self.seconds)
            if not entry.busy and now - entry.used > kept:
                over.append(entry)
        return over

    def stale_use_records(self) -> list[Entry]:
        """Return the sessions whose time of last use on disk is out of date."""
        return [entry for entry in self if entry.used - entry.recorded > RECORD_EVERY]

    def record_use(self, entry: Entry) -> None:
        """Write the time of last use to disk, for the next run of the server.

        A write that fails is not repeated until the session is used again.
        """
        entry.recorded = entry.used
        write_text(entry.folder / USED, json.dumps(entry.used))

    def _read_folders(self) -> Iterator[Entry]:
        for folder in self.root.iterdir():
            clip = read_clip(folder / CLIP)
            if clip is not None:
                clip = dataclasses.replace(clip, folder=folder / CLIP)
                used = _last_use(folder)
                yield Entry(folder.name, folder, clip, used, recorded=used)
            elif (folder / SAVED).exists():  # never delete a user's work
                logging.warning("%s: the session's video is missing: kept", folder)
            else:
                logging.info("an unfinished session is removed")
                shutil.rmtree(folder, ignore_errors=True)


def _last_use(folder: Path) -> float:
    """Return the recorded Unix time of last use, else the folder's change time."""
    try:
        return float(json.loads((folder / USED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return folder.stat().st_mtime
