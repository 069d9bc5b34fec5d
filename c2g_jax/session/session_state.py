"""Everything that a session knows, as an immutable value: undo returns an older one.

States share the parts that did not change, so that keeping many costs little memory.
Frame numbers count sampled frames; coordinates are pixels of the video.
"""

import functools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from c2g_jax.session.state_parts import (
    SUBJECT,
    DrawnRelation,
    FrameRecord,
    Observation,
    PredicateFix,
    TrackedObject,
    Triple,
)
from c2g_jax.tracking.object_tracks import find_id
from c2g_jax.tracking.spans import Spans, frames_of, merge_spans
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class SessionState:
    """A session's state.

    objects: by id, in the order of creation. records: of the frames that were tracked.
    revision: increases with each change of prompts and each pass of tracking. drawn:
    relations by hand, one for each triple. dismissed: triples that the model may guess
    no more. same: pairs that a person merged, (merged id, kept id).
    vocabulary: the session's own, None: the model's.
    """

    objects: Mapping[int, TrackedObject] = field(default_factory=dict)
    records: Mapping[int, FrameRecord] = field(default_factory=dict)
    fixes: tuple[PredicateFix, ...] = ()
    next_id: int = 1
    revision: int = 0
    drawn: tuple[DrawnRelation, ...] = ()
    dismissed: tuple[Triple, ...] = ()
    same: tuple[tuple[int, int], ...] = ()
    vocabulary: Vocabulary | None = None

    @functools.cached_property
    def shared(self) -> dict[int, int]:
        """All merged ids, old id -> id kept."""
        shared = {
            old: kept
            for record in self.records.values()
            for old, kept in record.merged.items()
            if self.alive(old) and self.alive(kept)
        }
        for old, kept in self.same:
            if self.alive(old) and self.alive(kept):
                # Through earlier merges of both, so that there are no cycles.
                old, kept = find_id(old, shared), find_id(kept, shared)
                if old != kept:
                    shared[old] = kept
        return shared

    def alive(self, object_id: int | None) -> bool:
        """Whether the object exists and was not removed."""
        obj = self.objects.get(object_id)
        return obj is not None and not obj.removed

    def without_lost(self) -> "SessionState":
        """Return the state of a finished pass, without what it found and lost.

        No frame shows it any more, or queries met it on one frame alone and its track
        has ended; and no person told anything of it.
        """
        pairs = [fix.pair for fix in self.fixes] + [d.triple[:2] for d in self.drawn]
        told = {i for pair in (*pairs, *self.same) for i in pair}
        met = self._met_again()
        lost = {
            i: replace(obj, removed=True, observations={})
            for i, obj in self.objects.items()
            if not (obj.removed or obj.told or i in told or (obj.seen and i in met))
        }
        return replace(self, objects={**self.objects, **lost}) if lost else self

    def _met_again(self) -> set[int]:
        """Return the objects of all ids shown but those met once, whose tracks ended.

        A track may go on where the next frame was not tracked since.
        """
        met, going_on = defaultdict(set), set()
        for frame, record in self.records.items():
            for _, i in record.pairs:
                met[self.shown_id(i)].add(frame)
            following = self.records.get(frame + record.direction)
            if following is None or following.revision < record.revision:
                going_on |= {track.object_id for track in record.tracks}
        return {
            obj.object_id
            for i, group in self.shown.items()
            if len(met[i]) > 1
            or any(obj.told or obj.object_id in going_on for obj in group)
            for obj in group
        }

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
    def drawn_of(self) -> dict[tuple[int, int], dict[str, Spans]]:
        """The drawn relations of pairs that still exist, by the ids shown."""
        found: dict[tuple[int, int], dict[str, Spans]] = {}
        for relation in self.drawn:
            subject_id, object_id, predicate = relation.triple
            if self.alive(subject_id) and self.alive(object_id):
                pair = self.shown_id(subject_id), self.shown_id(object_id)
                own = found.setdefault(pair, {}) if pair[0] != pair[1] else {}
                spans = relation.spans
                if predicate in own:  # of two objects that were merged
                    spans = merge_spans(frames_of(own[predicate] + spans))
                own[predicate] = spans
        return found

    @functools.cached_property
    def active_dismissed(self) -> frozenset[Triple]:
        """The dismissed triples, by the ids shown."""
        return frozenset(
            (self.shown_id(s), self.shown_id(o), p)
            for s, o, p in self.dismissed
            if self.alive(s) and self.alive(o)
        )

    @functools.cached_property
    def annotated(self) -> frozenset[int]:
        """Objects that a person prompted, named, related or accepted, or merged with
        such."""
        related = {i for fix in self.active_fixes for i in fix.pair}
        related |= {i for pair in self.drawn_of for i in pair}
        return frozenset(
            obj.object_id
            for i, group in self.shown.items()
            if i in related or any(t.category or t.pinned or t.accepted for t in group)
            for obj in group
        )

    @functools.cached_property
    def accepted(self) -> frozenset[int]:
        """The ids shown of all objects but those that the model alone vouches for."""
        related = {i for pair in self.drawn_of for i in pair}
        related |= {i for f in self.active_fixes if f.predicate for i in f.pair}
        return frozenset(
            i
            for i, group in self.shown.items()
            if i in related
            or any(t.pinned or t.accepted for t in group)
            or any(t.category or t.role == SUBJECT for t in group)
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
            if found is not None and found.mask is not None and obj.present(frame):
                return found
        return None

    def visible(self, shown_id: int) -> list[int]:
        """Return the frames on which a shown object has a mask, ascending."""
        group = self.shown.get(shown_id, ())
        frames = {
            t
            for obj in group
            for t, found in obj.observations.items()
            if found.mask is not None and obj.present(t)
        }
        return sorted(frames)

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

    def untracked(self, frame: int) -> "SessionState":
        """Return the state without all that tracking made on a frame."""
        objects = {
            i: obj
            if obj.removed or frame in obj.prompts
            else obj.with_observations({frame: None})
            for i, obj in self.objects.items()
        }
        return replace(self.without_record(frame), objects=objects)

    def is_followed(self, frame: int) -> bool:
        """Whether a frame was tracked, and some object still begins before it."""
        record = self.records.get(frame)
        return record is not None and any(
            obj.begun(frame, record.direction)
            for obj in self.objects.values()
            if not obj.removed
        )

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
            if revision > _made(obj, frame, record)
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
            # Its own mask stays, but its pass may have brought objects that it found
            # after the change, and before this frame.
            after = (frame - place) * record.direction > 0
            return after and any(t.subject_id == obj.object_id for t in record.tracks)
        begun = obj.begun(frame, record.direction)
        return begun or record.followed(obj.object_id)


def _made(obj: TrackedObject, frame: int, record: FrameRecord) -> int:
    """Return the revision in which an object's result on a frame was computed.

    A later pass may have followed other subjects alone over the frame.
    """
    found = obj.observations.get(frame)
    if found is None or frame in obj.prompts or obj.removed:
        return record.revision
    return found.revision
