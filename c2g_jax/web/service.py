"""State shared by the routes: the worker, the model host, and all sessions."""

import asyncio
import contextlib
import functools
import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2g_jax.checkpoints.released.cache import report_on_stderr
from c2g_jax.media.frames import DEFAULT_FPS
from c2g_jax.media.outputs import DiskFull
from c2g_jax.session.file import read_session
from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip
from c2g_jax.web.default_clip import DefaultClip
from c2g_jax.web.errors import WebError, shorten
from c2g_jax.web.projects import (
    clip_of,
    is_of_film,
    is_saved_session,
    keep_film,
    shown_as,
)
from c2g_jax.web.sessions import (
    CLIP,
    FILM,
    MAX_NAME,
    SAVED,
    Entry,
    Registry,
    file_stem,
)
from c2g_jax.web.track_stream import TrackStream
from c2g_jax.web.uploads import Limits, decode_file, receive_file
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
        self.preparing: str | None = None  # what is compiled beside the worker
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
                if entry.unsaved:
                    place = entry.session_file
                    self.worker.post(functools.partial(entry.session.save, place))
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
            # Not in the worker, which serves clicks meanwhile. A daemon: a compilation
            # cannot be stopped, and the server's end does not wait for it.
            threading.Thread(target=self._warm_tracking, daemon=True).start()
        except InputError as error:
            self.stage, self.failure = "failed", shorten(error)
            logging.error("there is no model: %s", self.failure)
        except Exception:
            logging.exception("the model could not be loaded")
            self.stage = "failed"
            self.failure = "the model could not be loaded: see the server's log"

    def _warm_tracking(self) -> None:
        try:
            self.model_host.warm_tracking(self._set_preparing)
        except Exception:  # the first tracking compiles, and reports what fails
            logging.exception("tracking could not be compiled ahead")
        finally:
            self.preparing = None

    def _set_preparing(self, stage: str) -> None:
        self.preparing = stage

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

    async def open_default(self, fps: float | None = None) -> Entry:
        """Open a session on the video that the server was started with."""
        default = await self.default_clip.get()
        source = self.default_clip.source
        with self._new_folder(default.name) as (session_id, folder):
            if fps is None or fps == default.fps or not source.is_file():
                clip = await asyncio.to_thread(default.link_to, folder / CLIP)
            else:
                clip = await decode_file(source, folder / CLIP, default.name, fps=fps)
            await asyncio.to_thread(keep_film, source, folder / FILM)
            return self.add(session_id, clip, default.name)

    async def open_newest(self) -> Entry:
        """Return the last used project on the video of the server's start, else a new
        one: whatever the browser, it goes on with the work, and leaves no folder."""
        default = await self.default_clip.get()
        source, fps = self.default_clip.source, self.settings.fps

        def fits(entry: Entry) -> bool:
            if fps is not None and entry.clip.fps != default.fps:
                return False
            try:
                return is_of_film(entry.clip, entry.film, default, source)
            except OSError:  # deleted meanwhile
                return False

        # Work comes before what nobody changed.
        found = sorted(self.registry, key=lambda e: (e.changed, e.used), reverse=True)
        newest = await asyncio.to_thread(lambda: next(filter(fits, found), None))
        if newest is None:
            return await self.open_default()
        return self.registry.get(newest.id)

    async def open_upload(
        self,
        chunks: AsyncIterator[bytes],
        name: str,
        fps: float = DEFAULT_FPS,
    ) -> Entry:
        """Open a session on an uploaded video or image, or on a session's file."""
        limits = self.settings.limits
        if self.uploads.locked():
            raise WebError(429, "two uploads are in progress: try again after them")
        async with self.uploads:
            with self._new_folder(name) as (session_id, folder):
                source = folder / "upload"
                await receive_file(chunks, source, limits)
                if is_saved_session(source):
                    clip = await self._take_saved(source, folder, name)
                    return self.add(session_id, clip, file_stem(name))
                clip = await decode_file(source, folder / CLIP, name, limits, fps)
                await asyncio.to_thread(keep_film, source, folder / FILM)
                source.unlink()
                return self.add(session_id, clip, name)

    async def _take_saved(self, source: Path, folder: Path, name: str) -> Clip:
        """Make an uploaded file that of a new folder's session; return its clip."""
        clips = {entry.clip.folder: entry.clip for entry in self.registry}
        with contextlib.suppress(WebError):
            default = await self.default_clip.get()
            clips[default.folder] = default

        def find() -> Clip:
            with shown_as(source, name):
                return clip_of(read_session(source), clips.values(), name)

        found = await self.worker.run(find, what=f"reading {name}")
        clip = await asyncio.to_thread(found.link_to, folder / CLIP)
        film = found.folder.parent / FILM
        await asyncio.to_thread(keep_film, film, folder / FILM)

        def check() -> None:  # that this model can go on with it
            with shown_as(source, name):
                self.model_host.open(clip, source).close()

        if self.failure is not None:
            raise WebError(503, self.failure)
        await self.worker.run(check, what=f"reading {name}")
        source.replace(folder / SAVED)
        return clip

    async def duplicate(self, entry: Entry) -> Entry:
        """Copy a project, as it is now."""
        name = f"{entry.name} copy"[:MAX_NAME]
        with self._new_folder(name) as (session_id, folder):
            clip = await asyncio.to_thread(entry.clip.link_to, folder / CLIP)
            await asyncio.to_thread(keep_film, entry.film, folder / FILM)
            if entry.changed:
                place = folder / SAVED
                await self.use(entry, lambda s: s.save(place), "copying the project")
            return self.add(session_id, clip, name)

    @contextlib.contextmanager
    def _new_folder(self, name: str) -> Iterator[tuple[str, Path]]:
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
        if self.failure is not None:
            raise WebError(503, self.failure)
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
        """Like `use`, for jobs that change the session; WebError 409 while tracking."""
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
