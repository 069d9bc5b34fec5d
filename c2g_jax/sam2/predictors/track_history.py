"""What tracking gave for one object, by frame: the last word on every frame.

Frames near the one tracked last are held in memory. The others are spilled to a
temporary file and recalled from there, so that no result depends on what is held. A
stream is read once, so frames that left its window are forgotten instead.
"""

from typing import NamedTuple

import numpy as np

from c2g_jax.media.spill import Place, SpillFile

WINDOW = 64  # frames held in memory, on either side of the one tracked last


class TrackedFrame(NamedTuple):
    """The output of tracking one object to one frame."""

    memory: np.ndarray  # [h, w, m]
    pointer: np.ndarray  # [c]
    mask_logits: np.ndarray  # float32 [4h, 4w], holes filled
    iou: float
    object_score: float
    direction: int  # of tracking: 1 forward in time, -1 in reverse


class TrackHistory:
    """The tracked frames of one object; a frame tracked again replaces the earlier."""

    def __init__(self, window: int, spill: SpillFile | None):
        """Hold `window` frames; without a `spill` file the others are forgotten."""
        self._window, self._spill = window, spill
        self.held: dict[int, TrackedFrame] = {}
        self._spilled: dict[int, Place] = {}

    def get(self, frame: int) -> TrackedFrame | None:
        """Return what tracking gave on a frame, None if it is not known."""
        if frame in self._spilled:
            *arrays, numbers = self._spill.read(self._spilled[frame])
            iou, score, direction = numbers.tolist()
            return TrackedFrame(*arrays, iou, score, int(direction))
        return self.held.get(frame)

    def add(self, frame: int, tracked: TrackedFrame) -> None:
        """Store what tracking gave on a frame; InputError if the disk is full."""
        self._discard(frame)
        self.held[frame] = tracked
        for far in [t for t in self.held if abs(t - frame) >= self._window]:
            if self._spill is not None:
                # Scalars as float64, which holds float32 exactly.
                *arrays, iou, score, direction = self.held[far]
                numbers = np.array([iou, score, direction], np.float64)
                self._spilled[far] = self._spill.write((*arrays, numbers))
            del self.held[far]

    def clear(self) -> None:
        """Forget all frames."""
        for frame in list(self._spilled):
            self._discard(frame)
        self.held.clear()

    def _discard(self, frame: int) -> None:
        place = self._spilled.pop(frame, None)
        if place is not None:
            self._spill.free(place)
