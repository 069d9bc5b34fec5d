"""Small logits of observations, kept on disk as long as the observations live.

With them the memory of a frame can be made again exactly: tracking is taken up at any
place without a replay, and nothing but results grows with the video.
"""

import tempfile
import weakref

import numpy as np

from c2g_jax.session.session_state import Observation

LIMIT = 4 << 30  # bytes on disk; what comes later is made again from the shown mask


class LogitStore:
    """float32 [4h, 4w] by observation, in one temporary file."""

    def __init__(self, limit: int = LIMIT):
        self.limit = limit
        self._file = tempfile.TemporaryFile(prefix="c2g-logits-")  # noqa: SIM115
        self._end = 0
        self._places: weakref.WeakKeyDictionary[Observation, tuple] = (
            weakref.WeakKeyDictionary()
        )
        self._free: dict[int, list[int]] = {}  # bytes: places that can be used again

    def put(self, observation: Observation, logits: np.ndarray) -> None:
        """Keep logits, of any shape, while the observation lives; no more than fit."""
        data = np.ascontiguousarray(logits, np.float32)
        free = self._free.get(data.nbytes)
        if free:
            place = free.pop()
        elif self._end + data.nbytes <= self.limit:
            place, self._end = self._end, self._end + data.nbytes
        else:
            return
        self._file.seek(place)
        self._file.write(data.tobytes())
        self._places[observation] = place, data.shape
        gone = weakref.finalize(observation, self._release, place, data.nbytes)
        gone.atexit = False

    def get(self, observation: Observation) -> np.ndarray | None:
        """The logits, or None where there was no room for them."""
        if observation not in self._places:
            return None
        place, shape = self._places[observation]
        self._file.seek(place)
        data = self._file.read(4 * int(np.prod(shape)))
        return np.frombuffer(data, np.float32).reshape(shape)

    def close(self) -> None:
        self._places.clear()
        self._file.close()

    def _release(self, place: int, count: int) -> None:
        self._free.setdefault(count, []).append(place)
