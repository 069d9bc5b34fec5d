"""The parts of a session's state, immutable: objects with prompts, records, relations.

Frame numbers count sampled frames; coordinates are pixels of the video.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from c2g_jax.tracking.object_tracks import OpenTrack
from c2g_jax.tracking.spans import Spans

SUBJECT, OBJECT = "subject", "object"
Triple = tuple[int, int, str]  # subject, object, predicate


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
    moments: np.ndarray  # float32 [5], where the mask lies: `geometry.mask_moments`
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
    in no result. An object removed by a person keeps its observations, so that it is
    recognised and not found again; one removed with a deleted prompt has none.
    accepted: a person accepted an object that the model found. presence: the spans in
    which a person says that it is present, None: wherever it has a mask.
    """

    object_id: int
    role: str
    subject_id: int | None = None
    prompts: Mapping[int, FramePrompts] = field(default_factory=dict)
    observations: Mapping[int, Observation] = field(default_factory=dict)
    changes: tuple[tuple[int, int], ...] = ()
    category: str | None = None  # given by a person
    removed: bool = False
    accepted: bool = False
    presence: Spans | None = None

    def present(self, frame: int) -> bool:
        """Whether its mask on a frame counts, if it has one there."""
        spans = self.presence
        return spans is None or any(first <= frame <= last for first, last in spans)

    @property
    def pinned(self) -> bool:
        """Whether a person prompted it: its track then never closes."""
        return bool(self.prompts)

    @property
    def told(self) -> bool:
        """Whether a person told anything of it alone; subjects are a person's."""
        told = self.role == SUBJECT or self.prompts or self.category or self.accepted
        return bool(told) or self.presence is not None

    @property
    def seen(self) -> bool:
        """Whether a frame shows it."""
        return any(found.mask is not None for found in self.observations.values())

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

    revision, direction: of the last pass; one that followed some subjects alone left
    here what an earlier pass had of the others. tracks: those open after the frame, but
    for prompted objects; their last_linked is frame * direction. linked: by subject,
    the tracks that its queries linked to when DIDM last ran. pairs: (subject, object)
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


@dataclass(frozen=True)
class DrawnRelation:
    """A relation that a person drew: it holds in these spans, and in no others.

    The spans are ascending and disjoint; two may touch, as after a split.
    """

    subject_id: int
    object_id: int
    predicate: str
    spans: Spans

    @property
    def triple(self) -> Triple:
        return self.subject_id, self.object_id, self.predicate
