"""Inference state of one video: objects, their prompts, outputs and histories.

The counterpart of the `inference_state` dict of sam2/sam2_video_predictor.py.
"""

import collections
import reprlib
import weakref
from typing import NamedTuple

import jax
import numpy as np

from c2g_jax.media.spill import SpillFile
from c2g_jax.media.video import Video
from c2g_jax.sam2 import memory
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.memory import MAX_CONDITIONING, MemoryBank, bucket
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.predictors import frame_reader, track_history
from c2g_jax.sam2.predictors.frame_reader import FrameReader
from c2g_jax.sam2.predictors.track_history import TrackHistory
from c2g_jax.sam2.track import ObjectOutput
from c2g_jax.types import InputError, whole


class ConditioningFrame(NamedTuple):
    """A prompted frame in the memory bank: its output and its memory [h, w, m]."""

    output: ObjectOutput
    memory: np.ndarray
    steps_before: int  # frames the object was tracked on before this one was added


class ObjectRecord:
    """One object: its slot in the batch, its prompts and their outputs by frame."""

    def __init__(self, obj_id, slot: int, history: TrackHistory):
        self.obj_id, self.slot, self.history = obj_id, slot, history
        self.points: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.masks: dict[int, np.ndarray] = {}
        self.outputs: dict[int, ObjectOutput] = {}  # holes filled
        self.conditioning_frames: dict[int, ConditioningFrame] = {}
        self.steps = 0  # tracked frames, over all calls

    def is_tracked_at(self, frame: int, direction: int) -> bool:
        """Return whether tracking in a direction computes the object on a frame.

        Not where it is prompted, and forward not before its first prompt.
        """
        if frame in self.outputs or not self.outputs:
            return False
        return direction < 0 or any(t <= frame for t in self.outputs)

    def forget_tracking(self) -> None:
        """Forget the tracked frames; prompts and their outputs stay."""
        self.history.clear()
        self.steps = 0

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
        # The furthest frame that a frame attends to, but for prompted ones.
        self.reach = max(config.max_obj_ptrs - 1, (memory.RECENT + 1) * stride)
        self.window = track_history.WINDOW
        if video.num_frames is None:
            # All that the frames which can still be read attend to.
            self.window = max(self.window, frame_reader.HELD + self.reach)
        self._spill = SpillFile("the memories of tracked frames")
        self.version = 0  # incremented when prompts or objects change
        # Closes too when the state is garbage-collected and when Python exits.
        self._finalizer = weakref.finalize(self, _close, self.reader, self._spill)
        self.features: collections.OrderedDict[int, FrameFeatures] = (
            collections.OrderedDict()
        )

    @property
    def obj_ids(self) -> list:
        """Object ids, in the order of addition."""
        return list(self.objects)

    def close(self) -> None:
        """Stop decoding; delete cached frames, features and tracked frames."""
        self.features.clear()
        for record in self.objects.values():
            record.forget_tracking()
        _close(self.reader, self._spill)

    def check_frame(self, frame: int, name: str = "frame_idx") -> int:
        """Return a frame's index; InputError outside the video, as far as known.

        `name` is that of the argument.
        """
        frame = whole(frame, name)
        if frame < 0 or (self.num_frames is not None and frame >= self.num_frames):
            last = " on" if self.num_frames is None else f" to {self.num_frames - 1}"
            raise InputError(f"{name} {frame} is not in the video: use 0{last}")
        return frame

    def check_id(self, obj_id) -> None:
        """Raise InputError for an object id that cannot be one."""
        try:
            hash(obj_id)
        except TypeError:
            shown = " ".join(reprlib.repr(obj_id).split())
            raise InputError(f"obj_id is {shown}: give a number or a name") from None

    def get_or_add(self, obj_id) -> ObjectRecord:
        """Return the object with this id; add it, in the first free slot, if new."""
        if obj_id not in self.objects:
            taken = {record.slot for record in self.objects.values()}
            slot = next(s for s in range(len(taken) + 1) if s not in taken)
            spill = None if self.num_frames is None else self._spill
            history = TrackHistory(self.window, spill)
            self.objects[obj_id] = ObjectRecord(obj_id, slot, history)
        return self.objects[obj_id]

    def output(self, obj_id, frame: int) -> tuple[np.ndarray, float, float] | None:
        """Return mask logits [4h, 4w], IoU and object score; None if there are none."""
        record = self.objects[obj_id]
        prompted = record.outputs.get(frame)
        if prompted is not None:
            return prompted.logits, prompted.iou, prompted.object_score
        tracked = record.history.get(frame)
        if tracked is None:
            return None
        return tracked.mask_logits, tracked.iou, tracked.object_score

    def tracked_slots(self, frame: int, direction: int) -> frozenset[int]:
        """Return the slots of the objects that tracking computes on a frame."""
        records = self.objects.values()
        return frozenset(r.slot for r in records if r.is_tracked_at(frame, direction))

    def bank_key(self, frame: int, tracked: frozenset[int]) -> tuple:
        """Return a key that changes when the bank must be rebuilt before a frame.

        `tracked` are the slots computed on it: objects that join may have memories of
        frames that an earlier pass tracked and this one did not.
        """
        chosen = tuple(
            tuple(r.select_conditioning(frame)) for r in self.objects.values()
        )
        many = any(len(frames) == MAX_CONDITIONING for frames in chosen)
        return self.version, tracked, chosen if many else None

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
        """Write the frames preceding `frame`, the furthest first.

        Whichever direction they were tracked in: as upstream, a frame attends to what
        was stored last for its neighbours.
        """
        num_pointers = bank.pointers.shape[1]
        for record in self.objects.values():
            slot = record.slot
            for age in range(self.reach, 0, -1):
                t = frame - direction * age
                attended = age <= num_pointers or t % self.stride == 0
                if t in record.conditioning_frames or not attended:
                    continue
                tracked = record.history.get(t)
                if tracked is None:
                    continue
                recent = int(memory.ring_slot(t, self.stride))
                bank.recent[slot, recent] = tracked.memory
                bank.recent_frames[slot, recent] = t
                bank.pointers[slot, t % num_pointers] = tracked.pointer
                bank.pointer_frames[slot, t % num_pointers] = t


def _close(reader: FrameReader, spill: SpillFile) -> None:
    reader.close()
    spill.close()
