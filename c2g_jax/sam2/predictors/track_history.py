"""What tracking gave on recent frames, and snapshots to go back further from.

The last frames are held in memory. Beside them, every so many frames the memories that
the next frame needs are written to disk: with those and the frames of the video,
tracking can be taken up again close before any frame.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from c2g_jax.sam2.memory import RECENT

WINDOW = 64  # tracked frames that are held
SNAPSHOT_EVERY = 64
_POINTERS = 15  # frames behind whose pointers are needed
MAX_STRIDE = 9  # of memories; their frames lie within the window


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedFrame:
    """What tracking gave on one frame for the n slots of the batch.

    Frames that come from a snapshot have no masks, and far ones no memory.
    """

    active: np.ndarray  # bool [n], objects that were tracked on it
    memory: np.ndarray | None  # [n, h, w, m]
    pointer: np.ndarray  # [n, c]
    mask_logits: np.ndarray | None = None  # float32 [n, 4h, 4w], holes filled
    iou: np.ndarray | None = None  # float32 [n]
    object_score: np.ndarray | None = None  # float32 [n]

    def has(self, slot: int) -> bool:
        """Whether the object in a slot was tracked on this frame."""
        return slot < len(self.active) and bool(self.active[slot])


class TrackHistory:
    """Tracked frames by index; `stride` is that of the memories attended to."""

    def __init__(self, stride: int = 1):
        self.stride = stride
        self.frames: dict[int, TrackedFrame] = {}
        self._folder: tempfile.TemporaryDirectory | None = None
        self._snapshots: dict[tuple[int, int], int] = {}  # (direction, frame): when
        self._clock = 0
        self._forgotten: dict[int, int] = {}  # slot: when

    def add(self, frame: int, tracked: TrackedFrame) -> None:
        """Hold a frame; objects it did not track keep what was held of them."""
        old = self.frames.get(frame)
        if old is not None and old.mask_logits is not None:
            tracked = _merge(old, tracked)
        self.frames[frame] = tracked
        for far in [t for t in self.frames if abs(t - frame) >= WINDOW]:
            del self.frames[far]

    def forget(self, slot: int) -> None:
        """Forget the object in a slot, in snapshots too."""
        self._clock += 1
        self._forgotten[slot] = self._clock
        for frame, tracked in self.frames.items():
            if tracked.has(slot):
                active = tracked.active.copy()
                active[slot] = False
                self.frames[frame] = dataclasses.replace(tracked, active=active)

    def save_snapshot(self, frame: int, direction: int) -> None:
        """Write a snapshot: what tracking `frame` in this direction needs."""
        self._clock += 1
        self._snapshots[direction, frame] = self._clock
        arrays = {}
        reach = (RECENT + 1) * self.stride
        for age in range(1, max(_POINTERS, reach) + 1):
            place = frame - direction * age
            tracked = self.frames.get(place)
            if tracked is not None:
                arrays[f"active{age}"] = tracked.active
                # float32 holds bfloat16 exactly, and numpy's files know it.
                arrays[f"pointer{age}"] = tracked.pointer.astype(np.float32)
                needed = age == 1 or (age <= reach and place % self.stride == 0)
                if needed and tracked.memory is not None:
                    arrays[f"memory{age}"] = tracked.memory.astype(np.float32)
        np.savez(self._path(frame, direction), **arrays)

    def restore_snapshot(self, frame: int, direction: int) -> int | None:
        """Take in the nearest snapshot behind a frame; the frame it was made before.

        None if there is none.
        """
        behind = [
            t
            for side, t in self._snapshots
            if side == direction and (frame - t) * direction >= 0
        ]
        if not behind:
            return None
        start = min(behind, key=lambda t: abs(frame - t))
        made = self._snapshots[direction, start]
        with np.load(self._path(start, direction)) as arrays:
            ages = [
                int(name[len("active") :])
                for name in arrays
                if name.startswith("active")
            ]
            for age in ages:
                active = arrays[f"active{age}"]
                for slot, when in self._forgotten.items():
                    if when > made and slot < len(active):
                        active[slot] = False
                memory = arrays.get(f"memory{age}")
                place = start - direction * age
                held = self.frames.get(place)
                if held is None or held.mask_logits is None:
                    tracked = TrackedFrame(active, memory, arrays[f"pointer{age}"])
                    self.frames[place] = tracked
        return start

    def _path(self, frame: int, direction: int) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="sam2-track-")
        name = f"{'forward' if direction > 0 else 'reverse'}-{frame}.npz"
        return Path(self._folder.name) / name

    def close(self) -> None:
        """Forget everything and delete the snapshots."""
        self.frames.clear()
        self._snapshots.clear()
        self._forgotten.clear()
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None


def _merge(old: TrackedFrame, new: TrackedFrame) -> TrackedFrame:
    """`new` where it tracked, else what `old` held of the object."""
    count = max(len(old.active), len(new.active))
    fresh = np.zeros(count, bool)
    fresh[: len(new.active)] = new.active
    kept = np.zeros(count, bool)
    kept[: len(old.active)] = old.active

    def pick(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        out = np.zeros((count, *after.shape[1:]), after.dtype)
        out[: len(before)] = before
        out[fresh] = after[new.active]
        return out

    names = [f.name for f in dataclasses.fields(new) if f.name != "active"]
    picked = {name: pick(getattr(old, name), getattr(new, name)) for name in names}
    return TrackedFrame(active=fresh | kept, **picked)
