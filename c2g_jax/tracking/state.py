"""What following a video leaves behind, and the slots that objects take in it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from c2g_jax.click2graph.model import Click2GraphConfig, Scene
from c2g_jax.media.images import resize_mask
from c2g_jax.sam2.memory import MAX_CONDITIONING, MemoryBank, bucket, empty_bank, grow
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.predictors.postprocess import enlarge_logits
from c2g_jax.sam2.prompts import BOX_FIRST, BOX_SECOND, Prompts, pad_points
from c2g_jax.tracking.object_tracks import OpenTrack
from c2g_jax.types import Prompt


@dataclass(frozen=True)
class Subject:
    """Something prompted: since when, and the tracks its queries met last."""

    object_id: int
    since: int
    met: tuple[int | None, ...] = ()


@dataclass(frozen=True, eq=False)
class TrackingState:
    """All that a video has left behind when `frame` is about to come.

    slots: which object each row of the bank follows, None where it is free.
    prompted: on how many frames each object in a slot was prompted, its first one
    included. shared: ids that turned out to name one object, old -> kept.
    """

    height: int
    width: int
    num_frames: int | None
    next_id: int
    frame: int = 0
    subjects: tuple[Subject, ...] = ()
    tracks: tuple[OpenTrack, ...] = ()
    shared: Mapping[int, int] = field(default_factory=dict)
    slots: tuple[int | None, ...] = ()
    prompted: Mapping[int, int] = field(default_factory=dict)
    bank: MemoryBank | None = None

    def slot_of(self) -> dict[int, int]:
        """The slot of each object that is followed."""
        return {i: slot for slot, i in enumerate(self.slots) if i is not None}


@dataclass(frozen=True, eq=False)
class PendingFrame:
    """A frame that the device is at work on."""

    state: TrackingState  # as it is after the prompts, before any decision
    features: FrameFeatures | None = None
    scene: Scene | None = None  # None: nothing was prompted yet
    prompted: frozenset[int] = frozenset()  # objects prompted on this frame
    begun: frozenset[int] = frozenset()  # those of them that are new
    due: tuple[int, ...] = ()  # positions of the subjects that DIDM looks at


class NativeMasks(Mapping[int, np.ndarray]):
    """Masks by object id, bool [H, W]; each is resized when it is asked for."""

    def __init__(self, logits: Mapping[int, np.ndarray], height: int, width: int):
        self._logits = logits
        self._size = height, width

    def __getitem__(self, object_id: int) -> np.ndarray:
        return enlarge_logits(self._logits[object_id], *self._size) > 0

    def __iter__(self) -> Iterator[int]:
        return iter(self._logits)

    def __len__(self) -> int:
        return len(self._logits)


def begin_subjects(
    config: Click2GraphConfig, state: TrackingState, object_ids: Sequence[int]
) -> TrackingState:
    """The state with new subjects in slots of their own."""
    subjects = (*state.subjects, *(Subject(i, state.frame) for i in object_ids))
    next_id = max([state.next_id, *(i + 1 for i in object_ids)])
    state = dataclasses.replace(state, subjects=subjects, next_id=next_id)
    # Room for what the queries may find at once, so that the bank rarely grows.
    found = min(config.didm.num_queries, config.rules.max_tracks)
    room = len(subjects) * (1 + found)
    return take_slots(config, state, object_ids, room)


def take_slots(
    config: Click2GraphConfig,
    state: TrackingState,
    object_ids: Sequence[int],
    room: int,
) -> TrackingState:
    """The state with objects in free slots, and a bank that has room for `room`.

    Slots and conditioning frames come in buckets: few shapes, few compilations.
    """
    taken = len(state.slot_of()) + len(object_ids)
    n = max(len(state.slots), bucket(max(taken, room)))
    slots = [*state.slots, *[None] * (n - len(state.slots))]
    free = [slot for slot, i in enumerate(slots) if i is None]
    for slot, object_id in zip(free, object_ids, strict=False):
        slots[slot] = object_id
    k = bucket(min(max(state.prompted.values(), default=1), MAX_CONDITIONING))
    bank = state.bank
    if bank is None:
        bank = empty_bank(config.sam2, n, k)
    elif n > bank.num_objects or k > bank.num_conditioning:
        bank = grow(bank, n, max(k, bank.num_conditioning))
    return dataclasses.replace(state, slots=tuple(slots), bank=bank)


def prompt_arrays(
    state: TrackingState, prompts: Sequence[Prompt], image_size: int
) -> tuple[Prompts, np.ndarray | None, np.ndarray, np.ndarray]:
    """Prompts of all slots, (x, y) in pixels of the model image.

    Points and boxes; masks float32 [n, S, S] or None; bool [n] whose points and bool
    [n] whose mask it is.
    """
    n, slot_of = len(state.slots), state.slot_of()
    scale = image_size / np.array([state.width, state.height], np.float32)
    points = [(np.zeros((0, 2), np.float32), np.zeros(0, np.int32))] * n
    by_points, by_mask = np.zeros(n, bool), np.zeros(n, bool)
    masks = None
    for prompt in prompts:
        slot = slot_of[prompt.object_id]
        if prompt.mask is not None:
            if masks is None:
                masks = np.zeros((n, image_size, image_size), np.float32)
            masks[slot] = resize_mask(prompt.mask, image_size)
            by_mask[slot] = True
            continue
        coords, labels = prompt.points, prompt.labels
        if prompt.box is not None:
            coords = np.concatenate([prompt.box.reshape(2, 2), coords])
            labels = np.concatenate([[BOX_FIRST, BOX_SECOND], labels])
        points[slot] = (coords * scale, labels)
        by_points[slot] = True
    return Prompts(*pad_points(points)), masks, by_points, by_mask
