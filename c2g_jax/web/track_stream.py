"""Tracking, or finding everything, as JSON lines; each asked for runs one step.

A slow client therefore delays only itself, and the steps of several sessions alternate
with clicks in the worker's queue.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any

from c2g_jax.types import InputError
from c2g_jax.web.errors import WebError, describe_failure
from c2g_jax.web.sessions import Entry
from c2g_jax.web.worker import Worker


class TrackStream:
    """One run of a session's steps; `end` is called at least once, however it ends.

    use(entry, job): awaits `job(session)` in the worker (`SessionService.use`).
    begin: makes the iterator of a session's steps. running: what goes on meanwhile.
    doing: how the page calls a step.
    """

    def __init__(
        self,
        worker: Worker,
        entry: Entry,
        use: Callable[[Entry, Callable], Awaitable],
        begin: Callable[[Any], Iterator],
        running: str = "the video is being tracked",
        doing: str = "tracking",
    ):
        self._worker, self._entry = worker, entry
        self._use, self._begin = use, begin
        self.running, self._doing = running, f"{doing} {entry.name}"
        self._steps = None  # (session, generator of its updates)
        self._over = self._cancelled = False
        # Since when the client has asked for no step; None while a step runs, which
        # may compile, or be of a large model, and then takes minutes.
        self.idle_since: float | None = time.monotonic()

    async def start(self) -> None:
        """Begin; raises InputError if there is nothing to track."""
        try:
            self._steps = await self._use(
                self._entry, lambda s: (s, self._begin(s)), self._doing
            )
        except BaseException:
            self.end()
            raise

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield one JSON line per frame, then one with the reason of the end."""
        ended = "cancelled"
        try:
            # Before its first step the session itself does not know of a cancel.
            while not (self._over or self._cancelled):
                self.idle_since = None
                update = await self._worker.run(
                    self._step, bypass_limit=True, what=self._doing
                )
                self.idle_since = time.monotonic()
                if update is None:
                    ended = "cancelled" if self._cancelled else "done"
                    break
                yield _line(update)
            closing = self.end()
            if closing is not None:  # the last line means that the run is closed
                await asyncio.wrap_future(closing)
            yield _line({"end": ended})
        except (InputError, WebError) as error:
            yield _line({"end": "error", "error": str(error)})
        except Exception as error:
            logging.exception("%s failed", self._doing)
            yield _line({"end": "error", "error": describe_failure(error)})
        finally:
            self.end()

    def cancel(self) -> None:
        """Stop after the step that is running."""
        self._cancelled = True
        if self._steps is not None:
            self._steps[0].cancel()

    def end(self) -> Future | None:
        """Queue the closing of the run in the worker, and free the session after it.

        Returns the future of the closing, None if the run had already ended.
        """
        if self._over:
            return None
        self._over = True
        if self._steps is None:
            self._release()
            return None
        session, steps = self._steps
        session.cancel()
        closing = self._worker.post(steps.close)
        closing.add_done_callback(lambda _: self._release())
        return closing

    def _release(self) -> None:
        if self._entry.tracking is self:
            self._entry.tracking = None
            if self._steps is not None:  # otherwise nothing changed
                self._entry.revision += 1

    def _step(self) -> dict | None:
        session, steps = self._steps
        update = next(steps, None)
        return None if update is None else session.as_json(update)


def _line(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
