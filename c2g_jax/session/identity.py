"""Who is who: merge two tracks, cut one, make a found object a subject."""

import dataclasses

from c2g_jax.session.core import SessionCore
from c2g_jax.session.edits import segmented
from c2g_jax.session.engine import Engine
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import (
    SUBJECT,
    DrawnRelation,
    FramePrompts,
    PromptItem,
    TrackedObject,
)
from c2g_jax.tracking.spans import Spans
from c2g_jax.types import InputError, whole


class Identity(SessionCore):
    """The methods that change which track is which object."""

    def merge(self, object_id: int, same_as: int) -> None:
        """Make an object the same as another one, whose id stays.

        On frames where both have a mask, that of the id that stays is shown.
        """
        ids = whole(object_id, "object_id"), whole(same_as, "same_as")
        self._act(f"object {ids[0]} is {ids[1]}", lambda s: merged(s, *ids))

    def cut(self, object_id: int, frame: int) -> int:
        """Cut an object before a frame; what follows is a new object, whose id returns.

        The new one is prompted by its first mask, and keeps name and relations.
        """
        object_id, frame = whole(object_id, "object_id"), self._frame(frame)
        new_id = self._history.now.next_id
        self._act(
            f"object {object_id} cut before frame {frame}",
            lambda s: cut(self._engine, s, object_id, frame),
        )
        return new_id

    def promote(self, object_id: int, frame: int | None = None) -> None:
        """Make an object a subject, whose own objects are found when it is tracked.

        One without a prompt is prompted by its mask on `frame`, by default the first.
        """
        object_id = whole(object_id, "object_id")
        frame = None if frame is None else self._frame(frame)
        self._act(
            f"object {object_id} is a subject",
            lambda s: promoted(self._engine, s, object_id, frame),
        )


def merged(state: SessionState, object_id: int, same_as: int) -> SessionState:
    """Return the state with an object merged into another."""
    state.object(object_id), state.object(same_as)
    if state.shown_id(object_id) == state.shown_id(same_as):
        raise InputError(
            f"objects {object_id} and {same_as} are one already: name two objects"
        )
    return dataclasses.replace(state, same=(*state.same, (object_id, same_as)))


def cut(
    engine: Engine, state: SessionState, object_id: int, frame: int
) -> SessionState:
    """Return the state with an object cut before a frame."""
    state.object(object_id)
    shown_id = state.shown_id(object_id)
    frames, group = state.visible(shown_id), state.shown[shown_id]
    later = [t for t in frames if t >= frame]
    if not later or later == frames:
        where = f"before frame {frame}" if later else f"from frame {frame} on"
        raise InputError(
            f"object {shown_id} is not in view {where}: cut it between its frames"
        )
    leaders = [t.subject_id for t in group if t.subject_id is not None]
    subject = any(t.role == SUBJECT for t in group)
    new = TrackedObject(
        state.next_id,
        SUBJECT if subject else group[0].role,
        None if subject else leaders[0],
        {t: p for obj in reversed(group) for t, p in obj.prompts.items() if t >= frame},
        {t: state.observation(shown_id, t) for t in later},
        category=state.category(shown_id),
        accepted=any(t.accepted for t in group),
        presence=_clipped(group[0].presence, frame, engine.num_frames - 1),
    )
    for obj in group:
        left = dataclasses.replace(
            obj,
            presence=_clipped(obj.presence, 0, frame - 1),
            prompts={t: p for t, p in obj.prompts.items() if t < frame},
            changes=tuple(c for c in obj.changes if c[0] < frame),
        )
        state = state.with_object(left)
    state = _prompted(engine, state, new, later[0])
    return _shared_out(state, group, new.object_id, frame)


def _shared_out(
    state: SessionState, group: tuple[TrackedObject, ...], new_id: int, frame: int
) -> SessionState:
    """Return the state with what was said from a frame on said of the new object."""
    ids, drawn, fixes = {obj.object_id for obj in group}, [], []

    def renamed(i: int) -> int:
        return new_id if i in ids else i

    for r in state.drawn:
        before, after = (
            _clipped(r.spans, *ends) for ends in ((0, frame - 1), (frame, 1 << 31))
        )
        if not ids & set(r.triple[:2]):
            drawn.append(r)
            continue
        if before:
            drawn.append(dataclasses.replace(r, spans=before))
        if after:
            pair = renamed(r.subject_id), renamed(r.object_id)
            drawn.append(DrawnRelation(*pair, r.predicate, after))
    for fix in state.fixes:
        if not ids & set(fix.pair) or fix.stop < frame:
            fixes.append(fix)
            continue
        if fix.start < frame:
            fixes.append(dataclasses.replace(fix, stop=frame - 1))
        fixes.append(
            dataclasses.replace(
                fix,
                subject_id=renamed(fix.subject_id),
                object_id=renamed(fix.object_id),
                start=max(fix.start, frame),
            )
        )
    return dataclasses.replace(state, drawn=tuple(drawn), fixes=tuple(fixes))


def promoted(
    engine: Engine, state: SessionState, object_id: int, frame: int | None
) -> SessionState:
    """Return the state with an object as a subject."""
    state.object(object_id)
    shown_id = state.shown_id(object_id)
    group = state.shown[shown_id]
    if any(t.role == SUBJECT for t in group):
        raise InputError(f"object {shown_id} is a subject already: track it")
    obj = dataclasses.replace(group[0], role=SUBJECT, subject_id=None)
    if frame is None and obj.prompts:
        revision = state.revision + 1
        changes = (*obj.changes, (min(obj.prompts), revision))
        obj = dataclasses.replace(obj, changes=changes)
        return dataclasses.replace(state, revision=revision).with_object(obj)
    frames = state.visible(shown_id)
    if frame is None and frames:
        frame = frames[0]
    if frame not in frames:
        raise InputError(
            f"object {shown_id} is not in view on frame {frame}: name one where it is"
        )
    observation = state.observation(shown_id, frame)
    obj = obj.with_observations({frame: observation})
    return _prompted(engine, state.with_object(obj), obj, frame)


def _prompted(
    engine: Engine, state: SessionState, obj: TrackedObject, frame: int
) -> SessionState:
    """Return the state with an object prompted by its own mask, unless it was there."""
    if frame in obj.prompts:
        next_id = max(state.next_id, obj.object_id + 1)
        return dataclasses.replace(state, next_id=next_id).with_object(obj)
    seen = obj.observations[frame]
    prompts = FramePrompts((PromptItem("mask", mask=seen.mask),), seen)
    return segmented(engine, state, obj, frame, prompts)


def _clipped(spans: Spans | None, first: int, last: int) -> Spans:
    """Return the parts of spans within a range; None: all of it."""
    if spans is None:
        return ((first, last),)
    parts = ((max(a, first), min(b, last)) for a, b in spans)
    return tuple((a, b) for a, b in parts if a <= b)
