"""State shared by the routes: the worker, the model, and all sessions."""

import asyncio
import contextlib
import functools
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2g_jax.media.frames import DEFAULT_FPS
from c2g_jax.media.outputs import DiskFull
from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip
from c2g_jax.web.default_clip import DefaultClip
from c2g_jax.web.errors import WebError
from c2g_jax.web.readiness import Readiness
from c2g_jax.web.sessions import Entry, Registry
from c2g_jax.web.track_stream import TrackStream
from c2g_jax.web.uploads import Limits
from c2g_jax.web.worker import Worker

MAX_OPEN = 8  # sessions in memory; the others are reopened from their files
MAX_PENDING = 8  # requests of one session in the worker's queue
SWEEP = 5.0  # seconds between checks for expired sessions and stalled tracking


@dataclass(frozen=True)
class Settings:
    """state: folder of the server's own files. video: what the page opens at first.

    fps: sampled frames per second, None for the default of videos. projects: folder of
    what persons work on, by default in `state`. max_sessions: that nobody changed;
    hours: how long they are kept after their last use. stall: seconds without a request
    for the next step after which tracking ends.
    """

    state: Path
    video: Path | None = None
    fps: float | None = None
    projects: Path | None = None
    max_sessions: int = 32
    hours: float = 1.0
    limits: Limits = field(default_factory=Limits)
    stall: float = 60.0


class SessionService:
    """One per server. Its methods run in the event loop, sessions in the worker.

    model_host: `ModelHost`, or what has its methods.
    """

    def __init__(self, model_host: Any, settings: Settings):
        self.model_host, self.settings = model_host, settings
        self.worker, self.uploads = Worker(), asyncio.Semaphore(2)
        self.readiness = Readiness(model_host, self.worker)
        self.fps = settings.fps or DEFAULT_FPS
        # One export is written at a time: drawing a video occupies a core for long.
        self.exporting = asyncio.Lock()
        self.default_clip = DefaultClip(
            settings.video, settings.state / "default", self.fps
        )
        seconds = settings.hours * 3600
        earlier = settings.state / "sessions"
        root = settings.projects or settings.state / "projects"
        self.registry = Registry(root, settings.max_sessions, seconds, earlier)

    # Starting and stopping

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the model and check on sessions; stop all tracking at the end."""
        tasks = [
            asyncio.create_task(job())
            for job in (self.readiness.load, self.default_clip.load, self._sweep)
        ]
        try:
            yield
        finally:
            for entry in self.registry:
                if entry.tracking is not None:
                    entry.tracking.end()
                if entry.unsaved:
                    place = entry.session_file
                    self.worker.post(functools.partial(entry.session.save, place))
                self._record_use(entry)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.worker.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for entry in self.registry:
                if entry.tracking is None or entry.tracking.idle_since is None:
                    continue
                idle = time.monotonic() - entry.tracking.idle_since
                if idle > self.settings.stall:
                    entry.tracking.end()
            for entry in self.registry.expired():
                self.close(entry)
            # Not in each request: fsync takes longer than computing a mask.
            for entry in self.registry.stale_use_records():
                await asyncio.to_thread(self._record_use, entry)

    # Sessions

    @contextlib.contextmanager
    def new_folder(self, name: str) -> Iterator[tuple[str, Path]]:
        """Make the id and folder of a new session; an error removes the folder.

        WebError 429 if no session can be closed to make room, before any work is done.
        """
        for entry in self.registry.expired():
            self.close(entry)
        self.registry.eviction_candidate()
        session_id, folder = self.registry.new_folder(name)
        try:
            yield session_id, folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def add(self, session_id: str, clip: Clip, name: str) -> Entry:
        """Register a new session; at the limit, an unchanged one is closed for it."""
        if (other := self.registry.eviction_candidate()) is not None:
            self.close(other)
        return self.registry.add(session_id, clip, name)

    async def use(
        self, entry: Entry, job: Callable[[Any], Any], what: str | None = None
    ) -> Any:
        """Return `job(session)`, run in the worker; what: how the page calls it."""
        if self.readiness.failure is not None:
            raise WebError(503, self.readiness.failure)
        if entry.waiting >= MAX_PENDING:
            raise WebError(429, "too many requests of this session wait: slow down")
        entry.waiting += 1
        try:
            return await self.worker.run(
                lambda: job(self._open_session(entry)), what=what
            )
        finally:
            entry.waiting -= 1

    async def change(
        self, entry: Entry, job: Callable[[Any], Any], what: str | None = None
    ) -> Any:
        """Like `use`, for jobs that change the session; WebError 409 while tracking,
        507 for a change that stands, but could not be saved."""
        if entry.tracking is not None:
            raise WebError(409, f"{entry.tracking.running}: cancel that first")
        entry.unsaved, was, changed = False, entry.unsaved, True
        try:
            return await self.use(entry, job, what)
        except InputError as error:
            # What could not be saved stands in memory, and is saved with the next one.
            # What was refused changed nothing.
            changed = isinstance(error.__cause__, (DiskFull, OSError))
            entry.unsaved = was or changed
            if changed:
                raise WebError(507, str(error)) from error
            raise
        finally:
            entry.revision += changed

    def track(self, entry: Entry, **options: Any) -> TrackStream:
        """Begin a tracking run; WebError 409 if one is in progress."""
        return self._follow(entry, lambda s: s.track(**options))

    def find(self, entry: Entry) -> TrackStream:
        """Begin to find everything; the same stream, and one at a time."""
        running = "everything is being found"
        return self._follow(entry, lambda s: s.finding(), running, "finding all in")

    def _follow(self, entry: Entry, *run: Any) -> TrackStream:
        if entry.tracking is not None:
            raise WebError(409, f"{entry.tracking.running} already")
        entry.tracking = TrackStream(self.worker, entry, self.use, *run)
        return entry.tracking

    def stop(self) -> None:
        """End all waiting, so that requests are answered before the server stops."""
        for entry in self.registry:
            if entry.tracking is not None:
                entry.tracking.end()
        self.worker.stop_waiting()

    def close(self, entry: Entry) -> None:
        """Delete a session and its files, after the jobs already in the worker."""
        if entry.tracking is not None:
            entry.tracking.end()
        self.registry.remove(entry)

        def delete() -> None:
            if entry.session is not None:
                entry.session.close()
            shutil.rmtree(entry.folder, ignore_errors=True)

        self.worker.post(delete)

    def _record_use(self, entry: Entry) -> None:
        """Save the time of last use; a failure is logged, the session stays valid."""
        try:
            self.registry.record_use(entry)
        except (OSError, DiskFull) as error:
            if entry.folder.exists():  # not closed in the meantime
                line = "%s: the time of its last use could not be saved: %s"
                logging.error(line, entry.name, error.strerror)

    def _open_session(self, entry: Entry) -> Any:
        """Return the session, opened from its files if needed; runs in the worker."""
        if entry.session is None:
            others = [e for e in self.registry if e.session is not None and not e.busy]
            others.sort(key=lambda e: e.used)
            for other in others[: max(0, len(others) - MAX_OPEN + 1)]:
                other.session.close()
                other.session = None
            entry.session = self.model_host.open(entry.clip, entry.session_file)
        return entry.session
