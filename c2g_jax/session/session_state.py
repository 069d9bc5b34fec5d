"""Everything that a session knows, as an immutable value: undo returns an older one.

States share the parts that did not change, so that keeping many costs little memory.
Frame numbers count sampled frames; coordinates are pixels of the video.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from c2g_jax.tracking.object_tracks import OpenTrack, find_id
from c2g_jax.types import InputError

SUBJECT, OBJECT = "subject", "object"


@dataclass(frozen=True, eq=False)
class Observation:
    """The model's output for one object on one frame.

    mask: COCO RLE at the video's size, None if it is empty. direction: 1 or -1 if the
    object was tracked to the frame in that direction, 0 if it was prompted, or found
    by a query, on it: then the frame is a conditioning frame. revision: that of the
    state in which it was computed.
    """

    mask: Mapping | None
    iou: float  # predicted
    object_score: float  # a logit: above 0 the object is in view
    feature: np.ndarray  # float32 [c], the frame's features under the mask
    pointer: np.ndarray  # float32 [c]
    direction: int
    revision: int


@dataclass(frozen=True)
class PromptItem:
    """A point (x, y), positive or not; a box (x1, y1, x2, y2); or a mask, COCO RLE."""

    kind: str  # "point", "box", "mask"
    point: tuple[float, float] | None = None
    positive: bool = True
    box: tuple[float, float, float, float] | None = None
    mask: Mapping | None = None


@dataclass(frozen=True, eq=False)
class FramePrompts:
    """A person's prompts of an object on a frame.

    base: the tracked observation that the prompts replaced, if there was one.
    """

    items: tuple[PromptItem, ...]
    base: Observation | None = None


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """A subject or an object, with its observations by frame.

    role: SUBJECT or OBJECT. subject_id: the subject that an object belongs to, None for
    subjects. changes: (frame, revision) of each change of its prompts. removed: it is
    in no result. One that a person removed keeps its observations, to be recognised, so
    that it does not come back; one that a prompt taken back had led to has none.
    """

    object_id: int
    role: str
    subject_id: int | None = None
    prompts: Mapping[int, FramePrompts] = field(default_factory=dict)
    observations: Mapping[int, Observation] = field(default_factory=dict)
    changes: tuple[tuple[int, int], ...] = ()
    category: str | None = None  # given by a person
    removed: bool = False

    @property
    def pinned(self) -> bool:
        """Whether a person prompted it: its track then never closes."""
        return bool(self.prompts)

    def begun(self, frame: int, direction: int) -> bool:
        """Whether tracking in a direction has reached a prompt of it by this frame."""
        return any((frame - t) * direction >= 0 for t in self.prompts)

    def with_observations(
        self, added: Mapping[int, Observation | None]
    ) -> "TrackedObject":
        """Return it with observations by frame added; None removes one."""
        merged = {**self.observations, **added}
        return replace(
            self, observations={t: o for t, o in merged.items() if o is not None}
        )


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """What tracking decided on a frame.

    revision, direction: of the pass. tracks: those open after the frame, but for
    prompted objects; their last_linked is frame * direction. linked: by subject, the
    tracks that its queries linked to when DIDM last ran. pairs: (subject, object)
    classified on the frame. points: by subject, float32 [q, 2], DIDM's points in
    pixels. merged: ids merged here, old id -> id kept. dropped: tracks closed by the
    cap.
    """

    revision: int
    direction: int
    tracks: tuple[OpenTrack, ...]
    linked: Mapping[int, tuple[int, ...]]
    pairs: tuple[tuple[int, int], ...]
    points: Mapping[int, np.ndarray]
    merged: Mapping[int, int]
    dropped: int = 0

    def followed(self, object_id: int) -> bool:
        """Whether the pass followed an object on the frame."""
        tracked = (*self.linked, *(t.object_id for t in self.tracks))
        return object_id in tracked or any(object_id == o for _, o in self.pairs)


@dataclass(frozen=True)
class PredicateFix:
    """The predicate that a person gave a pair on a span; None: they are not related."""

    subject_id: int
    object_id: int
    predicate: str | None
    start: int
    stop: int  # inclusive

    @property
    def pair(self) -> tuple[int, int]:
        return self.subject_id, self.object_id


@dataclass(frozen=True, eq=False)
class SessionState:
    """A session's state.

    objects: by id, in the order of creation. records: of the frames that were tracked.
    revision: increases with each change of prompts and each pass of tracking.
    """

    objects: Mapping[int, TrackedObject] = field(default_factory=dict)
    records: Mapping[int, FrameRecord] = field(default_factory=dict)
    fixes: tuple[PredicateFix, ...] = ()
    next_id: int = 1
    revision: int = 0

    @functools.cached_property
    def shared(self) -> dict[int, int]:
        """All merged ids, old id -> id kept."""
        return {
            old: kept
            for record in self.records.values()
            for old, kept in record.merged.items()
            if self.alive(old) and self.alive(kept)
        }

    def alive(self, object_id: int | None) -> bool:
        """Whether the object exists and was not removed."""
        obj = self.objects.get(object_id)
        return obj is not None and not obj.removed

    def shown_id(self, object_id: int) -> int:
        """Return the id of an object after all merges."""
        return find_id(object_id, self.shared)

    @functools.cached_property
    def shown(self) -> dict[int, tuple[TrackedObject, ...]]:
        """The objects merged into each id that is shown, the one of that id first."""
        groups: dict[int, list[TrackedObject]] = {}
        for object_id in self.objects:
            if self.alive(object_id):
                groups.setdefault(self.shown_id(object_id), []).append(
                    self.objects[object_id]
                )
        return {
            i: tuple(sorted(group, key=lambda obj: obj.object_id != i))
            for i, group in groups.items()
        }

    @functools.cached_property
    def active_fixes(self) -> tuple[PredicateFix, ...]:
        """The fixes of pairs that still exist, by the ids shown."""
        return tuple(
            replace(
                fix,
                subject_id=self.shown_id(fix.subject_id),
                object_id=self.shown_id(fix.object_id),
            )
            for fix in self.fixes
            if self.alive(fix.subject_id) and self.alive(fix.object_id)
        )

    @functools.cached_property
    def annotated(self) -> frozenset[int]:
        """Objects that a person prompted, named or related, or merged with such."""
        related = {i for fix in self.active_fixes for i in fix.pair}
        return frozenset(
            obj.object_id
            for i, group in self.shown.items()
            if i in related or any(t.category or t.pinned for t in group)
            for obj in group
        )

    def category(self, shown_id: int) -> str | None:
        """Return the category that a person gave an object, if any."""
        names = (obj.category for obj in self.shown[shown_id])
        return next((name for name in names if name is not None), None)

    def subjects_of(self, shown_id: int) -> tuple[int, ...]:
        """Return the subjects of an object, by the ids shown; none for a subject."""
        ids = [t.subject_id for t in self.shown[shown_id] if t.subject_id is not None]
        ids = [self.shown_id(i) for i in ids if self.alive(i)]
        return tuple(i for i in dict.fromkeys(ids) if i != shown_id)

    def observation(self, shown_id: int, frame: int) -> Observation | None:
        """Return a shown object's observation on a frame, None if its mask is empty."""
        for obj in self.shown.get(shown_id, ()):
            found = obj.observations.get(frame)
            if found is not None and found.mask is not None:
                return found
        return None

    def object(self, object_id: int) -> TrackedObject:
        """Return an object; InputError if it does not exist."""
        if not self.alive(object_id):
            known = ", ".join(map(str, self.shown)) or "none yet"
            raise InputError(f"there is no object {object_id}: known are {known}")
        return self.objects[object_id]

    def with_object(self, obj: TrackedObject) -> "SessionState":
        """Return the state with an object added, or replaced by its id."""
        return replace(self, objects={**self.objects, obj.object_id: obj})

    def without_record(self, frame: int) -> "SessionState":
        """Return the state without the record of a frame."""
        records = {t: record for t, record in self.records.items() if t != frame}
        return replace(self, records=records)

    def is_stale(self, frame: int) -> bool:
        """Whether a tracked frame would change if it were tracked again.

        The prompts of an object condition all frames on which it is followed, on both
        sides of them, but for those that have prompts of their own.
        """
        record = self.records.get(frame)
        if record is None:
            return False
        return any(
            self._concerns(obj, place, frame, record)
            for obj in self.objects.values()
            for place, revision in obj.changes
            if revision > record.revision
        )

    def _concerns(
        self, obj: TrackedObject, place: int, frame: int, record: FrameRecord
    ) -> bool:
        """Whether a change of an object's prompts at a place concerns a frame."""
        if obj.removed:
            # Queries of its subject linked to it; they may find something there now.
            return self.alive(obj.subject_id) and record.followed(obj.object_id)
        if frame == place:
            return True
        if frame in obj.prompts:
            return False
        begun = obj.begun(frame, record.direction)
        return begun or record.followed(obj.object_id)
