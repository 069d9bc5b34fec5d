"""Where a session is, and the ways back and forth: one change at a time, each undoable.

A change is an action, or a run of tracking, which may be cancelled between two frames.
"""

import threading
from collections.abc import Callable, Iterable, Iterator

from c2g_jax.session.session_state import SessionState
from c2g_jax.types import InputError

Step = tuple[str, SessionState]  # what was done, and a state to go to
Steps = Iterator[tuple[int, SessionState]]  # frames, each with the state then


class History:
    """The state of now, what led to it, and what was undone, the last one last.

    `changed` is called after every change, to save it.
    """

    def __init__(self, changed: Callable[[], object] = lambda: None):
        self.now = SessionState()
        self.done: list[Step] = []  # with the state before
        self.undone: list[Step] = []  # with the state after
        self.lock = threading.RLock()
        self._changed = changed
        self._running, self._stop = False, threading.Event()
        self._followed: tuple[int, SessionState] = (0, self.now)
        self._closed = False

    @property
    def can_undo(self) -> bool:
        return bool(self.done) and not self._running

    @property
    def can_redo(self) -> bool:
        return bool(self.undone) and not self._running

    def act(self, what: str, change: Callable[[SessionState], SessionState]) -> None:
        """Go on to the state that a change gives."""
        with self.lock:
            self._check_idle()
            self._commit(what, self.now, change(self.now))

    def undo(self) -> str:
        """Go back by one change; returns its name, InputError where there is none."""
        return self._turn(self.done, self.undone, "undo")

    def redo(self) -> str:
        """Do again what was undone last; returns its name."""
        return self._turn(self.undone, self.done, "redo")

    def resume(
        self, now: SessionState, done: Iterable[Step], undone: Iterable[Step]
    ) -> None:
        """Take over the state and the steps of a saved history."""
        self.now, self.done, self.undone = now, list(done), list(undone)

    def follow(
        self, legs: Iterable[range], track: Callable[[SessionState, range], Steps]
    ) -> Iterator[int]:
        """Track the frames of all legs; yields each when its state is that of now.

        However it ends, what is done is one change.
        """
        with self.lock:
            self._check_idle()
            self._running, self._followed = True, (0, self.now)
            self._stop.clear()
        try:
            for leg in legs:
                steps = track(self.now, leg)
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

    def cancel(self) -> None:
        """Let `follow` end after the step that runs; from any thread."""
        self._stop.set()

    def check_open(self) -> None:
        """InputError where `close` was called."""
        if self._closed:
            raise InputError("the session is closed: open it again")

    def close(self) -> None:
        """Allow no change any more; one that is made of tracking ends here."""
        with self.lock:
            try:
                self._end_following()
            finally:
                self._closed = True

    def _end_following(self) -> None:
        """Make one change of the frames that were tracked."""
        if not self._running:
            return
        self._running = False
        done, before = self._followed
        if done:
            self._commit(f"tracked {done} frames", before, self.now)

    def _commit(self, what: str, before: SessionState, after: SessionState) -> None:
        self.now = after
        self.done.append((what, before))
        self.undone.clear()  # the way on leads elsewhere now
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
            raise InputError("the video is being tracked: cancel that, or wait for it")
