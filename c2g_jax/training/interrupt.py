"""Ctrl-C or SIGTERM stops after the current step; a second one stops at once."""

import signal
import threading
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Context manager that is true after SIGINT or SIGTERM.

    A second signal raises KeyboardInterrupt. Signals are only handled in the main
    thread.
    """

    def __init__(self):
        self._asked, self._before = False, {}

    def __bool__(self) -> bool:
        return self._asked

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._ask) for s in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
