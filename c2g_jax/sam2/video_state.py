"""What a video predictor keeps of one video: prompts, answers, recent frames."""

import collections
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.images import resize_frame
from c2g_jax.sam2 import memory
from c2g_jax.sam2.config import Sam2Config
from c2g_jax.sam2.memory import MemoryBank, bucket
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.types import InputError
from c2g_jax.video import Video

WINDOW = 64  # tracked frames whose memories are kept
_FRAMES_KEPT = 16  # decoded frames, for prompts near the place last read
_FEATURES_KEPT = 2  # encoded frames


class EndOfVideo(Exception):
    """The frame asked for lies behind the last one."""


class FrameReader:
    """Reads frames of a video by index, resized for the model; holds a few of them.

    Reading onwards streams; going back opens the video anew, which a one-way source
    (an iterator, a camera) allows only for the frames still held.
    """

    def __init__(self, video: Video, image_size: int):
        self.video, self.image_size = video, image_size
        self._stream, self._next = None, 0
        self._held: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()

    def read(self, index: int) -> np.ndarray:
        """Frame `index` as uint8 [S, S, 3]; EndOfVideo behind the last one."""
        if index in self._held:
            return self._held[index]
        if self._stream is None or index < self._next:
            self.close()
            self._stream, self._next = iter(self.video), 0
        while self._next <= index:
            frame = next(self._stream, None)
            if frame is None:
                raise EndOfVideo(f"the video has {self._next} frames")
            # Frames on the way to a far one are held too: they are the next asked for.
            if index - self._next < _FRAMES_KEPT:
                self._held[self._next] = resize_frame(frame.rgb, self.image_size)
            self._next += 1
        while len(self._held) > _FRAMES_KEPT:
            self._held.popitem(last=False)
        return self._held[index]

    def close(self) -> None:
        """Stop decoding ahead."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None


@dataclasses.dataclass
class Answer:
    """What a prompted frame gave for one object."""

    mask_logits: np.ndarray  # float32 [4h, 4w], holes filled
    iou: float
    object_score: float
    obj_ptr: jax.Array  # [c]


class Commitment(NamedTuple):
    """An answer that tracking has started from, and its memory [h, w, m]."""

    answer: Answer
    memory: jax.Array


@dataclasses.dataclass
class ObjectRecord:
    """One object: its place in the batch, its prompts and their answers by frame."""

    obj_id: int
    slot: int
    points: dict[int, tuple[np.ndarray, np.ndarray]] = dataclasses.field(
        default_factory=dict
    )
    masks: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    answers: dict[int, Answer] = dataclasses.field(default_factory=dict)
    committed: dict[int, Commitment] = dataclasses.field(default_factory=dict)
    tracked: dict[int, int] = dataclasses.field(default_factory=dict)  # to direction

    def begins_by(self, frame: int) -> bool:
        """Whether the object is prompted on this frame or an earlier one."""
        return any(t <= frame for t in self.answers)


@dataclasses.dataclass
class TrackedFrame:
    """What tracking gave on one frame, for the objects of the batch."""

    where: np.ndarray  # bool [n], objects that were tracked on it
    memory: jax.Array  # [n, h, w, m]
    pointer: jax.Array  # [n, c]
    mask_logits: np.ndarray  # float32 [n, 4h, 4w], holes filled
    iou: np.ndarray  # float32 [n]
    object_score: np.ndarray  # float32 [n]


class VideoState:
    """The state of one video; made by `Sam2VideoPredictor.init_state`."""

    def __init__(self, video: Video, config: Sam2Config):
        self.config = config
        self.width, self.height = video.width, video.height
        self.num_frames: int | None = video.num_frames
        self.reader = FrameReader(video, config.image_size)
        self.objects: dict[int, ObjectRecord] = {}
        self.history: dict[int, TrackedFrame] = {}
        self.features: collections.OrderedDict[int, FrameFeatures] = (
            collections.OrderedDict()
        )

    @property
    def obj_ids(self) -> list[int]:
        """Ids of the objects, in the order they were added."""
        return list(self.objects)

    def close(self) -> None:
        """Stop reading the video and drop its frames; masks already given stay."""
        self.reader.close()
        self.features.clear()

    def check_frame(self, frame: int) -> None:
        """InputError unless the video has this frame, as far as is known."""
        if frame < 0 or (self.num_frames is not None and frame >= self.num_frames):
            last = "" if self.num_frames is None else f" to {self.num_frames - 1}"
            raise InputError(f"frame {frame} is not in the video: use 0{last}")

    def record(self, obj_id: int) -> ObjectRecord:
        """The object with this id, added where it is new."""
        if obj_id not in self.objects:
            taken = {record.slot for record in self.objects.values()}
            slot = next(s for s in range(len(taken) + 1) if s not in taken)
            self.objects[obj_id] = ObjectRecord(obj_id, slot)
        return self.objects[obj_id]

    def keep_features(self, frame: int, features: FrameFeatures) -> FrameFeatures:
        """Hold the features of a frame, and of the one held before it."""
        self.features[frame] = features
        while len(self.features) > _FEATURES_KEPT:
            self.features.popitem(last=False)
        return features

    def keep_tracked(self, frame: int, tracked: TrackedFrame, direction: int) -> None:
        """Hold a tracked frame, and drop those out of the window around it."""
        old = self.history.get(frame)
        self.history[frame] = tracked if old is None else _merge(old, tracked)
        for record in self.objects.values():
            if tracked.where[record.slot]:
                record.tracked[frame] = direction
        for stale in [t for t in self.history if abs(t - frame) >= WINDOW]:
            del self.history[stale]

    def answer(self, obj_id: int, frame: int) -> tuple[np.ndarray, float, float] | None:
        """Mask logits [4h, 4w], IoU and object score of an object on a frame."""
        record = self.objects[obj_id]
        given = record.answers.get(frame)
        if given is not None:
            return given.mask_logits, given.iou, given.object_score
        tracked, slot = self.history.get(frame), record.slot
        if tracked is None or slot >= len(tracked.where) or not tracked.where[slot]:
            return None
        score = float(tracked.object_score[slot])
        return tracked.mask_logits[slot], float(tracked.iou[slot]), score

    def bank_before(self, frame: int, direction: int) -> MemoryBank:
        """The bank that tracking would arrive at this frame with."""
        records = self.objects.values()
        size = bucket(max(record.slot for record in records) + 1)
        slots = bucket(max([1, *(len(record.committed) for record in records)]))
        bank = memory.empty_bank(self.config, size, slots)
        bank = self._with_conditioning(bank)
        for age in range(self.config.max_obj_ptrs - 1, 0, -1):
            tracked = self.history.get(frame - direction * age)
            if tracked is not None:
                bank = self._with_tracked(bank, frame - direction * age, tracked)
        return bank

    def _with_conditioning(self, bank: MemoryBank) -> MemoryBank:
        conditioning = bank.conditioning
        pointers, frames = bank.conditioning_pointers, bank.conditioning_frames
        for record in self.objects.values():
            for place, (frame, entry) in enumerate(sorted(record.committed.items())):
                at = (record.slot, place)
                conditioning = conditioning.at[at].set(entry.memory)
                pointers = pointers.at[at].set(entry.answer.obj_ptr)
                frames = frames.at[at].set(frame)
        return dataclasses.replace(
            bank,
            conditioning=conditioning,
            conditioning_pointers=pointers,
            conditioning_frames=frames,
        )

    def _with_tracked(
        self, bank: MemoryBank, frame: int, tracked: TrackedFrame
    ) -> MemoryBank:
        where = np.zeros(bank.num_objects, bool)
        for record in self.objects.values():
            slot = record.slot
            held = slot < len(tracked.where) and tracked.where[slot]
            where[slot] = held and frame not in record.committed

        def pad(x: jax.Array) -> jax.Array:
            x = x[: bank.num_objects]
            widths = [(0, bank.num_objects - len(x))] + [(0, 0)] * (x.ndim - 1)
            return jnp.pad(x, widths)

        return memory.push_recent(
            bank, pad(tracked.memory), pad(tracked.pointer), np.int32(frame), where
        )


def _merge(old: TrackedFrame, new: TrackedFrame) -> TrackedFrame:
    """`new` where it tracked, else what `old` held of the object."""
    count = max(len(old.where), len(new.where))

    def pick(before, after):
        pad = [(0, 0)] * (before.ndim - 1)
        xp = jnp if isinstance(after, jax.Array) else np
        before = xp.pad(before, [(0, count - len(before)), *pad])
        after = xp.pad(after, [(0, count - len(after)), *pad])
        chosen = np.pad(new.where, (0, count - len(new.where)))
        return xp.where(chosen.reshape(-1, *[1] * (after.ndim - 1)), after, before)

    fields = [field.name for field in dataclasses.fields(new) if field.name != "where"]
    picked = {name: pick(getattr(old, name), getattr(new, name)) for name in fields}
    where = np.zeros(count, bool)
    where[: len(old.where)] |= old.where
    where[: len(new.where)] |= new.where
    return TrackedFrame(where=where, **picked)
