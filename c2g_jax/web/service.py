"""What the routes share: the worker, the model, the sessions, and how they meet."""

import asyncio
import contextlib
import json
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from c2g_jax.media.outputs import DiskFull
from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip, read_clip
from c2g_jax.web.errors import WebError, shorten
from c2g_jax.web.sessions import CLIP, Entry, Registry
from c2g_jax.web.track_stream import TrackStream
from c2g_jax.web.uploads import Limits, decode_file, receive_file
from c2g_jax.web.worker import Worker

SOURCE = "source.json"  # which file the default clip was made of
MAX_OPEN = 8  # sessions in memory; the others go on from their files
MAX_PENDING = 8  # requests of one session that wait for the worker
SWEEP = 5.0  # seconds between looks at what is over


@dataclass(frozen=True)
class Settings:
    """state: folder of the server's own files. video: what the page opens by itself.

    hours: how long a session is kept after it was last used. stall: seconds after
    which tracking that nobody listens to ends.
    """

    state: Path
    video: Path | None = None
    max_sessions: int = 32
    hours: float = 24.0
    limits: Limits = field(default_factory=Limits)
    stall: float = 60.0


class SessionService:
    """One for a server. Its methods run in the event loop, sessions in the worker."""

    def __init__(self, model_host: Any, settings: Settings):
        self.model_host, self.settings = model_host, settings
        self.worker, self.uploads = Worker(), asyncio.Semaphore(2)
        # One export is written at a time: painting a video takes a core for a while.
        self.exporting = asyncio.Lock()
        seconds = settings.hours * 3600
        self.registry = Registry(
            settings.state / "sessions", settings.max_sessions, seconds
        )
        self.stage, self.ready = "starting", False
        self.failure: str | None = None  # why there is no model
        self.warning: str | None = None
        self.clip: Clip | None = None  # what the page opens by itself
        self.clip_failure: str | None = None
        self._clip_made = asyncio.Event()

    # Starting and stopping

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load the model and watch over sessions; at the end all tracking stops."""
        tasks = [
            asyncio.create_task(job())
            for job in (self._warm_up, self._open_default, self._watch)
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

    async def _warm_up(self) -> None:
        try:
            self.stage = "loading the model"
            self.warning = await self.worker.run(self.model_host.load)
            await self.worker.run(self.model_host.warm_up, self._say)
            self.stage, self.ready = "ready", True
        except InputError as error:
            self.stage, self.failure = "failed", shorten(error)
            logging.error("there is no model: %s", self.failure)
        except Exception:
            logging.exception("the model could not be made ready")
            self.stage = "failed"
            self.failure = "the model could not be made ready: the log says why"

    def _say(self, stage: str) -> None:
        self.stage = stage

    async def _open_default(self) -> None:
        """Decode what the page shows by itself, once for all its sessions."""
        source = self.settings.video
        try:
            if source is not None:
                self.clip = await self._decoded(source)
        except (InputError, WebError) as error:
            self.clip_failure = shorten(error)
        except OSError as error:
            self.clip_failure = shorten(
                f"{source.name}: cannot be opened ({error.strerror}): mend that, and "
                "start the server again"
            )
        except Exception:
            logging.exception("the video could not be opened")
            self.clip_failure = f"{source.name}: cannot be opened: the log says why"
        finally:
            if self.clip_failure is not None:
                logging.error("no video to begin with: %s", self.clip_failure)
            self._clip_made.set()

    async def _decoded(self, source: Path) -> Clip:
        """The clip of the server's own video, from an earlier run if it is the same."""
        place, told = self.settings.state / "default", source.stat()
        known = [str(source), told.st_size, told.st_mtime_ns]
        if source.is_file() and (clip := read_clip(place / CLIP)):
            with contextlib.suppress(OSError, ValueError):
                if json.loads((place / SOURCE).read_text(encoding="utf-8")) == known:
                    return clip
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        clip = await decode_file(source, place / CLIP, source.name, None)
        (place / SOURCE).write_text(json.dumps(known), encoding="utf-8")
        return clip

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for entry in self.registry:
                tracking = entry.tracking
                if tracking and time.monotonic() - tracking.asked > self.settings.stall:
                    tracking.end()
            for entry in self.registry.expired():
                self.close(entry)
            # Not by each request: a disk takes longer to be sure than a mask to appear.
            for entry in self.registry.stale_use_records():
                await asyncio.to_thread(self._record_use, entry)

    # Sessions

    async def open_default(self) -> Entry:
        """A session on the video that the server was started with."""
        await self._clip_made.wait()
        if self.clip is None:
            raise WebError(404, self.clip_failure or "no example ships: open a video")
        with self._new_folder() as (session_id, folder):
            clip = await asyncio.to_thread(self.clip.link_to, folder / CLIP)
            return self._add(session_id, clip)

    async def open_upload(self, chunks: AsyncIterator[bytes], name: str) -> Entry:
        """A session on what a client sends."""
        limits = self.settings.limits
        if self.uploads.locked():
            raise WebError(429, "two uploads are under way: try again when they end")
        async with self.uploads:
            with self._new_folder() as (session_id, folder):
                source = folder / "upload"
                await receive_file(chunks, source, limits)
                clip = await decode_file(source, folder / CLIP, name, limits)
                source.unlink()
                return self._add(session_id, clip)

    @contextlib.contextmanager
    def _new_folder(self) -> Iterator[tuple[str, Path]]:
        """Id and folder of a session that is made, gone again where it fails.

        WebError 429 where there can be no room for it, before any work is done.
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
        """Answer to a session that is made; an untouched one goes where it must."""
        if len(self.registry) >= self.registry.limit:
            self.close(self.registry.eviction_candidate())
        return self.registry.add(session_id, clip)

    async def use(self, entry: Entry, job: Callable[[Any], Any]) -> Any:
        """What `job(session)` returns, run in the worker in its turn."""
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
        """As `use`, for what changes the session: refused while it is tracked."""
        if entry.tracking is not None:
            raise WebError(409, "the video is being tracked: cancel that first")
        found = await self.use(entry, job)
        entry.revision += 1
        return found

    def track(self, entry: Entry, **how: Any) -> TrackStream:
        """Begin to track; refused while it is tracked already."""
        if entry.tracking is not None:
            raise WebError(409, "the video is being tracked already")
        entry.tracking = TrackStream(self, entry, how)
        return entry.tracking

    def close(self, entry: Entry) -> None:
        """Delete a session with all its files, behind what the worker does for it."""
        if entry.tracking is not None:
            entry.tracking.end()
        self.registry.remove(entry)

        def delete() -> None:
            if entry.session is not None:
                entry.session.close()
            shutil.rmtree(entry.folder, ignore_errors=True)

        self.worker.post(delete)

    def _record_use(self, entry: Entry) -> None:
        """Write down when a session was used; what was done stands without it."""
        try:
            self.registry.record_use(entry)
        except (OSError, DiskFull):
            if entry.folder.exists():  # it was not closed meanwhile
                logging.exception("the use of a session could not be recorded")

    def _open_session(self, entry: Entry) -> Any:
        """The session in memory; runs in the worker."""
        if entry.session is None:
            others = [e for e in self.registry if e.session is not None and not e.busy]
            others.sort(key=lambda e: e.used)
            for other in others[: max(0, len(others) - MAX_OPEN + 1)]:
                other.session.close()
                other.session = None
            entry.session = self.model_host.open(entry.clip, entry.session_file)
        return entry.session
