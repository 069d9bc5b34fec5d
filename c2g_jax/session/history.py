"""Undo and redo: the current state, and the states before and after each change.

A change is an edit, a run of tracking, or an edit in steps; the latter two can be
cancelled between two steps.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

from c2g_jax.session.session_state import SessionState
from c2g_jax.types import InputError

Step = tuple[str, SessionState]  # the name of a change, and a state to return to
Steps = Iterator[tuple[int, SessionState]]  # frames, each with the state after it
T = TypeVar("T")

_TRACKED = "the video is being tracked"


class History:
    """The current state `now`, the changes `done` and those `undone`, latest last.

    `changed` is called after every change, to save it.
    """

    def __init__(self, changed: Callable[[], object]):
        self.now = SessionState()
        self.done: list[Step] = []  # with the state before
        self.undone: list[Step] = []  # with the state after
        self.lock = threading.RLock()
        self._changed = changed
        self._running: str | None = None  # what cannot be changed meanwhile, in words
        self._stop = threading.Event()
        self._followed: tuple[int, SessionState] = (0, self.now)
        self._closed = False

    @property
    def can_undo(self) -> bool:
        return bool(self.done) and not self._running

    @property
    def can_redo(self) -> bool:
        return bool(self.undone) and not self._running

    def act(self, what: str, change: Callable[[SessionState], SessionState]) -> None:
        """Apply a change to the current state."""
        with self.lock:
            self._check_idle()
            self._commit(what, self.now, change(self.now))

    def before(self) -> Iterator[SessionState]:
        """Yield the state before each change, that of the latest change first."""
        return (state for _, state in reversed(self.done))

    def undo(self) -> str:
        """Undo the last change and return its name; InputError if there is none."""
        return self._turn(self.done, self.undone, "undo")

    def redo(self) -> str:
        """Redo the change undone last and return its name."""
        return self._turn(self.undone, self.done, "redo")

    def resume(
        self, now: SessionState, done: Iterable[Step], undone: Iterable[Step]
    ) -> None:
        """Take over the state and the steps of a saved history."""
        self.now, self.done, self.undone = now, list(done), list(undone)

    def follow(
        self, ranges: Iterable[range], track: Callable[[SessionState, range], Steps]
    ) -> Iterator[int]:
        """Track the frames of all ranges; yield each once its state is the current one.

        However it ends, the frames that were tracked are one change.
        """
        with self.lock:
            self._check_idle()
            self._running, self._followed = _TRACKED, (0, self.now)
            self._stop.clear()
        try:
            for frames in ranges:
                steps = track(self.now, frames)
                while not self._stop.is_set():
                    with self.lock:
                        self.check_open()
                        found = next(steps, None)
                        if found is None:
                            break
                        frame, self.now = found
                        done, before = self._followed
                        self._followed = done + 1, before
                    yield frame
        finally:
            with self.lock:
                self._end_following()

    def act_in_steps(
        self,
        what: str,
        running: str,
        change: Callable[[SessionState], Generator[T, None, SessionState]],
    ) -> Iterator[T]:
        """Apply a change that takes long; yield what each step of it yields.

        `running` says to a person what goes on. Cancelled, closed, failed or without
        a new state it is no change.
        """
        with self.lock:
            self._check_idle()
            self._running, self._followed = running, (0, self.now)
            self._stop.clear()
        steps = change(self.now)
        try:
            while not self._stop.is_set():
                with self.lock:
                    self.check_open()
                    try:
                        step = next(steps)
                    except StopIteration as end:
                        self._running = None
                        if end.value is not self.now:
                            self._commit(what, self.now, end.value)
                        return
                yield step
        finally:
            steps.close()
            with self.lock:
                self._end_following()

    def cancel(self) -> None:
        """End what runs after the current step; call it from any thread."""
        self._stop.set()

    def check_open(self) -> None:
        """Raise InputError after `close`."""
        if self._closed:
            raise InputError("the session is closed: open it again")

    def close(self) -> None:
        """Allow no further change; tracking that runs ends here."""
        with self.lock:
            try:
                self._end_following()
            finally:
                self._closed = True

    def _end_following(self) -> None:
        """Record the tracked frames as one change."""
        if not self._running:
            return
        self._running = None
        done, before = self._followed
        if done:
            after = self.now.without_lost()
            self._commit(f"tracked {done} frames", before, after)

    def _commit(self, what: str, before: SessionState, after: SessionState) -> None:
        self.now = after
        self.done.append((what, before))
        self.undone.clear()  # they do not follow from the new state
        self._changed()

    def _turn(self, source: list[Step], target: list[Step], word: str) -> str:
        with self.lock:
            self._check_idle()
            if not source:
                raise InputError(f"there is nothing to {word}")
            what, state = source.pop()
            target.append((what, self.now))
            self.now = state
            self._changed()
            return what

    def _check_idle(self) -> None:
        self.check_open()
        if self._running:
            raise InputError(f"{self._running}: cancel that, or wait for it")
