"""Low-resolution logits of observations, on disk as long as the observations live.

From them the memory of a frame can be encoded again exactly: tracking continues from
any frame without a replay, and only the results grow with the video.
"""

import tempfile
import weakref

import numpy as np

from c2g_jax.session.session_state import Observation

LIMIT = 4 << 30  # bytes on disk; beyond it, logits are made from the mask


class LogitStore:
    """float32 [4h, 4w] by observation, in one temporary file."""

    def __init__(self):
        self._file = tempfile.TemporaryFile(prefix="c2g-logits-")  # noqa: SIM115
        self._end = 0
        self._places: weakref.WeakKeyDictionary[Observation, tuple] = (
            weakref.WeakKeyDictionary()
        )
        self._free: dict[int, list[int]] = {}  # free places by size in bytes

    def put(self, observation: Observation, logits: np.ndarray) -> None:
        """Store logits of any shape while the observation lives, if there is room."""
        data = np.ascontiguousarray(logits, np.float32)
        free = self._free.get(data.nbytes)
        if free:
            place = free.pop()
        elif self._end + data.nbytes <= LIMIT:
            place, self._end = self._end, self._end + data.nbytes
        else:
            return
        self._file.seek(place)
        self._file.write(data.tobytes())
        self._places[observation] = place, data.shape
        gone = weakref.finalize(observation, self._release, place, data.nbytes)
        gone.atexit = False

    def get(self, observation: Observation) -> np.ndarray | None:
        """Return the logits, None if they are not stored."""
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
