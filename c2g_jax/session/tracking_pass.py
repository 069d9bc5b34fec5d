"""Track frames of a session in either direction, by the steps of `tracking.loop`.

A pass may start in the middle of a video and cover frames that were tracked before: the
memory bank is filled from observations, objects found earlier keep their ids, and the
masks of prompted objects are those shown to the person who prompted them.
"""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping

import jax
import numpy as np

from c2g_jax.session.engine import Engine
from c2g_jax.session.memory_cache import (
    conditioning,
    found_memory,
    is_crowded,
    latest_memory,
)
from c2g_jax.session.recognise import EarlierObjects
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import (
    OBJECT,
    SUBJECT,
    FrameRecord,
    Observation,
    TrackedObject,
)
from c2g_jax.tracking import loop
from c2g_jax.tracking.object_tracks import OpenTrack
from c2g_jax.tracking.state import (
    FrameOutput,
    Subject,
    TrackingState,
    assign_slots,
)


def track_frames(
    engine: Engine, state: SessionState, frames: range
) -> Iterator[tuple[int, SessionState]]:
    """Track the frames of a range of step 1 or -1; yield each with the state then."""
    state = dataclasses.replace(state, revision=state.revision + 1)
    tracking_pass = TrackingPass(engine, state, frames.start, frames.step)
    for frame, following in itertools.zip_longest(frames, frames[1:]):
        state = tracking_pass.step(state, following)
        yield frame, state


