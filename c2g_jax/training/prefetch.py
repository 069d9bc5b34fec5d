"""Load the next batches onto the device while a step runs."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_POLL = 0.005  # seconds
_DEPTH = 2  # batches read ahead


class LoadedBatch(NamedTuple):
    """A batch on the device, and the loader's state after it."""

    batch: dict[str, Any]
    loader: Any


class Prefetcher:
    """Reads ahead in its own thread. `iterator` has get_state() and close()."""

    def __init__(
        self,
        iterator: Iterator[dict[str, Any]],
        put: Callable[[dict[str, Any]], dict[str, Any]],
    ):
        self._iterator, self._put = iterator, put
        self._queue: queue.Queue = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def get(
        self, idle: Callable[[], bool], stop: Callable[[], bool]
    ) -> tuple[LoadedBatch | None, float]:
        """Return the next batch, and the seconds in which the device was idle.

        None if `stop` becomes true before there is one, or the data ends. Exceptions of
        the reading thread are raised here.
        """
        waited_from = None
        while True:
            try:
                item = self._queue.get(timeout=_POLL)
            except queue.Empty:
                if stop():
                    return None, 0.0
                if waited_from is None and idle():
                    waited_from = time.perf_counter()
                continue
            if isinstance(item, BaseException):
                raise item
            now = time.perf_counter()
            return item, 0.0 if waited_from is None else now - waited_from

    def close(self) -> None:
        """Stop reading and close the iterator."""
        self._stop.set()
        self._thread.join()
        self._iterator.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                batch = next(self._iterator, None)
                if batch is None:
                    return self._offer(None)
                state = self._iterator.get_state()
                self._offer(LoadedBatch(self._put(batch), state))
        except BaseException as error:  # raised by `get`
            self._offer(error)

    def _offer(self, item: LoadedBatch | BaseException | None) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=_POLL * 10)
            except queue.Full:
                continue
