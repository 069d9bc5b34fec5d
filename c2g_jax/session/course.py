"""One pass over the frames: what it carries along, and who is followed on a frame."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from c2g_jax.session.state import SUBJECT, SessionState
from c2g_jax.tracking.object_tracks import OpenTrack


@dataclass(frozen=True)
class Course:
    """What a pass carries from a frame to the next, beside the memories.

    made: the revision that it writes. direction: 1 or -1. tracks: what the model found
    and follows. met: by subject, what its queries met when they looked last.
    """

    made: int
    direction: int
    tracks: tuple[OpenTrack, ...]
    met: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True)
class Cast:
    """Who is followed on a frame, all by id but the tracks of what the model found."""

    frame: int
    subjects: tuple[int, ...]
    pinned: tuple[int, ...]  # objects that a person pointed at
    tracks: tuple[OpenTrack, ...]
    prompted: frozenset[int]  # on this very frame
    due: tuple[int, ...]  # subjects whose objects DIDM looks for here

    @property
    def live(self) -> tuple[int, ...]:
        """The ids of all that is followed on the frame."""
        return *self.subjects, *self.pinned, *(t.object_id for t in self.tracks)


def begin(state: SessionState, start: int, direction: int) -> Course:
    """The course that takes up what an earlier pass left on the frame behind."""
    behind = start - direction
    note = state.notes.get(behind)
    if note is None:
        return Course(state.revision, direction, (), {})
    tracks = tuple(
        t
        for t in note.tracks
        if state.alive(t.object_id)
        and state.alive(t.subject_id)
        and state.things[t.subject_id].begun(start, direction)
        and behind in state.things[t.object_id].observations
    )
    if note.direction != direction:
        clock = behind * direction
        tracks = tuple(dataclasses.replace(t, last_met=clock) for t in tracks)
    return Course(state.revision, direction, tracks, note.met)


def cast_of(
    state: SessionState, course: Course, frame: int, discover_every: int
) -> Cast:
    """Who is followed on a frame of a course."""
    begun = [
        thing
        for thing in state.things.values()
        if not thing.removed and thing.begun(frame, course.direction)
    ]
    subjects = tuple(t.object_id for t in begun if t.role == SUBJECT)
    pinned = tuple(t.object_id for t in begun if t.role != SUBJECT)
    tracks = tuple(t for t in course.tracks if t.object_id not in pinned)
    live = (*subjects, *pinned, *(t.object_id for t in tracks))
    prompted = frozenset(i for i in live if frame in state.things[i].prompts)

    def due(subject: int) -> bool:
        since = frame - min(state.things[subject].prompts)
        on_time = discover_every > 0 and since % discover_every == 0
        return subject in prompted or on_time

    return Cast(frame, subjects, pinned, tracks, prompted, tuple(filter(due, subjects)))