class TrackingPass:
    """One pass over consecutive frames; it carries a `TrackingState` along."""

    def __init__(self, engine: Engine, state: SessionState, first: int, direction: int):
        """Take up the tracks that an earlier pass left on the frame before `first`."""
        self._engine = engine
        before = first - direction
        record = state.records.get(before)
        self._linked = {} if record is None else record.linked
        self._reload = False  # whether to fill the memory bank anew from observations
        tracks = () if record is None else record.tracks
        tracks = tuple(
            t
            for t in tracks
            if state.alive(t.object_id)
            and state.alive(t.subject_id)
            and state.objects[t.subject_id].begun(first, direction)
            and before in state.objects[t.object_id].observations
        )
        # Reset the age of tracks that were last linked in the opposite direction.
        clock = before * direction
        tracks = tuple(
            dataclasses.replace(t, last_linked=clock)
            if t.last_linked * direction < 0
            else t
            for t in tracks
        )
        video = engine.video
        self._tracking = TrackingState(
            video.height,
            video.width,
            engine.num_frames,
            frame=first,
            direction=direction,
            tracks=tracks,
            packed=_rows_cost_time(),
        )

    def step(self, state: SessionState, following: int | None = None) -> SessionState:
        """Track the next frame and write it into the state.

        `following` is the frame after it, if there is one: it is encoded meanwhile.
        """
        engine, frame = self._engine, self._tracking.frame
        tracking = self._with_objects(state)
        if not tracking.slot_of():
            self._tracking = tracking.advanced()
            return state if state.is_followed(frame) else state.untracked(frame)
        given = {
            i: engine.answer_of(state.objects[i].observations[frame])
            for i in tracking.slot_of()
            if frame in state.objects[i].prompts
        }
        features = engine.features(frame)
        pending = loop.begin_frame(engine.model, tracking, features, given=given)
        memories = None
        if tracking.slot_of().keys() - given.keys():
            # Queued before the frame's one wait for the device, so it adds none.
            memories = latest_memory(pending.state.bank, np.int32(frame))
        if following is not None:
            engine.encode_ahead(following)
        earlier = EarlierObjects(engine, state)
        output = loop.finish_frame(engine.model, pending, earlier)
        self._tracking = output.after
        self._reload = any(
            i in state.objects and self._has_more(state.objects[i])
            for i in output.opened
        )
        found = {i: earlier.found[row] for i, row in output.opened.items()}
        self._keep_found(output, found)
        return self._written(state, output, found, memories)

    def _with_objects(self, state: SessionState) -> TrackingState:
        """Return the tracking state with all objects to follow on the next frame.

        Subjects and prompted objects are followed once the pass has reached one of
        their prompts.
        """
        tracking = self._tracking
        frame, direction = tracking.frame, tracking.direction
        begun = [
            obj
            for obj in state.objects.values()
            if not obj.removed and obj.begun(frame, direction)
        ]
        known = {s.object_id: s for s in tracking.subjects}
        subjects = tuple(
            known.get(t.object_id)
            or Subject(t.object_id, min(t.prompts), self._linked.get(t.object_id, ()))
            for t in begun
            if t.role == SUBJECT
        )
        # Confidence 1 and linked on every frame: pinned tracks do not age.
        pinned = [
            OpenTrack(t.object_id, t.subject_id, tracking.clock, 1.0)
            for t in begun
            if t.role != SUBJECT
        ]
        pinned_ids = frozenset(t.object_id for t in pinned)
        tracks = [t for t in tracking.tracks if t.object_id not in pinned_ids]
        tracking = dataclasses.replace(
            tracking,
            subjects=subjects,
            tracks=(*tracks, *pinned),
            pinned=pinned_ids,
            # Merges of this frame are decided again.
            shared=state.without_record(frame).shared,
            next_id=state.next_id,
        )
        live = [x.object_id for x in (*subjects, *pinned, *tracks)]
        # With more conditioning frames than a bank holds, the nearest ones change from
        # frame to frame.
        crowded = any(is_crowded(state.objects[i]) for i in live)
        if self._reload or crowded or not set(live) <= tracking.slot_of().keys():
            return self._loaded(state, tracking, live)
        return tracking

    def _loaded(
        self, state: SessionState, tracking: TrackingState, live: list[int]
    ) -> TrackingState:
        """Return the tracking state with a bank filled from the objects' memories."""
        frame, direction = tracking.frame, tracking.direction
        # Room for what the queries may find, so that shapes rarely change.
        num_queries = self._engine.model.config.didm.num_queries
        room = len(tracking.subjects) * (1 + num_queries)
        free = dataclasses.replace(tracking, slots=(None,) * len(tracking.slots))
        tracking = assign_slots(free, live, room)
        objects = {slot: state.objects[i] for i, slot in tracking.slot_of().items()}
        bank = self._engine.memories.bank(
            objects, frame, direction, len(tracking.slots)
        )
        prompted = {
            obj.object_id: len(conditioning(obj, frame, direction))
            for obj in objects.values()
        }
        return dataclasses.replace(tracking, bank=bank, prompted=prompted)

    def _keep_found(
        self, output: FrameOutput, found: Mapping[int, Observation]
    ) -> None:
        """Keep the memories of new tracks, so that a later pass has the very same."""
        slot_of, frame = output.after.slot_of(), output.pending.state.frame
        kept = found.keys() & slot_of.keys()
        if kept:
            memories = found_memory(output.after.bank, np.int32(frame))
            memories = jax.device_get(memories)
            for i in sorted(kept):
                self._engine.memories.keep(found[i], memories[slot_of[i]])

    def _has_more(self, obj: TrackedObject) -> bool:
        """Whether an object found on the last frame has memories of other frames."""
        tracking = self._tracking
        frame, direction = tracking.frame - tracking.direction, tracking.direction
        return any(
            t != frame and (t in obj.prompts or (frame - t) * direction > 0)
            for t in obj.observations
        )

    def _written(
        self,
        state: SessionState,
        output: FrameOutput,
        found: Mapping[int, Observation],
        memories: jax.Array | None,
    ) -> SessionState:
        """Return the state with the frame's observations and record.

        `found` are the observations of new tracks, `memories` [n, h, w, m] those of
        all slots, None if no object was tracked to the frame.
        """
        engine, before = self._engine, output.pending.state
        frame, direction, made = before.frame, before.direction, state.revision
        observed = dict(found)
        followed = {
            i: row
            for i, row in before.slot_of().items()
            if i not in output.pending.given and i not in output.displaced
        }
        memories = jax.device_get(memories)
        for i, row in followed.items():
            observed[i] = engine.observe_row(output.scene, row, direction, made)
            engine.memories.keep(observed[i], memories[row])
        for i in output.opened:
            if i not in state.objects:
                state = state.with_object(
                    TrackedObject(i, OBJECT, output.subject_of[i])
                )
        state = dataclasses.replace(state, next_id=output.after.next_id)
        earlier, others = state.records.get(frame), frozenset()
        state = state.without_record(frame)
        record = self._record(state, output)
        if earlier is not None:
            others = frozenset(
                s for s in earlier.linked if s not in record.linked and state.alive(s)
            )
            record = _with_others(record, earlier, others, state)
        return _observed(state, frame, record, observed, others)

    def _record(self, state: SessionState, output: FrameOutput) -> FrameRecord:
        """Return the record of the frame."""
        pending, scene, after = output.pending, output.scene, output.after
        size = np.float32([after.width, after.height])
        linked = {
            s.object_id: tuple(i for i in s.linked if i is not None)
            for s in after.subjects
        }
        pairs = [(s, i) for s, own in linked.items() for i in own if state.alive(i)]
        pairs += [
            (t.subject_id, t.object_id)
            for t in after.tracks
            if t.object_id in after.pinned
        ]
        points = {
            after.subjects[k].object_id: np.asarray(scene.points[k], np.float32) * size
            for k in pending.due
            if scene.area[output.row_of[after.subjects[k].object_id]] > 0
        }
        return FrameRecord(
            state.revision,
            after.direction,
            tuple(t for t in after.tracks if t.object_id not in after.pinned),
            linked,
            tuple(dict.fromkeys(pair for pair in pairs if pair[0] in linked)),
            points,
            output.merged,
            output.dropped,
        )


