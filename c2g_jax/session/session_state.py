"""All that a session knows, never changed in place: to undo is to go back.

States share what did not change between them, so that keeping many costs little.
Frames are sampled frames, coordinates pixels of the video.
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
    """One object on one frame; what follows from it needs neither frame nor model.

    mask: COCO RLE at the video's size, None where nothing is seen. direction: 1 or -1
    where it was tracked so, 0 where it was prompted, or found, there. made: the
    revision of the state that it was made in.
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
    """What is said of an object on a frame, and what tracking had found there."""

    items: tuple[PromptItem, ...]
    base: Observation | None = None


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """A subject or an object. leader: the subject that led to it, None for subjects.

    changes: (frame, revision) of all that was said of it by prompts. removed: it is
    kept only to be known again, and shown nowhere.
    """

    object_id: int
    role: str
    subject_id: int | None = None
    prompts: Mapping[int, FramePrompts] = field(default_factory=dict)
    observations: Mapping[int, Observation] = field(default_factory=dict)
    changes: tuple[tuple[int, int], ...] = ()
    category: str | None = None  # as a person named it
    removed: bool = False

    @property
    def pinned(self) -> bool:
        """Whether a person pointed at it: it is then followed to the end."""
        return bool(self.prompts)

    def begun(self, frame: int, direction: int) -> bool:
        """Whether tracking in a direction has passed a prompt when it is at a frame."""
        return any((frame - t) * direction >= 0 for t in self.prompts)

    def with_observations(
        self, added: Mapping[int, Observation | None]
    ) -> "TrackedObject":
        """The same with observations by frame; None takes one away."""
        merged = {**self.observations, **added}
        return replace(
            self, observations={t: o for t, o in merged.items() if o is not None}
        )


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """What tracking decided on a frame.

    last_met in `tracks` counts frames in the direction of tracking: frame * direction.
    pairs: (subject, object) that belong together here. points: by subject, float32
    [q, 2], where the model looked.
    """

    revision: int
    direction: int
    tracks: tuple[OpenTrack, ...]
    met: Mapping[int, tuple[int, ...]]
    pairs: tuple[tuple[int, int], ...]
    points: Mapping[int, np.ndarray]
    merged: Mapping[int, int]
    dropped: int = 0


@dataclass(frozen=True)
class PredicateFix:
    """A person's word on a pair: the predicate of a span, or None where it has none."""

    subject_id: int
    object_id: int
    predicate: str | None
    start: int
    stop: int  # inclusive

    @property
    def pair(self) -> tuple[int, int]:
        return self.subject_id, self.object_id

    def covers(self, subject_id: int, object_id: int, frame: int) -> bool:
        """Whether it says what holds between these two on a frame."""
        same = self.pair == (subject_id, object_id)
        return same and self.start <= frame <= self.stop


@dataclass(frozen=True, eq=False)
class SessionState:
    """The whole of a session at one moment; `objects` in the order they came."""

    objects: Mapping[int, TrackedObject] = field(default_factory=dict)
    records: Mapping[int, FrameRecord] = field(default_factory=dict)
    fixes: tuple[PredicateFix, ...] = ()
    next_id: int = 1
    revision: int = 0

    @functools.cached_property
    def shared(self) -> dict[int, int]:
        """Ids that turned out to name one obj, old -> kept."""
        return {
            old: kept
            for record in self.records.values()
            for old, kept in record.merged.items()
            if self.alive(old) and self.alive(kept)
        }

    def alive(self, object_id: int) -> bool:
        """Whether there is such a obj that nobody removed."""
        obj = self.objects.get(object_id)
        return obj is not None and not obj.removed

    def shown_id(self, object_id: int) -> int:
        """The id that a obj goes by."""
        return find_id(object_id, self.shared)

    @functools.cached_property
    def shown(self) -> dict[int, tuple[TrackedObject, ...]]:
        """The objects behind each id that is shown, the one of that id first."""
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
        """What people said of pairs that are still there, by the ids shown."""
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
        """What a person named, related or pointed at, under all ids that it goes by."""
        related = {i for fix in self.active_fixes for i in fix.pair}
        return frozenset(
            obj.object_id
            for i, group in self.shown.items()
            if i in related or any(t.category or t.pinned for t in group)
            for obj in group
        )

    def category(self, shown_id: int) -> str | None:
        """What a person named a shown obj, if anyone did."""
        names = (obj.category for obj in self.shown[shown_id])
        return next((name for name in names if name is not None), None)

    def subjects_of(self, shown_id: int) -> tuple[int, ...]:
        """The subjects that led to a obj, by the ids shown; none for a subject."""
        leaders = [
            t.subject_id for t in self.shown[shown_id] if t.subject_id is not None
        ]
        leaders = [self.shown_id(i) for i in leaders if self.alive(i)]
        return tuple(i for i in dict.fromkeys(leaders) if i != shown_id)

    def observation(self, shown_id: int, frame: int) -> Observation | None:
        """What is seen of a shown obj on a frame, where anything is."""
        for obj in self.shown.get(shown_id, ()):
            found = obj.observations.get(frame)
            if found is not None and found.mask is not None:
                return found
        return None

    def object(self, object_id: int) -> TrackedObject:
        """A obj that is there; InputError where there is none."""
        if not self.alive(object_id):
            known = ", ".join(map(str, self.shown)) or "none yet"
            raise InputError(f"there is no object {object_id}: known are {known}")
        return self.objects[object_id]

    def with_object(self, obj: TrackedObject) -> "SessionState":
        """The state with this obj, in place of the one by its id if there is one."""
        return replace(self, objects={**self.objects, obj.object_id: obj})

    def without_record(self, frame: int) -> "SessionState":
        """The state as if tracking had never been on a frame."""
        records = {t: record for t, record in self.records.items() if t != frame}
        return replace(self, records=records)

    def is_stale(self, frame: int) -> bool:
        """Whether something was said since that tracking a frame anew would take up."""
        record = self.records.get(frame)
        if record is None:
            return False
        return any(
            revision > record.revision and (frame - place) * record.direction >= 0
            for obj in self.objects.values()
            if not obj.removed
            for place, revision in obj.changes
        )
