"""The one thread that runs JAX: every use of a model or a session is a job in it."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from c2g_jax.types import InputError
from c2g_jax.web.errors import WebError, shorten

MAX_WAITING = 64  # jobs; a longer queue would not be served in acceptable time
_STOPPING = "the server is stopping: start it again"


class Worker:
    """Runs jobs one at a time, first in, first out; `doing`: what, if it is told."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="jax")
        self._slots = threading.BoundedSemaphore(MAX_WAITING)
        self._waiting: set[asyncio.Future] = set()  # done when all waiting ends
        self._stopping = False
        self.posted: set[Future] = set()  # jobs of `post` that are not done
        self.doing: str | None = None
        self.closed = False
        self._lock, self._left = threading.Lock(), 0  # jobs that are not done
        self._since = time.monotonic()  # when the last of them was

    async def run(
        self,
        job: Callable[..., Any],
        *args: Any,
        bypass_limit: bool = False,
        what: str | None = None,
    ) -> Any:
        """Return (or raise) what the job does; WebError 503 if the queue is full.

        A job whose caller is cancelled before its turn is skipped. bypass_limit: queue
        the job even if the queue is full; for callers with one job at a time. what:
        `doing` while it runs.
        """
        if bypass_limit:
            return await self._result(self._submit(self._told, what, job, *args))
        if not self._slots.acquire(blocking=False):
            raise WebError(503, "the server is busy: try again in a moment")
        try:
            future = self._submit(self._told, what, job, *args)
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda _: self._slots.release())
        return await self._result(future)

    def post(self, job: Callable[[], Any]) -> Future:
        """Queue a job that has no waiting caller and must not be skipped."""
        future = self._submit(job)
        self.posted.add(future)
        future.add_done_callback(_log_failure)
        future.add_done_callback(self.posted.discard)
        return future

    def idle_seconds(self) -> float:
        """Return since when there is no job; 0 while one runs or waits."""
        with self._lock:
            return 0.0 if self._left else time.monotonic() - self._since

    def stop_waiting(self) -> None:
        """End the waiting of all callers, with WebError 503; in the event loop."""
        self._stopping = True
        for stop in self._waiting:
            stop.set_result(None)
        self._waiting.clear()

    def close(self) -> None:
        """Accept no more jobs; posted jobs are finished before Python exits.

        Waiting jobs of `run` are skipped when their callers are cancelled.
        """
        self.closed = True
        self._pool.shutdown(wait=False)

    def finish_posted(self) -> None:
        """Wait for the posted jobs, and so for what runs before them."""
        wait(tuple(self.posted))

    def _told(self, what: str | None, job: Callable[..., Any], *args: Any) -> Any:
        self.doing = what
        try:
            return job(*args)
        finally:
            self.doing = None

    async def _result(self, future: Future) -> Any:
        """Wait for a job, or for `stop_waiting`."""
        done = asyncio.wrap_future(future)
        stop = asyncio.get_running_loop().create_future()
        self._waiting.add(stop)
        try:
            if not self._stopping:
                await asyncio.wait((done, stop), return_when=asyncio.FIRST_COMPLETED)
            if done.done():
                return done.result()
            raise WebError(503, _STOPPING)
        finally:
            done.cancel()
            self._waiting.discard(stop)

    def _submit(self, job: Callable[..., Any], *args: Any) -> Future:
        try:
            future = self._pool.submit(job, *args)
        except RuntimeError:
            raise WebError(503, _STOPPING) from None
        with self._lock:
            self._left += 1
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: Future) -> None:
        with self._lock:
            self._left -= 1
            self._since = time.monotonic()


def _log_failure(future: Future) -> None:
    """Log an exception that no caller receives; what is no bug in one sentence."""
    error = None if future.cancelled() else future.exception()
    if isinstance(error, (InputError, OSError)):
        logging.error("%s", shorten(error))
    elif error is not None:
        logging.error("a job of the worker failed", exc_info=error)