def _rows_cost_time() -> bool:
    """Tell whether to compute no row too many, in parts, rather than all at once.

    On a CPU a row of a batch takes as long as alone. A GPU is faster with one batch.
    """
    return jax.default_backend() == "cpu"


def _with_others(
    record: FrameRecord,
    earlier: FrameRecord,
    others: Collection[int],
    state: SessionState,
) -> FrameRecord:
    """Add what an earlier pass had of `others`, the subjects that this one left out.

    Tracking back from a later prompt of one subject leaves the others as they are.
    """
    own = {i for i, obj in state.objects.items() if obj.subject_id in others}
    points = {s: earlier.points[s] for s in others if s in earlier.points}
    merged = {old: kept for old, kept in earlier.merged.items() if old in own}
    tracks = [t for t in earlier.tracks if t.subject_id in others]
    pairs = [pair for pair in earlier.pairs if pair[0] in others]
    return dataclasses.replace(
        record,
        tracks=(*record.tracks, *tracks),
        linked={**record.linked, **{s: earlier.linked[s] for s in others}},
        pairs=(*record.pairs, *pairs),
        points={**record.points, **points},
        merged={**record.merged, **merged},
    )


def _observed(
    state: SessionState,
    frame: int,
    record: FrameRecord,
    observed: Mapping[int, Observation],
    others: Collection[int],
) -> SessionState:
    """Return the state with a frame; remove what only earlier passes observed.

    What belongs to `others`, the subjects that this pass does not follow, stays.
    """
    objects = dict(state.objects)
    for i, obj in state.objects.items():
        if obj.removed:
            continue
        if i in observed:
            objects[i] = obj.with_observations({frame: observed[i]})
        elif (
            obj.role == OBJECT
            and frame in obj.observations
            and not obj.pinned
            and obj.subject_id not in others
        ):
            objects[i] = obj.with_observations({frame: None})
    return dataclasses.replace(
        state, objects=objects, records={**state.records, frame: record}
    )
