"""The one thread that runs JAX: every use of a model or a session is a job in it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from c2g_jax.web.errors import WebError

MAX_WAITING = 64  # jobs; a longer queue would not be served in acceptable time


class Worker:
    """Runs jobs one at a time, first in, first out."""

    def __init__(self):
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="jax")
        self._slots = threading.BoundedSemaphore(MAX_WAITING)

    async def run(
        self, job: Callable[..., Any], *args: Any, bypass_limit: bool = False
    ) -> Any:
        """Return (or raise) what the job does; WebError 503 if the queue is full.

        A job whose caller is cancelled before its turn is skipped. bypass_limit: queue
        the job even if the queue is full; for callers with one job at a time.
        """
        if bypass_limit:
            return await asyncio.wrap_future(self._submit(job, *args))
        if not self._slots.acquire(blocking=False):
            raise WebError(503, "the server is busy: try again in a moment")
        try:
            future = self._submit(job, *args)
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(future)

    def post(self, job: Callable[[], Any]) -> Future:
        """Queue a job that has no waiting caller and must not be skipped."""
        future = self._submit(job)
        future.add_done_callback(_log_failure)
        return future

    def close(self) -> None:
        """Accept no more jobs; posted jobs are finished before Python exits.

        Waiting jobs of `run` are skipped when their callers are cancelled.
        """
        self._pool.shutdown(wait=False)

    def _submit(self, job: Callable[..., Any], *args: Any) -> Future:
        try:
            return self._pool.submit(job, *args)
        except RuntimeError:
            raise WebError(503, "the server is stopping: start it again") from None


def _log_failure(future: Future) -> None:
    """Log an exception that no caller receives."""
    error = None if future.cancelled() else future.exception()
    if error is not None:
        logging.error("a job of the worker failed", exc_info=error)
