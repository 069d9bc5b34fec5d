"""Ctrl-C while a program is loaded: one line and its end, at once.

What is imported then is others' code, which shows a KeyboardInterrupt as a traceback,
or swallows it and goes on. Nothing has been written by that time.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
STOPPED = "stopped before the end"


def leave_at_once() -> None:
    """End on Ctrl-C from here on, whatever runs; `raise_again` undoes it."""
    if _is_ours() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_again() -> None:
    """Let Ctrl-C be a KeyboardInterrupt, as it is in any Python."""
    if _is_ours() and signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """`leave_at_once` for the imports in its body."""
    leave_at_once()
    try:
        yield
    finally:
        raise_again()


def _is_ours() -> bool:
    """Whether handlers can be set here: Python has them in its main thread alone."""
    return threading.current_thread() is threading.main_thread()


def _leave(number: int, frame: object) -> None:
    os.write(2, f"{STOPPED}\n".encode("ascii"))
    os._exit(INTERRUPTED)
