"""From what a tracked frame shows to the state: who is met, who is whom, what is seen.

The rules are those of `tracking`, by the same functions of `object_tracks`; beyond it,
frames may have been tracked before, and what a person pointed at stays.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from c2g_jax.click2graph.model import Scene
from c2g_jax.session.course import Cast, Course
from c2g_jax.session.engine import Answer, Engine, native_rle
from c2g_jax.session.recognise import giving_way, recognise
from c2g_jax.session.state import OBJECT, FrameNote, Observation, SessionState
from c2g_jax.tracking.object_tracks import (
    FrameMeeting,
    OpenTrack,
    Rows,
    meet_all,
    share_ids,
)
from c2g_jax.types import TrackRules


class Shown(NamedTuple):
    """What a frame shows, on the host."""

    rows: Mapping[int, int]  # by id, of all that have a slot
    queries: Mapping[int, np.ndarray]  # by subject that is due: the rows of its queries
    scene: Scene
    memory: np.ndarray | None  # [slots, h, w, m], None where nothing was tracked

    def answer(self, row: int) -> Answer:
        """A row's logits [4h, 4w], predicted IoU, object score and pointer [c]."""
        rows = self.scene.rows
        return Answer(
            np.asarray(rows.mask_logits[row]),
            float(rows.iou[row]),
            float(rows.object_score[row]),
            np.asarray(rows.obj_ptr[row], np.float32),
        )


def settle(
    engine: Engine, state: SessionState, course: Course, cast: Cast, shown: Shown
) -> tuple[SessionState, Course]:
    """Decide what lives on, and write the frame into the state."""
    rules = engine.model.config.rules
    cast = _without_weak(engine, state, cast, shown, rules)
    meeting = _meet(state, course, cast, shown, rules)
    found = {
        i: _observe(engine, course, shown, row, 0) for i, row in meeting.opened.items()
    }
    names, state = recognise(
        state, cast.frame, meeting.leaders, found, shown.rows.keys(), rules
    )
    meeting = _renamed(meeting, names, state)
    seen = {names[i]: observation for i, observation in found.items()}
    for i in cast.live:
        if i not in cast.prompted:
            row = shown.rows[i]
            seen[i] = _observe(engine, course, shown, row, course.direction)
            if shown.memory is not None:
                engine.memories.keep(seen[i], shown.memory[row])

    tracks = tuple(t for t in meeting.tracks if t.object_id not in cast.pinned)
    met = {i: tuple(m for m in own if m is not None) for i, own in meeting.met.items()}
    course = dataclasses.replace(course, tracks=tracks, met={**course.met, **met})
    state = without_note(state, cast.frame)
    note = FrameNote(
        course.made,
        course.direction,
        tracks,
        {i: course.met.get(i, ()) for i in cast.subjects},
        _pairs(state, cast, course.met),
        _points(engine, cast, shown),
        _merged(state, cast, tracks, shown, meeting, rules),
        meeting.dropped,
    )
    return _written(state, cast.frame, note, seen), course


def without_note(state: SessionState, frame: int) -> SessionState:
    """The state as if tracking had never been on a frame."""
    notes = {t: note for t, note in state.notes.items() if t != frame}
    return dataclasses.replace(state, notes=notes)


def _without_weak(
    engine: Engine, state: SessionState, cast: Cast, shown: Shown, rules: TrackRules
) -> Cast:
    """The cast, but for the tracks that give way to what a person spoke of."""
    video, scene, gone = engine.video, shown.scene, set()

    def mask_of(row: int) -> Mapping | None:
        return native_rle(
            np.asarray(scene.rows.mask_logits[row]), video.height, video.width
        )

    for subject, rows in shown.queries.items():
        if scene.area[shown.rows[subject]] == 0:
            continue
        own = [t for t in cast.tracks if t.subject_id == subject]
        pinned = [i for i in cast.pinned if state.things[i].leader == subject]
        here = [*(t.object_id for t in own), *pinned]
        sights = (
            (
                [i for i in here if scene.iou[row, shown.rows[i]] >= rules.link_iou],
                functools.partial(mask_of, row),
            )
            for row in rows
            if scene.area[row] > 0
        )
        gone |= giving_way(
            state, cast.frame, subject, own, sights, shown.rows.keys(), rules
        )
    tracks = tuple(t for t in cast.tracks if t.object_id not in gone)
    return dataclasses.replace(cast, tracks=tracks)


