"""Arrays of observations, in a temporary file as long as the observations live.

What a session tracked is read from there, never approximated: the result of a pass does
not depend on what is held in memory, and only the file grows with the video.
"""

import weakref

import numpy as np

from c2g_jax.media.spill import Place, SpillFile
from c2g_jax.session.state_parts import Observation


class ObservationArrays:
    """One array by observation, such as its logits, in a shared `SpillFile`."""

    def __init__(self, spill: SpillFile):
        self._spill = spill
        self._places: weakref.WeakKeyDictionary[Observation, Place] = (
            weakref.WeakKeyDictionary()
        )

    def put(self, observation: Observation, array: np.ndarray) -> None:
        """Store the array while the observation lives; InputError on a full disk."""
        if observation in self._places:
            return
        place = self._spill.write([np.asarray(array)])
        self._places[observation] = place
        gone = weakref.finalize(observation, self._spill.free, place)
        gone.atexit = False

    def get(self, observation: Observation) -> np.ndarray | None:
        """Return the array, None if there is none."""
        place = self._places.get(observation)
        return None if place is None else self._spill.read(place)[0]

    def clear(self) -> None:
        """Forget all arrays, before their file is closed."""
        self._places.clear()
