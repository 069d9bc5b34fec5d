"""The one thread that owns JAX: whatever touches a model or a session runs there."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from c2g_jax.web.errors import WebError

MAX_WAITING = 64  # jobs; more than that is not served in time anyway


class Worker:
    """Jobs one after the other, in the order they came, whoever sent them."""

    def __init__(self, max_waiting: int = MAX_WAITING):
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="jax")
        self._room = threading.BoundedSemaphore(max_waiting)

    async def run(
        self, job: Callable[..., Any], *args: Any, patient: bool = False
    ) -> Any:
        """What the job returns or raises; WebError 503 where too many wait.

        A job whose caller is gone before its turn is left out. `patient`: it is one of
        few, and waits however many do.
        """
        if patient:
            return await asyncio.wrap_future(self._submit(job, *args))
        if not self._room.acquire(blocking=False):
            raise WebError(503, "the server is busy: try again in a moment")
        try:
            future = self._submit(job, *args)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)

    def post(self, job: Callable[[], Any]) -> Future:
        """Run a job that nobody waits for and that must not be left out."""
        future = self._submit(job)
        future.add_done_callback(_log_failure)
        return future

    def close(self) -> None:
        """Take no more jobs; those that were posted are done before Python ends.

        Of the others, those that wait are left out when their callers go.
        """
        self._pool.shutdown(wait=False)

    def _submit(self, job: Callable[..., Any], *args: Any) -> Future:
        try:
            return self._pool.submit(job, *args)
        except RuntimeError:
            raise WebError(503, "the server is stopping: start it again") from None


def _log_failure(future: Future) -> None:
    """Tell of an error that nobody waits for."""
    error = None if future.cancelled() else future.exception()
    if error is not None:
        logging.error("a job of the worker failed", exc_info=error)
