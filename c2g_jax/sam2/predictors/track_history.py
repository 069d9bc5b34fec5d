"""Outputs of recently tracked frames, and snapshots on disk to go back further.

The last `WINDOW` frames are held in host memory. Every `SNAPSHOT_EVERY` frames the
memories and pointers that the next frame attends to are written to disk: from a
snapshot, tracking resumes near any earlier frame.
"""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from c2g_jax.sam2.memory import RECENT

WINDOW = 64  # tracked frames held in memory
SNAPSHOT_EVERY = 64
_POINTERS = 15  # preceding frames whose object pointers are attended to
MAX_STRIDE = 9  # temporal stride of memories; they must lie within the window


@dataclasses.dataclass(frozen=True, eq=False)
class TrackedFrame:
    """Outputs of tracking one frame, for the n slots of the batch.

    Frames restored from a snapshot have no masks, and distant ones no memory.
    """

    active: np.ndarray  # bool [n], objects tracked on this frame
    memory: np.ndarray | None  # [n, h, w, m]
    pointer: np.ndarray  # [n, c]
    mask_logits: np.ndarray | None = None  # float32 [n, 4h, 4w], holes filled
    iou: np.ndarray | None = None  # float32 [n]
    object_score: np.ndarray | None = None  # float32 [n]

    def has(self, slot: int) -> bool:
        """Return whether the object in a slot was tracked on this frame."""
        return slot < len(self.active) and bool(self.active[slot])


class TrackHistory:
    """Tracked frames by index; `stride` is the temporal stride of the memories."""

    def __init__(self, stride: int = 1):
        self.stride = stride
        self.frames: dict[int, TrackedFrame] = {}
        self._folder: tempfile.TemporaryDirectory | None = None
        self._snapshots: dict[tuple[int, int], int] = {}  # (direction, frame): time
        self._clock = 0  # orders snapshots and forgotten slots
        self._forgotten: dict[int, int] = {}  # slot: time

    def add(self, frame: int, tracked: TrackedFrame) -> None:
        """Store a frame; objects inactive in it keep their earlier outputs."""
        old = self.frames.get(frame)
        if old is not None and old.mask_logits is not None:
            tracked = _merge(old, tracked)
        self.frames[frame] = tracked
        for far in [t for t in self.frames if abs(t - frame) >= WINDOW]:
            del self.frames[far]

    def forget(self, slot: int) -> None:
        """Remove the object in a slot, from snapshots too."""
        self._clock += 1
        self._forgotten[slot] = self._clock
        for frame, tracked in self.frames.items():
            if tracked.has(slot):
                active = tracked.active.copy()
                active[slot] = False
                self.frames[frame] = dataclasses.replace(tracked, active=active)

    def save_snapshot(self, frame: int, direction: int) -> None:
        """Write the memories and pointers that tracking `frame` attends to."""
        self._clock += 1
        self._snapshots[direction, frame] = self._clock
        arrays = {}
        reach = (RECENT + 1) * self.stride
        for age in range(1, max(_POINTERS, reach) + 1):
            place = frame - direction * age
            tracked = self.frames.get(place)
            if tracked is not None:
                arrays[f"active{age}"] = tracked.active
                # float32 represents bfloat16 exactly; npz files have no bfloat16.
                arrays[f"pointer{age}"] = tracked.pointer.astype(np.float32)
                needed = age == 1 or (age <= reach and place % self.stride == 0)
                if needed and tracked.memory is not None:
                    arrays[f"memory{age}"] = tracked.memory.astype(np.float32)
        np.savez(self._path(frame, direction), **arrays)

    def restore_snapshot(self, frame: int, direction: int) -> int | None:
        """Load the nearest snapshot at or before a frame; return the snapshot's frame.

        "Before" is in the direction of tracking. None where there is no snapshot.
        """
        earlier = [
            t
            for side, t in self._snapshots
            if side == direction and (frame - t) * direction >= 0
        ]
        if not earlier:
            return None
        start = min(earlier, key=lambda t: abs(frame - t))
        time = self._snapshots[direction, start]
        with np.load(self._path(start, direction)) as arrays:
            ages = [
                int(name[len("active") :])
                for name in arrays
                if name.startswith("active")
            ]
            for age in ages:
                active = arrays[f"active{age}"]
                for slot, forgotten in self._forgotten.items():
                    if forgotten > time and slot < len(active):
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
        """Clear the history and delete the snapshots."""
        self.frames.clear()
        self._snapshots.clear()
        self._forgotten.clear()
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None


def _merge(old: TrackedFrame, new: TrackedFrame) -> TrackedFrame:
    """Return `new` for the objects active in it, else `old`."""
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
