"""Tracking from frame to frame, in both directions, over frames tracked before or not.

What the model is asked is here; `course` says who is followed and `settle` what
follows from the answers.
"""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np

from c2g_jax.click2graph import model as click2graph
from c2g_jax.sam2.memory import bucket
from c2g_jax.sam2.predictors import video_tracker
from c2g_jax.sam2.track import Segmentation
from c2g_jax.session.course import Cast, begin, cast_of
from c2g_jax.session.engine import Engine
from c2g_jax.session.memories import is_crowded
from c2g_jax.session.settle import Shown, settle, without_note
from c2g_jax.session.state import SessionState


def propagate(
    engine: Engine, state: SessionState, frames: range
) -> Iterator[tuple[int, SessionState]]:
    """Track the frames of a range of step 1 or -1; yields each with the state then."""
    state = dataclasses.replace(state, revision=state.revision + 1)
    course = begin(state, frames.start, frames.step)
    followers = _Followers(engine, frames.step)
    every = engine.model.config.discover_every
    for frame in frames:
        cast = cast_of(state, course, frame, every)
        if cast.live:
            shown = followers.step(state, cast)
            state, course = settle(engine, state, course, cast, shown)
        else:
            state = without_note(state, frame)
        yield frame, state


class _Followers:
    """The memories of all that are followed, a slot of the bank each."""

    def __init__(self, engine: Engine, direction: int):
        self.engine, self.direction = engine, direction
        self.slots: dict[int, int] = {}
        self.num_slots, self.bank = 1, None

    def step(self, state: SessionState, cast: Cast) -> Shown:
        """What a frame shows of those that are followed, and around them."""
        self._seat(state, cast)
        answer, memory = self._follow(state, cast)
        scene = self._look(state, cast, answer)
        memory, scene = jax.device_get((memory, scene))  # the wait of a frame
        n, q = self.num_slots, self.engine.model.config.didm.num_queries
        queries = {
            i: np.arange(n + k * q, n + (k + 1) * q)
            for k, i in enumerate(cast.subjects)
            if i in cast.due
        }
        return Shown(dict(self.slots), queries, scene, memory)

    def _seat(self, state: SessionState, cast: Cast) -> None:
        """Give everyone a slot; a newcomer makes the bank be filled anew."""
        live = cast.live
        # Who is followed no more leaves its slot: if it is found again, under its old
        # name, its memories begin anew.
        self.slots = {i: slot for i, slot in self.slots.items() if i in live}
        # Where more conditions than a bank holds, the nearest change frame by frame.
        full = any(is_crowded(state.things[i]) for i in live)
        if self.bank is not None and set(live) <= self.slots.keys() and not full:
            return
        # Room for what the queries may find, so that the shapes rarely change.
        room = len(cast.subjects) * (1 + self.engine.model.config.didm.num_queries)
        self.num_slots = max(self.num_slots, bucket(max(len(live), room)))
        self.slots = {object_id: slot for slot, object_id in enumerate(live)}
        seated = {slot: state.things[i] for i, slot in self.slots.items()}
        self.bank = self.engine.memories.bank(
            seated, cast.frame, self.direction, self.num_slots
        )

    def _follow(
        self, state: SessionState, cast: Cast
    ) -> tuple[Segmentation, jax.Array | None]:
        """The rows of all slots, and the memories of those that were tracked."""
        engine, n = self.engine, self.num_slots
        active = np.zeros(n, bool)
        active[[self.slots[i] for i in cast.live if i not in cast.prompted]] = True
        answer, memory = None, None
        if active.any():
            self.bank, answer, memory = video_tracker.step(
                engine.model.sam2,
                self.bank,
                engine.features(cast.frame),
                np.int32(cast.frame),
                active,
                np.int32(engine.num_frames),
                np.int32(self.direction),
            )
        if not cast.prompted:
            return answer, memory
        size, c = engine.config.low_res_size, engine.config.d_model
        if answer is None:
            rows = [(n, size, size), (n,), (n,), (n, c)]
            rows = [np.zeros(shape, np.float32) for shape in rows]
        else:
            rows = [np.array(x, np.float32) for x in jax.device_get(answer[:4])]
        for i in cast.prompted:
            given = engine.answer_of(state.things[i].observations[cast.frame])
            for row, value in zip(rows, given, strict=True):
                row[self.slots[i]] = value
        return Segmentation(*rows, None, None), memory

    def _look(
        self, state: SessionState, cast: Cast, answer: Segmentation
    ) -> click2graph.Scene:
        """What the frame shows; queries of DIDM where one of the subjects is due."""
        model, slots = self.engine.model, self.slots
        features = self.engine.features(cast.frame)
        owner = np.arange(self.num_slots, dtype=np.int32)
        leaders = {t.object_id: t.subject_id for t in cast.tracks}
        leaders |= {i: state.things[i].leader for i in cast.pinned}
        for object_id, leader in leaders.items():
            if leader in slots:
                owner[slots[object_id]] = slots[leader]
        if not cast.due:
            return click2graph.name(model.sch, features, answer, owner)
        places = np.zeros(bucket(len(cast.subjects)), np.int32)
        places[: len(cast.subjects)] = [slots[i] for i in cast.subjects]
        parts = (model.sam2, model.didm, model.sch)
        return click2graph.look(parts, features, answer, places, owner)
