"""State shared by the routes: the worker, the model host, and all sessions."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2g_jax.checkpoints.released.cache import report_on_stderr
from c2g_jax.media.outputs import DiskFull
from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip
from c2g_jax.web.default_clip import DefaultClip
from c2g_jax.web.errors import WebError, shorten
from c2g_jax.web.sessions import CLIP, Entry, Registry
from c2g_jax.web.track_stream import TrackStream
from c2g_jax.web.uploads import Limits, decode_file, receive_file
from c2g_jax.web.worker import Worker

MAX_OPEN = 8  # sessions in memory; the others are reopened from their files
MAX_PENDING = 8  # requests of one session in the worker's queue
SWEEP = 5.0  # seconds between checks for expired sessions and stalled tracking


@dataclass(frozen=True)
class Settings:
    """state: folder of the server's own files. video: what the page opens at first.

    hours: how long a session is kept after its last use. stall: seconds without a
    request for the next step after which tracking ends.
    """

    state: Path
    video: Path | None = None
    max_sessions: int = 32
    hours: float = 24.0
    limits: Limits = field(default_factory=Limits)
    stall: float = 60.0


class SessionService:
    """One per server. Its methods run in the event loop, sessions in the worker.

    model_host: `ModelHost`, or what has its methods.
    """

    def __init__(self, model_host: Any, settings: Settings):
        self.model_host, self.settings = model_host, settings
        self.worker, self.uploads = Worker(), asyncio.Semaphore(2)
        # One export is written at a time: drawing a video occupies a core for long.
        self.exporting = asyncio.Lock()
        self.default_clip = DefaultClip(settings.video, settings.state / "default")
        seconds = settings.hours * 3600
        self.registry = Registry(
            settings.state / "sessions", settings.max_sessions, seconds
        )
        self.stage, self.ready = "starting", False
        self.failure: str | None = None  # why there is no model
        self.warning: str | None = None

    # Starting and stopping

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the model and check on sessions; stop all tracking at the end."""
        tasks = [
            asyncio.create_task(job())
            for job in (self._load_model, self.default_clip.load, self._sweep)
        ]
        try:
            yield
        finally:
            for entry in self.registry:
                if entry.tracking is not None:
                    entry.tracking.end()
                self._record_use(entry)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.worker.close()

    async def _load_model(self) -> None:
        try:
            self.stage = "loading the model"
            self.warning = await self.worker.run(self.model_host.load, self._report)
            await self.worker.run(self.model_host.warm_up, self._set_stage)
            self.stage, self.ready = "ready", True
        except InputError as error:
            self.stage, self.failure = "failed", shorten(error)
            logging.error("there is no model: %s", self.failure)
        except Exception:
            logging.exception("the model could not be loaded")
            self.stage = "failed"
            self.failure = "the model could not be loaded: see the server's log"

    def _report(self, line: str) -> None:
        """Show a line about the weights, in the page and on stderr."""
        self.stage = line
        report_on_stderr(line)

    def _set_stage(self, stage: str) -> None:
        self.stage = stage

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for entry in self.registry:
                tracking = entry.tracking
                if tracking and time.monotonic() - tracking.asked > self.settings.stall:
                    tracking.end()
            for entry in self.registry.expired():
                self.close(entry)
            # Not in each request: fsync takes longer than computing a mask.
            for entry in self.registry.stale_use_records():
                await asyncio.to_thread(self._record_use, entry)

    # Sessions

    async def open_default(self) -> Entry:
        """Open a session on the video that the server was started with."""
        default = await self.default_clip.get()
        with self._new_folder() as (session_id, folder):
            clip = await asyncio.to_thread(default.link_to, folder / CLIP)
            return self._add(session_id, clip)

    async def open_upload(self, chunks: AsyncIterator[bytes], name: str) -> Entry:
        """Open a session on an uploaded video or image."""
        limits = self.settings.limits
        if self.uploads.locked():
            raise WebError(429, "two uploads are in progress: try again after them")
        async with self.uploads:
            with self._new_folder() as (session_id, folder):
                source = folder / "upload"
                await receive_file(chunks, source, limits)
                clip = await decode_file(source, folder / CLIP, name, limits)
                source.unlink()
                return self._add(session_id, clip)

    @contextlib.contextmanager
    def _new_folder(self) -> Iterator[tuple[str, Path]]:
        """Make the id and folder of a new session; an error removes the folder.

        WebError 429 if no session can be closed to make room, before any work is done.
        """
        for entry in self.registry.expired():
            self.close(entry)
        if len(self.registry) >= self.registry.limit:
            self.registry.eviction_candidate()
        session_id, folder = self.registry.new_folder()
        folder.mkdir(mode=0o700)
        try:
            yield session_id, folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _add(self, session_id: str, clip: Clip) -> Entry:
        """Register a new session; at the limit, an unchanged one is closed for it."""
        if len(self.registry) >= self.registry.limit:
            self.close(self.registry.eviction_candidate())
        return self.registry.add(session_id, clip)

    async def use(self, entry: Entry, job: Callable[[Any], Any]) -> Any:
        """Return `job(session)`, run in the worker."""
        if self.failure is not None:
            raise WebError(503, self.failure)
        if entry.waiting >= MAX_PENDING:
            raise WebError(429, "too many requests of this session wait: slow down")
        entry.waiting += 1
        try:
            return await self.worker.run(lambda: job(self._open_session(entry)))
        finally:
            entry.waiting -= 1

    async def change(self, entry: Entry, job: Callable[[Any], Any]) -> Any:
        """Like `use`, for jobs that change the session; WebError 409 while tracking."""
        if entry.tracking is not None:
            raise WebError(409, "the video is being tracked: cancel that first")
        result = await self.use(entry, job)
        entry.revision += 1
        return result

    def track(self, entry: Entry, **options: Any) -> TrackStream:
        """Begin a tracking run; WebError 409 if one is in progress."""
        if entry.tracking is not None:
            raise WebError(409, "the video is being tracked already")
        entry.tracking = TrackStream(self.worker, entry, self.use, options)
        return entry.tracking

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
        except (OSError, DiskFull):
            if entry.folder.exists():  # not closed in the meantime
                logging.exception("the last use of a session could not be saved")

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
