"""Run a function on many tasks in worker processes, with progress."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

POLL = 0.5  # seconds between progress updates
FEW_FRAMES = 200  # not worth the start of worker processes
_progress: Callable[[int], None] | None = None


def advance(frames: int) -> None:
    """Report progress from within a task: this many more frames are done."""
    if _progress is not None:
        _progress(frames)


def run_tasks(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    workers: int = 1,
    frames: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Any]:
    """Yield results in the order of the tasks; progress is called with frames done.

    With one worker, or at most FEW_FRAMES frames in total, tasks run in this process.
    An exception in a task ends the run.
    """
    workers = min(workers, len(tasks))
    if workers <= 1 or (frames is not None and frames <= FEW_FRAMES):
        yield from _run_here(function, tasks, progress)
        return
    _make_importable()
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    pool = ProcessPoolExecutor(workers, context, _start_worker, (done,))
    seen = 0

    def report() -> None:
        nonlocal seen
        if progress is not None and done.value > seen:
            progress(done.value - seen)
            seen = done.value

    try:
        with _uninterrupted():
            futures = [pool.submit(function, task) for task in tasks]
        for future in futures:
            while not future.done():
                wait([future], POLL, FIRST_COMPLETED)
                report()
            yield future.result()
        report()
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Block SIGINT here and, until they unblock it, in processes started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_here(function, tasks, progress) -> Iterator[Any]:
    global _progress
    before, _progress = _progress, progress
    try:
        for task in tasks:
            yield function(task)
    finally:
        _progress = before


def _make_importable() -> None:
    """Put this package on sys.path; `tfds build` removes it after the import."""
    folder = str(Path(__file__).resolve().parents[1])
    if folder not in sys.path:
        sys.path.append(folder)  # workers inherit the path


def _start_worker(done) -> None:
    global _progress

    def add(frames: int) -> None:
        with done.get_lock():
            done.value += frames

    _progress = add
    # Ctrl-C reaches this process too: end it without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # Without this, workers of a killed parent would wait for tasks forever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
