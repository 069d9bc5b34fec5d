"""Inference state of one video: objects, prompts and their outputs, history.

The counterpart of the `inference_state` dict of sam2/sam2_video_predictor.py.
"""

import collections
import weakref
from typing import NamedTuple

import jax
import numpy as np

from c2g_jax.media.video import Video
from c2g_jax.sam2 import memory
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.memory import MAX_CONDITIONING, MemoryBank, bucket
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.predictors.frame_reader import FrameReader
from c2g_jax.sam2.predictors.track_history import TrackHistory
from c2g_jax.sam2.track import ObjectOutput
from c2g_jax.types import InputError


class ConditioningFrame(NamedTuple):
    """A prompted frame in the memory bank: its output and its memory [h, w, m]."""

    output: ObjectOutput
    memory: np.ndarray
    steps_before: int  # frames the object was tracked on before this one was added


class ObjectRecord:
    """One object: its slot in the batch, its prompts and their outputs by frame."""

    def __init__(self, obj_id, slot: int):
        self.obj_id, self.slot = obj_id, slot
        self.points: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.masks: dict[int, np.ndarray] = {}
        self.outputs: dict[int, ObjectOutput] = {}  # holes filled
        self.conditioning_frames: dict[int, ConditioningFrame] = {}
        self.steps = 0  # tracked frames, over all calls
        self._directions = bytearray()  # of tracking; one byte a frame

    def is_prompted_by(self, frame: int) -> bool:
        """Return whether the object is prompted on this frame or an earlier one."""
        return any(t <= frame for t in self.outputs)

    def tracked_direction(self, frame: int) -> int:
        """Return the direction, 1 or -1, the frame was tracked in; 0 if it was not."""
        if frame >= len(self._directions):
            return 0
        return {0: 0, 1: 1, 2: -1}[self._directions[frame]]

    def mark_tracked(self, frame: int, direction: int) -> None:
        """Record that a frame was tracked, forward (1) or in reverse (-1)."""
        missing = frame + 1 - len(self._directions)
        if missing > 0:
            self._directions.extend(bytes(missing))
        self._directions[frame] = 1 if direction > 0 else 2
        self.steps += 1

    def forget_tracking(self) -> None:
        """Clear which frames were tracked; prompts and their outputs stay."""
        self._directions, self.steps = bytearray(), 0

    def select_conditioning(self, frame: int) -> list[int]:
        """Return the conditioning frames in the bank of a frame: the closest."""
        frames = sorted(self.conditioning_frames)
        if len(frames) > MAX_CONDITIONING:
            nearest = sorted(frames, key=lambda t: abs(t - frame))
            frames = sorted(nearest[:MAX_CONDITIONING])
        return frames


class VideoState:
    """State of one video, created by `Sam2VideoPredictor.init_state`."""

    def __init__(
        self,
        video: Video,
        config: Sam2Config,
        stride: int = 1,
        max_conditioning: int | None = None,
    ):
        self.config = config
        self.stride, self.max_conditioning = stride, max_conditioning
        self.width, self.height = video.width, video.height
        self.num_frames: int | None = video.num_frames
        self.reader = FrameReader(video, config.image_size)
        self.objects: dict = {}  # id: ObjectRecord, in the order of addition
        self.history = TrackHistory(stride)
        self.version = 0  # incremented when prompts or objects change
        # Closes too when the state is garbage-collected and when Python exits.
        self._finalizer = weakref.finalize(self, _close, self.reader, self.history)
        self.features: collections.OrderedDict[int, FrameFeatures] = (
            collections.OrderedDict()
        )

    @property
    def obj_ids(self) -> list:
        """Object ids, in the order of addition."""
        return list(self.objects)

    def close(self) -> None:
        """Stop decoding; delete cached frames, features and snapshots."""
        self.features.clear()
        _close(self.reader, self.history)

    def check_frame(self, frame: int) -> None:
        """Raise InputError if the frame is outside the video, as far as known."""
        if frame < 0 or (self.num_frames is not None and frame >= self.num_frames):
            last = " on" if self.num_frames is None else f" to {self.num_frames - 1}"
            raise InputError(f"frame {frame} is not in the video: use 0{last}")

    def get_or_add(self, obj_id) -> ObjectRecord:
        """Return the object with this id; add it, in the first free slot, if new."""
        if obj_id not in self.objects:
            taken = {record.slot for record in self.objects.values()}
            slot = next(s for s in range(len(taken) + 1) if s not in taken)
            self.objects[obj_id] = ObjectRecord(obj_id, slot)
        return self.objects[obj_id]

    def output(self, obj_id, frame: int) -> tuple[np.ndarray, float, float] | None:
        """Return mask logits [4h, 4w], IoU and object score; None if there are none."""
        record = self.objects[obj_id]
        prompted = record.outputs.get(frame)
        if prompted is not None:
            return prompted.logits, prompted.iou, prompted.object_score
        tracked, slot = self.history.frames.get(frame), record.slot
        if tracked is None or tracked.mask_logits is None or not tracked.has(slot):
            return None
        score = float(tracked.object_score[slot])
        return tracked.mask_logits[slot], float(tracked.iou[slot]), score

    def bank_key(self, frame: int) -> tuple:
        """Return a key that changes when the bank must be rebuilt before a frame."""
        chosen = tuple(
            tuple(r.select_conditioning(frame)) for r in self.objects.values()
        )
        many = any(len(frames) == MAX_CONDITIONING for frames in chosen)
        return self.version, chosen if many else None

    def bank_before(self, frame: int, direction: int) -> MemoryBank:
        """Build the memory bank that `frame` is tracked with."""
        records = list(self.objects.values())
        n = bucket(max(record.slot for record in records) + 1)
        frames = {record.slot: record.select_conditioning(frame) for record in records}
        k = bucket(max([1, *map(len, frames.values())]))
        empty = jax.eval_shape(
            lambda: memory.empty_bank(
                self.config, n, k, self.stride, self.max_conditioning
            )
        )
        bank = jax.tree.map(
            lambda x: np.full(
                x.shape, memory.EMPTY if x.dtype == np.int32 else 0, x.dtype
            ),
            empty,
        )
        for record in records:
            for place, t in enumerate(frames[record.slot]):
                entry, at = record.conditioning_frames[t], (record.slot, place)
                bank.conditioning[at] = entry.memory
                bank.conditioning_pointers[at] = entry.output.pointer
                bank.conditioning_frames[at] = t
        self._fill_rings(bank, frame, direction)
        return bank

    def _fill_rings(self, bank: MemoryBank, frame: int, direction: int) -> None:
        """Write the frames preceding `frame` from the history, the furthest first."""
        reach = max(bank.pointers.shape[1], (memory.RECENT + 1) * self.stride)
        for age in range(reach, 0, -1):
            t = frame - direction * age
            tracked = self.history.frames.get(t)
            if tracked is None:
                continue
            recent = int(memory.ring_slot(t, self.stride))
            pointer = t % bank.pointers.shape[1]
            for record in self.objects.values():
                slot = record.slot
                if not tracked.has(slot) or t in record.conditioning_frames:
                    continue
                if tracked.memory is not None:
                    bank.recent[slot, recent] = tracked.memory[slot]
                    bank.recent_frames[slot, recent] = t
                bank.pointers[slot, pointer] = tracked.pointer[slot]
                bank.pointer_frames[slot, pointer] = t


def _close(reader: FrameReader, history: TrackHistory) -> None:
    reader.close()
    history.close()
