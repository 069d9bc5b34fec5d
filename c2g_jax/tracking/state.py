"""What tracking carries from frame to frame, and what one frame is asked and returns.

Each object that is followed has a slot: its row in the memory bank and in all arrays
of a frame.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from c2g_jax.click2graph.model import Click2GraphConfig, Scene
from c2g_jax.sam2.memory import MAX_CONDITIONING, MemoryBank, bucket, empty_bank, grow
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.sam2.predictors.postprocess import enlarge_logits
from c2g_jax.tracking.object_tracks import OpenTrack


@dataclass(frozen=True)
class Subject:
    """A prompted object whose interactions are looked for."""

    object_id: int
    since: int  # the frame of its first prompt
    # The track that each query linked to when DIDM last ran, None: no mask.
    linked: tuple[int | None, ...] = ()


@dataclass(frozen=True, eq=False)
class TrackingState:
    """Everything that tracking carries from one frame to the next.

    frame: the index of the next frame. num_frames: None for a stream. next_id: of the
    next new object. direction: 1 forward in time, -1 in reverse.
    pinned: the tracks of objects that a person prompted, which never close.
    shared: merged ids, old id -> id kept. slots: the object in each row of the memory
    bank, None where the row is free. prompted: the number of conditioning frames of
    each object in a slot. packed: compute the rows of objects alone, in parts whose
    sizes are powers of two, and have no spare slots. It saves time and memory where
    much is tracked, and compiles more programs.
    """

    height: int
    width: int
    num_frames: int | None = None
    next_id: int = 0
    frame: int = 0
    direction: int = 1
    subjects: tuple[Subject, ...] = ()
    tracks: tuple[OpenTrack, ...] = ()
    pinned: frozenset[int] = frozenset()
    shared: Mapping[int, int] = field(default_factory=dict)
    slots: tuple[int | None, ...] = ()
    prompted: Mapping[int, int] = field(default_factory=dict)
    bank: MemoryBank | None = None
    packed: bool = False

    @property
    def clock(self) -> int:
        """The time of the frame in the order of tracking, by which tracks age."""
        return self.frame * self.direction

    def slot_of(self) -> dict[int, int]:
        """The slot of each object that is followed."""
        return {i: slot for slot, i in enumerate(self.slots) if i is not None}

    def advanced(self) -> "TrackingState":
        """Return the state before the frame after this one."""
        return dataclasses.replace(self, frame=self.frame + self.direction)


@dataclass(frozen=True, eq=False)
class PendingFrame:
    """A frame whose work is queued on the device."""

    state: TrackingState  # after the frame's prompts, before any decision
    features: FrameFeatures | None = None
    scene: Scene | None = None  # None: no object is followed yet
    prompted: frozenset[int] = frozenset()  # objects prompted on this frame
    begun: frozenset[int] = frozenset()  # those of them that are new
    given: frozenset[int] = frozenset()  # objects whose output was given
    due: tuple[int, ...] = ()  # indices of the subjects for which DIDM runs

    def queries(self, num_queries: int) -> dict[int, np.ndarray]:
        """The rows of the scene that hold each due subject's queries, by its id."""
        n, q = len(self.state.slots), num_queries
        return {
            self.state.subjects[i].object_id: np.arange(n + i * q, n + (i + 1) * q)
            for i in self.due
        }


@dataclass(frozen=True, eq=False)
class FrameOutput:
    """The model's output on a frame, on the host, and what was decided from it.

    after: the state for the next frame. row_of: the row of the scene of each object
    followed or found here. subject_of: the subject of each track, closed ones included.
    opened: tracks that began here -> their rows. displaced: tracks that gave way to
    an object known before. closed: all tracks that ended here, displaced ones
    included. merged: ids merged here, old id -> id kept. dropped: how many tracks the
    cap closed.
    """

    pending: PendingFrame
    after: TrackingState
    scene: Scene | None = None
    row_of: Mapping[int, int] = field(default_factory=dict)
    subject_of: Mapping[int, int] = field(default_factory=dict)
    opened: Mapping[int, int] = field(default_factory=dict)
    displaced: frozenset[int] = frozenset()
    closed: frozenset[int] = frozenset()
    merged: Mapping[int, int] = field(default_factory=dict)
    dropped: int = 0


class KnownObjects(Protocol):
    """Objects found on a frame when it was tracked before, asked by `tracking.loop`.

    Both methods get the frame, its scene on the host, and the rows of the queries of
    each subject for which DIDM ran.
    """

    def displaced(
        self, pending: PendingFrame, scene: Scene, queries: Mapping[int, np.ndarray]
    ) -> Collection[int]:
        """Return the open tracks that end here because a known object takes over."""

    def recognise(
        self,
        pending: PendingFrame,
        scene: Scene,
        opened: Mapping[int, int],
        subject_of: Mapping[int, int],
    ) -> Mapping[int, int | None]:
        """Return the known ids of new tracks, None for an object that was removed.

        `opened` is {new id: row}, `subject_of` {id: subject's id}. A new track that is
        left out is a new object.
        """


class NativeMasks(Mapping[int, np.ndarray]):
    """Masks by object id, bool [H, W], each resized from its logits on access."""

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
    """Return the state with new subjects in slots of their own."""
    subjects = (*state.subjects, *(Subject(i, state.frame) for i in object_ids))
    next_id = max([state.next_id, *(i + 1 for i in object_ids)])
    state = dataclasses.replace(state, subjects=subjects, next_id=next_id)
    # Room for what the queries may find at once, so that the bank rarely grows.
    found = min(config.didm.num_queries, config.rules.max_tracks)
    room = 0 if state.packed else len(subjects) * (1 + found)
    return take_slots(config, state, object_ids, room)


def take_slots(
    config: Click2GraphConfig,
    state: TrackingState,
    object_ids: Sequence[int],
    room: int,
) -> TrackingState:
    """Return the state with objects in free slots and a bank of that many rows.

    The number of conditioning frames is rounded up to a bucket as well, so that there
    are few shapes and few compilations.
    """
    state = assign_slots(state, object_ids, room)
    n = len(state.slots)
    k = bucket(min(max(state.prompted.values(), default=1), MAX_CONDITIONING))
    bank = state.bank
    if bank is None:
        bank = empty_bank(config.sam2, n, k)
    elif n > bank.num_objects or k > bank.num_conditioning:
        bank = grow(bank, n, max(k, bank.num_conditioning))
    return dataclasses.replace(state, bank=bank)


def assign_slots(
    state: TrackingState, object_ids: Sequence[int], room: int
) -> TrackingState:
    """Return the state with objects in free slots, `room` slots or more in all.

    The bank stays as it is.
    """
    taken = len(state.slot_of()) + len(object_ids)
    n = max(len(state.slots), bucket(max(taken, room)))
    slots = [*state.slots, *[None] * (n - len(state.slots))]
    free = [slot for slot, i in enumerate(slots) if i is None]
    for slot, object_id in zip(free, object_ids, strict=False):
        slots[slot] = object_id
    return dataclasses.replace(state, slots=tuple(slots))
