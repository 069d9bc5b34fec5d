"""The sessions of a server: unguessable ids, a folder each, a limit and an expiry."""

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

from c2g_jax.media.outputs import write_aside
from c2g_jax.web.clips import Clip, read_clip
from c2g_jax.web.errors import WebError

CLIP, SAVED, USED = "clip", "session.c2g", "used.json"
ID_BYTES = 18  # 144 bits, 24 letters in a URL
RECORD_EVERY = 60.0  # seconds of use that a server that is killed may forget
UNTOUCHED = 3600.0  # seconds that a session in which nothing was done is kept


@dataclass(eq=False)
class Entry:
    """One session as the server keeps it; `session` is None while it is not open.

    revision: counts what was done, so that a page sees that another one did something.
    """

    id: str
    folder: Path
    clip: Clip
    used: float
    recorded: float = 0.0  # the use that is written down
    session: Any = None
    tracking: Any = None
    revision: int = 0
    waiting: int = 0

    @property
    def session_file(self) -> Path:
        return self.folder / SAVED

    @property
    def busy(self) -> bool:
        return self.tracking is not None or self.waiting > 0


class Registry:
    """All sessions by id, those of an earlier run of the server too."""

    def __init__(self, root: Path, limit: int, seconds: float):
        self.root, self.limit, self.seconds = root, limit, seconds
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._entries = {entry.id: entry for entry in self._read_folders()}

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, session_id: str) -> Entry:
        """The session; WebError 404 where there is none, or no longer."""
        entry = self._entries.get(session_id)
        if entry is None:
            raise WebError(404, "this session is gone: open the video anew")
        entry.used = time.time()
        return entry

    def new_folder(self) -> tuple[str, Path]:
        """An id nobody can guess, and the place of its folder, not made yet."""
        session_id = secrets.token_urlsafe(ID_BYTES)
        return session_id, self.root / session_id

    def eviction_candidate(self) -> Entry:
        """The session in which nothing was done for longest; WebError 429."""
        idle = [e for e in self if not e.busy and not e.session_file.exists()]
        if not idle:
            raise WebError(
                429,
                f"{self.limit} sessions are open, which is the limit: close one first",
            )
        return min(idle, key=lambda entry: entry.used)

    def add(self, session_id: str, clip: Clip) -> Entry:
        """Answer to a new id; the clip lies in the session's folder already."""
        folder = clip.folder.parent
        entry = Entry(session_id, folder, clip, time.time())
        self.record_use(entry)  # first: where it fails, there is no session
        self._entries[session_id] = entry
        return entry

    def remove(self, entry: Entry) -> None:
        """Answer to its id no more; its files are the caller's to delete."""
        self._entries.pop(entry.id, None)

    def expired(self) -> list[Entry]:
        """The sessions whose time is over."""
        now, over = time.time(), []
        for entry in self:
            touched = entry.session_file.exists() or entry.revision
            kept = self.seconds if touched else min(UNTOUCHED, self.seconds)
            if not entry.busy and now - entry.used > kept:
                over.append(entry)
        return over

    def stale_use_records(self) -> list[Entry]:
        """The sessions that were used for a while since that was written down."""
        return [entry for entry in self if entry.used - entry.recorded > RECORD_EVERY]

    def record_use(self, entry: Entry) -> None:
        """Write down when a session was used, for the next run of the server.

        Also where that fails it is not tried again before more use.
        """
        entry.recorded = entry.used
        text = json.dumps(entry.used)
        write_aside(
            entry.folder / USED, lambda aside: aside.write_text(text, encoding="utf-8")
        )

    def _read_folders(self) -> Iterator[Entry]:
        for folder in self.root.iterdir():
            clip = read_clip(folder / CLIP)
            if clip is not None:
                clip = dataclasses.replace(clip, folder=folder / CLIP)
                used = _last_use(folder)
                yield Entry(folder.name, folder, clip, used, recorded=used)
            elif (folder / SAVED).exists():  # a person's work is never thrown away
                logging.warning("%s: a session without its video is left there", folder)
            else:
                logging.info("an unfinished session is removed")
                shutil.rmtree(folder, ignore_errors=True)


def _last_use(folder: Path) -> float:
    """When a session was used: as it was recorded, else when its folder changed."""
    try:
        return float(json.loads((folder / USED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return folder.stat().st_mtime
