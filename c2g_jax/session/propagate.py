"""Tracking from frame to frame: what is followed, met, found and named one.

The rules are those of `tracking`, by the same functions of `object_tracks`; beyond it
this goes in both directions, over frames that were tracked before, and keeps what a
person pointed at.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import jax
import numpy as np

from c2g_jax import click2graph
from c2g_jax.object_tracks import (
    FrameMeeting,
    OpenTrack,
    Rows,
    meet_all,
    share_ids,
)
from c2g_jax.rle import mask_iou
from c2g_jax.sam2 import video_tracker
from c2g_jax.sam2.memory import bucket
from c2g_jax.sam2.track import Segmentation
from c2g_jax.session.engine import Answer, Engine
from c2g_jax.session.memories import MAX_CONDITIONING
from c2g_jax.session.state import (
    OBJECT,
    SUBJECT,
    FrameNote,
    Observation,
    SessionState,
    Thing,
)


def propagate(
    engine: Engine, state: SessionState, frames: range
) -> Iterator[tuple[int, SessionState]]:
    """Track the frames of a range of step 1 or -1; yields each with the state then."""
    state = dataclasses.replace(state, revision=state.revision + 1)
    run = _Run(engine, state, frames.start, frames.step)
    for frame in frames:
        state = run.step(state, frame)
        yield frame, state


class _Run:
    """One pass: what it carries from a frame to the next."""

    def __init__(self, engine: Engine, state: SessionState, start: int, direction: int):
        self.engine, self.direction, self.made = engine, direction, state.revision
        self.tracks = _open_tracks(state, start, direction)
        behind = state.notes.get(start - direction)
        self.met = dict(behind.met) if behind is not None else {}
        self.slots: dict[int, int] = {}
        self.num_slots, self.bank = 1, None

    def step(self, state: SessionState, frame: int) -> SessionState:
        """Track one frame into the state."""
        subjects, pinned = [], []
        for thing in state.things.values():
            if not thing.removed and thing.begun(frame, self.direction):
                chosen = subjects if thing.role == SUBJECT else pinned
                chosen.append(thing.object_id)
        found = [t.object_id for t in self.tracks if t.object_id not in pinned]
        live = [*subjects, *pinned, *found]
        if not live:
            return _without_note(state, frame)
        self._seat(state, live, len(subjects), frame)
        prompted = {i for i in live if frame in state.things[i].prompts}
        answer, memory = self._follow(state, live, prompted, frame)
        scene = self._look(state, answer, subjects, pinned, prompted, frame)
        memory, scene = jax.device_get((memory, scene))  # the wait of a frame
        return self._settle(state, frame, subjects, pinned, prompted, memory, scene)

    def _seat(
        self, state: SessionState, live: list[int], num_subjects: int, frame: int
    ) -> None:
        """Give each of `live` a slot; a newcomer makes the bank be filled anew."""
        # With more prompts than a bank holds, the nearest change from frame to frame.
        full = any(len(state.things[i].prompts) > MAX_CONDITIONING for i in live)
        if self.bank is not None and set(live) <= self.slots.keys() and not full:
            return
        # Room for what the queries may find, so that the shapes rarely change.
        room = num_subjects * (1 + self.engine.model.config.didm.num_queries)
        self.num_slots = max(self.num_slots, bucket(max(len(live), room)))
        self.slots = {object_id: slot for slot, object_id in enumerate(live)}
        seated = {slot: state.things[i] for i, slot in self.slots.items()}
        self.bank = self.engine.memories.bank(
            seated, frame, self.direction, self.num_slots
        )

    def _follow(
        self, state: SessionState, live: list[int], prompted: set[int], frame: int
    ) -> tuple[Segmentation, jax.Array | None]:
        """The rows of all slots, and the memories of those that were tracked."""
        engine, n = self.engine, self.num_slots
        active = np.zeros(n, bool)
        active[[self.slots[i] for i in live if i not in prompted]] = True
        answer, memory = None, None
        if active.any():
            self.bank, answer, memory = video_tracker.step(
                engine.model.sam2,
                self.bank,
                engine.features(frame),
                np.int32(frame),
                active,
                np.int32(engine.num_frames),
                np.int32(self.direction),
            )
        if not prompted:
            return answer, memory
        size, c = engine.config.low_res_size, engine.config.d_model
        if answer is None:
            rows = [(n, size, size), (n,), (n,), (n, c)]
            rows = [np.zeros(shape, np.float32) for shape in rows]
        else:
            rows = [np.array(x, np.float32) for x in jax.device_get(answer[:4])]
        for i in prompted:
            given = engine.answer_of(state.things[i].observations[frame])
            for row, value in zip(rows, given, strict=True):
                row[self.slots[i]] = value
        return Segmentation(*rows, None, None), memory

    def _look(
        self,
        state: SessionState,
        answer: Segmentation,
        subjects: list[int],
        pinned: list[int],
        prompted: set[int],
        frame: int,
    ) -> click2graph.Scene:
        """What the frame shows; queries of DIDM where one of the subjects is due."""
        model, slots = self.engine.model, self.slots
        features = self.engine.features(frame)
        owner = np.arange(self.num_slots, dtype=np.int32)
        leaders = {t.object_id: t.subject_id for t in self.tracks}
        leaders |= {i: state.things[i].leader for i in pinned}
        for object_id, leader in leaders.items():
            if object_id in slots and leader in slots:
                owner[slots[object_id]] = slots[leader]
        every = model.config.discover_every
        self.due = [
            i
            for i in subjects
            if i in prompted
            or (every and (frame - min(state.things[i].prompts)) % every == 0)
        ]
        if not self.due:
            return click2graph.name(model.sch, features, answer, owner)
        places = np.zeros(bucket(len(subjects)), np.int32)
        places[: len(subjects)] = [slots[i] for i in subjects]
        parts = (model.sam2, model.didm, model.sch)
        return click2graph.look(parts, features, answer, places, owner)

    def _settle(
        self,
        state: SessionState,
        frame: int,
        subjects: list[int],
        pinned: list[int],
        prompted: set[int],
        memory: np.ndarray | None,
        scene: click2graph.Scene,
    ) -> SessionState:
        """Decide what lives on, and write the frame into the state."""
        rules, n = self.engine.model.config.rules, self.num_slots
        q = self.engine.model.config.didm.num_queries
        clock, row_of = frame * self.direction, dict(self.slots)
        queries = {
            i: np.arange(n + k * q, n + (k + 1) * q)
            for k, i in enumerate(subjects)
            if i in self.due
        }
        held = [t for t in self.tracks if t.object_id not in pinned]
        held += [OpenTrack(i, state.things[i].leader, clock, 1.0) for i in pinned]
        rows = Rows(scene.area, scene.iou, scene.triplets.confidence)
        meeting = meet_all(held, queries, clock, rows, row_of, state.next_id, rules)

        seen = {
            i: self._observe(frame, row, scene, 0) for i, row in meeting.opened.items()
        }
        names, state = self._recognise(state, frame, meeting, seen)
        meeting = _renamed(meeting, names, state)
        seen = {names[i]: observation for i, observation in seen.items()}
        row_of |= meeting.opened
        for i, slot in self.slots.items():
            if i in prompted:
                continue
            if i in subjects or i in pinned or any(t.object_id == i for t in held):
                seen[i] = self._observe(frame, slot, scene, self.direction)
                if memory is not None:
                    self.engine.memories.keep(seen[i], memory[slot])

        tracks = tuple(t for t in meeting.tracks if t.object_id not in pinned)
        ids = [*subjects, *pinned, *(t.object_id for t in tracks)]
        whose = [None] * (len(subjects) + len(pinned)) + [t.subject_id for t in tracks]
        places = [row_of[i] for i in ids]
        notes = {t: note for t, note in state.notes.items() if t != frame}
        state = dataclasses.replace(state, notes=notes)
        merged = share_ids(
            ids, whose, scene.iou[np.ix_(places, places)], state.shared, rules
        )
        self.tracks = tracks
        for i, met in meeting.met.items():
            self.met[i] = tuple(m for m in met if m is not None)
        points = {}
        for k, i in enumerate(subjects):
            if i in self.due and scene.area[row_of[i]] > 0:
                size = np.float32([self.engine.video.width, self.engine.video.height])
                points[i] = np.asarray(scene.points[k], np.float32) * size
        note = FrameNote(
            self.made,
            self.direction,
            tracks,
            {i: self.met.get(i, ()) for i in subjects},
            _pairs(state, subjects, pinned, self.met),
            points,
            merged,
            meeting.dropped,
        )
        return _written(state, frame, note, meeting, seen)

    def _observe(
        self, frame: int, row: int, scene: click2graph.Scene, direction: int
    ) -> Observation:
        rows = scene.rows
        answer = Answer(
            np.asarray(rows.mask_logits[row]),
            float(rows.iou[row]),
            float(rows.object_score[row]),
            np.asarray(rows.obj_ptr[row], np.float32),
        )
        return self.engine.observe(answer, scene.pooled[row], direction, self.made)

    def _recognise(
        self,
        state: SessionState,
        frame: int,
        meeting: FrameMeeting,
        seen: Mapping[int, Observation],
    ) -> tuple[dict[int, int], SessionState]:
        """Names for what was opened: an old one where an earlier pass found the same.

        So what a person said of an object holds when its frames are tracked anew, and
        what was removed does not come back.
        """
        names, next_id, taken = {}, state.next_id, set(self.slots)
        link = self.engine.model.config.rules.link_iou
        for new_id, observation in seen.items():
            best, name = link, None
            for thing in state.things.values():
                known = thing.observations.get(frame)
                if (
                    thing.leader != meeting.leaders[new_id]
                    or thing.object_id in taken
                    or known is None
                    or known.mask is None
                    or observation.mask is None
                ):
                    continue
                overlap = mask_iou(known.mask, observation.mask)
                if overlap >= best:
                    best, name = overlap, thing.object_id
            if name is None:
                name, next_id = next_id, next_id + 1
                leader = meeting.leaders[new_id]
                state = state.with_thing(Thing(name, OBJECT, leader))
            names[new_id] = name
            taken.add(name)
        return names, dataclasses.replace(state, next_id=next_id)


def _open_tracks(
    state: SessionState, start: int, direction: int
) -> tuple[OpenTrack, ...]:
    """The tracks that an earlier pass left open on the frame behind the first."""
    behind = start - direction
    note = state.notes.get(behind)
    if note is None:
        return ()
    tracks = [
        t
        for t in note.tracks
        if state.alive(t.object_id)
        and state.alive(t.subject_id)
        and state.things[t.subject_id].begun(start, direction)
        and behind in state.things[t.object_id].observations
    ]
    if note.direction == direction:
        return tuple(tracks)
    clock = behind * direction
    return tuple(dataclasses.replace(t, last_met=clock) for t in tracks)


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
    state: SessionState,
    subjects: list[int],
    pinned: list[int],
    met: Mapping[int, tuple[int, ...]],
) -> tuple[tuple[int, int], ...]:
    """Who belongs together on a frame: what queries met, and what people pointed at."""
    pairs = [(s, i) for s in subjects for i in met.get(s, ()) if state.alive(i)]
    pairs += [(state.things[i].leader, i) for i in pinned]
    return tuple(dict.fromkeys(pair for pair in pairs if pair[0] in subjects))


def _written(
    state: SessionState,
    frame: int,
    note: FrameNote,
    meeting: FrameMeeting,
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


def _without_note(state: SessionState, frame: int) -> SessionState:
    notes = {t: note for t, note in state.notes.items() if t != frame}
    return dataclasses.replace(state, notes=notes)
