"""Ctrl-C during imports: print one line and exit at once.

Imported libraries would show a KeyboardInterrupt as a traceback, or ignore it. Nothing
has been written by that time, so there is nothing to clean up.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

INTERRUPTED = 130  # 128 + SIGINT, as in shells
STOPPED = "stopped before the end"


def exit_on_interrupt() -> None:
    """Exit the process on Ctrl-C from now on; `raise_on_interrupt` undoes it."""
    default = signal.default_int_handler
    if _is_main_thread() and signal.getsignal(signal.SIGINT) is default:
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """Raise KeyboardInterrupt on Ctrl-C, which is Python's default."""
    if _is_main_thread() and signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def interruptible_imports() -> Iterator[None]:
    """Apply `exit_on_interrupt` to the imports in the body."""
    exit_on_interrupt()
    try:
        yield
    finally:
        raise_on_interrupt()


def _is_main_thread() -> bool:
    """Return whether this is the main thread, the only one that can set handlers."""
    return threading.current_thread() is threading.main_thread()


def _exit(number: int, frame: object) -> None:
    os.write(2, f"{STOPPED}\n".encode("ascii"))
    os._exit(INTERRUPTED)