def _meet(
    state: SessionState, course: Course, cast: Cast, shown: Shown, rules: TrackRules
) -> FrameMeeting:
    """Whom the queries meet; what a person pointed at can be met, and does not age."""
    clock, scene = cast.frame * course.direction, shown.scene
    pinned = [OpenTrack(i, state.things[i].leader, clock, 1.0) for i in cast.pinned]
    rows = Rows(scene.area, scene.iou, scene.triplets.confidence)
    held = [*cast.tracks, *pinned]
    return meet_all(held, shown.queries, clock, rows, shown.rows, state.next_id, rules)


def _observe(
    engine: Engine, course: Course, shown: Shown, row: int, direction: int
) -> Observation:
    feature = shown.scene.pooled[row]
    return engine.observe(shown.answer(row), feature, direction, course.made)


def _renamed(
    meeting: FrameMeeting, names: Mapping[int, int], state: SessionState
) -> FrameMeeting:
    """The meeting with the names of what it opened; what was removed stays away."""

    def name(i: int) -> int:
        return names.get(i, i)

    gone = {i for i in names.values() if state.things[i].removed}
    return FrameMeeting(
        tuple(
            dataclasses.replace(t, object_id=name(t.object_id))
            for t in meeting.tracks
            if name(t.object_id) not in gone
        ),
        {
            subject: tuple(
                None if i is None or name(i) in gone else name(i) for i in met
            )
            for subject, met in meeting.met.items()
        },
        {name(i): row for i, row in meeting.opened.items()},
        {name(i): leader for i, leader in meeting.leaders.items()},
        frozenset(map(name, meeting.closed)),
        meeting.dropped,
    )


def _pairs(
    state: SessionState, cast: Cast, met: Mapping[int, tuple[int, ...]]
) -> tuple[tuple[int, int], ...]:
    """Who belongs together on a frame: what queries met, and what people pointed at."""
    pairs = [(s, i) for s in cast.subjects for i in met.get(s, ()) if state.alive(i)]
    pairs += [(state.things[i].leader, i) for i in cast.pinned]
    return tuple(dict.fromkeys(pair for pair in pairs if pair[0] in cast.subjects))


def _points(engine: Engine, cast: Cast, shown: Shown) -> dict[int, np.ndarray]:
    """Where the model looked, in pixels, by subject in view."""
    size = np.float32([engine.video.width, engine.video.height])
    return {
        i: np.asarray(shown.scene.points[k], np.float32) * size
        for k, i in enumerate(cast.subjects)
        if i in cast.due and shown.scene.area[shown.rows[i]] > 0
    }


def _merged(
    state: SessionState,
    cast: Cast,
    tracks: tuple[OpenTrack, ...],
    shown: Shown,
    meeting: FrameMeeting,
    rules: TrackRules,
) -> dict[int, int]:
    """Which ids turn out here to name one thing."""
    prompted = (*cast.subjects, *cast.pinned)
    ids = [*prompted, *(t.object_id for t in tracks)]
    whose = [None] * len(prompted) + [t.subject_id for t in tracks]
    row_of = {**shown.rows, **meeting.opened}
    places = [row_of[i] for i in ids]
    ious = shown.scene.iou[np.ix_(places, places)]
    return share_ids(ids, whose, ious, state.shared, rules)


def _written(
    state: SessionState,
    frame: int,
    note: FrameNote,
    seen: Mapping[int, Observation],
) -> SessionState:
    """The state with a frame; what an earlier pass found there and this one did not
    is taken away."""
    things = dict(state.things)
    for i, thing in state.things.items():
        if i in seen:
            if not thing.removed:
                things[i] = thing.with_observations({frame: seen[i]})
        elif (
            thing.role == OBJECT
            and not thing.removed
            and frame in thing.observations
            and frame not in thing.prompts
            and not thing.pinned
        ):
            things[i] = thing.with_observations({frame: None})
    return dataclasses.replace(state, things=things, notes={**state.notes, frame: note})
