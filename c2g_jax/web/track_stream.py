"""Tracking as a stream: a step of the model is taken when the client asks for one.

So a slow client slows down nobody but itself, and steps of several sessions and their
clicks take turns at the worker.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from c2g_jax.types import InputError
from c2g_jax.web.errors import WebError, reason

if TYPE_CHECKING:
    from c2g_jax.web.service import SessionService
    from c2g_jax.web.sessions import Entry


class TrackStream:
    """One run of `session.track`. However it ends, `end` is called, once or more."""

    def __init__(self, service: "SessionService", entry: "Entry", how: dict[str, Any]):
        self._service, self._entry, self._how = service, entry, how
        self._steps = None
        self._over = self._cancelled = False
        self.asked = time.monotonic()  # when a step was asked for last

    async def start(self) -> None:
        """Begin; raises InputError where there is nothing to track."""
        try:
            self._steps = await self._service.use(self._entry, self._begin)
        except BaseException:
            self.end()
            raise

    def _begin(self, session):
        return session, session.track(**self._how)

    async def lines(self) -> AsyncIterator[bytes]:
        """A line of JSON for each frame, and one that says how it ended."""
        ended = "cancelled"
        try:
            # The session itself knows nothing of a cancel before its first step.
            while not (self._over or self._cancelled):
                self.asked = time.monotonic()
                update = await self._service.worker.run(self._step, patient=True)
                if update is None:
                    ended = "cancelled" if self._cancelled else "done"
                    break
                yield _line(update)
            closing = self.end()
            if closing is not None:  # when the client reads on, all is settled
                await asyncio.wrap_future(closing)
            yield _line({"end": ended})
        except (InputError, WebError) as error:
            yield _line({"end": "error", "error": str(error)})
        except Exception as error:
            logging.exception("tracking failed")
            yield _line({"end": "error", "error": reason(error)})
        finally:
            self.end()

    def cancel(self) -> None:
        """Let it end after the step that runs."""
        self._cancelled = True
        if self._steps is not None:
            self._steps[0].cancel()

    def end(self) -> Future | None:
        """Close the run behind whatever the worker does now, and free the session.

        Returns what tells when that is done, None where it was ended before.
        """
        if self._over:
            return None
        self._over = True
        if self._steps is None:
            self._release()
            return None
        session, steps = self._steps
        session.cancel()
        closing = self._service.worker.post(steps.close)
        closing.add_done_callback(lambda _: self._release())
        return closing

    def _release(self) -> None:
        if self._entry.tracking is self:
            self._entry.tracking = None
            if self._steps is not None:  # else nothing came of it
                self._entry.revision += 1

    def _step(self) -> dict | None:
        session, steps = self._steps
        update = next(steps, None)
        return None if update is None else session.as_json(update)


def _line(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
