"""A person's edits of a session, as functions from a state to the next."""

import dataclasses
import difflib
from collections.abc import Sequence

from c2g_jax.sam2.track import ObjectOutput
from c2g_jax.session.engine import Engine
from c2g_jax.session.session_state import (
    OBJECT,
    SUBJECT,
    FramePrompts,
    Observation,
    PredicateFix,
    PromptItem,
    SessionState,
    TrackedObject,
)
from c2g_jax.types import InputError


def add_new(
    state: SessionState, role: str, subject_id: int | None
) -> tuple[SessionState, TrackedObject]:
    """Add a subject, or an object of a subject, without a prompt."""
    obj = TrackedObject(state.next_id, role, subject_id)
    state = dataclasses.replace(state, next_id=state.next_id + 1)
    return state.with_object(obj), obj


def prompt(
    engine: Engine,
    state: SessionState,
    obj: TrackedObject,
    frame: int,
    item: PromptItem,
) -> SessionState:
    """Add a prompt of an object on a frame and segment it again there."""
    known = obj.prompts.get(frame)
    if known is None:
        known = FramePrompts((), obj.observations.get(frame))
    # A mask or a box replaces the earlier prompts; a point refines them.
    old = () if item.kind in ("mask", "box") else known.items
    items = (*old, item)
    bank, direction = _own_bank(engine, obj, known.base, frame)
    if old:
        previous = obj.observations[frame]
        answer = engine.refine(frame, items, previous, bank, direction)
    else:
        answer = engine.answer(frame, items, known.base, bank, direction)
    return _prompted(engine, state, obj, frame, FramePrompts(items, known.base), answer)


def delete_prompt(
    engine: Engine, state: SessionState, object_id: int, frame: int, index: int
) -> SessionState:
    """Delete a prompt; an object whose last prompt it was is removed."""
    obj = _prompted_object(state, object_id, frame, index)
    known = obj.prompts[frame]
    items = (*known.items[:index], *known.items[index + 1 :])
    if items:
        bank, direction = _own_bank(engine, obj, known.base, frame)
        answer = engine.answer(frame, items, known.base, bank, direction)
        prompts = FramePrompts(items, known.base)
        return _prompted(engine, state, obj, frame, prompts, answer)
    prompts = {t: p for t, p in obj.prompts.items() if t != frame}
    left = obj.with_observations({frame: known.base})
    # An object that the model found stays, as it was found.
    if not prompts and all(o.direction for o in left.observations.values()):
        return remove(state, obj.object_id)
    revision = state.revision + 1
    obj = dataclasses.replace(
        left,
        prompts=prompts,
        changes=(*obj.changes, (frame, revision)),
    )
    return dataclasses.replace(state, revision=revision).with_object(obj)


def remove(state: SessionState, object_id: int) -> SessionState:
    """Remove an object with all merged into it, and with the objects of a subject.

    An object that belongs to another subject as well stays, as that subject's.
    """
    state.object(object_id)
    gone = {obj.object_id for obj in state.shown[state.shown_id(object_id)]}
    objects = dict(state.objects)
    for i, obj in state.objects.items():
        if not state.alive(i):
            continue
        if i in gone:
            objects[i] = dataclasses.replace(obj, removed=True)
        elif obj.subject_id in gone:
            others = [t.subject_id for t in state.shown[state.shown_id(i)]]
            left = [k for k in others if k is not None and k not in gone]
            objects[i] = (
                dataclasses.replace(obj, subject_id=left[0])
                if left
                else dataclasses.replace(obj, removed=True)
            )
    return dataclasses.replace(state, objects=objects, revision=state.revision + 1)


def rename(
    state: SessionState, object_id: int, category: str | None, names: Sequence[str]
) -> SessionState:
    """Set the category of an object; None restores the model's."""
    state.object(object_id)
    if category is not None:
        check_name(category, names, "category")
    for obj in state.shown[state.shown_id(object_id)]:
        state = state.with_object(dataclasses.replace(obj, category=category))
    return state


def fix_predicate(
    state: SessionState, fix: PredicateFix, names: Sequence[str]
) -> SessionState:
    """Set the predicate of a pair over a span, or that they are not related."""
    for object_id in (fix.subject_id, fix.object_id):
        state.object(object_id)
    if fix.predicate is not None:
        check_name(fix.predicate, names, "predicate")
    if fix.subject_id == fix.object_id:
        raise InputError(
            f"object {fix.object_id} is given twice: relate two different objects"
        )
    return dataclasses.replace(state, fixes=(*state.fixes, fix))


def check_name(name: str, names: Sequence[str], kind: str) -> None:
    """Raise InputError unless the vocabulary has the name."""
    if name not in names:
        near = difflib.get_close_matches(str(name), names, 3, 0.5)
        hint = f"perhaps {', '.join(near)}" if near else "choose one of the vocabulary"
        raise InputError(f"unknown {kind} {name!r}: {hint}")


def target(
    state: SessionState, object_id: int | None
) -> tuple[SessionState, TrackedObject]:
    """Return the object to prompt; for None it is a new subject."""
    if object_id is None:
        return add_new(state, SUBJECT, None)
    return state, state.object(object_id)


def add_related(
    state: SessionState, subject_id: int
) -> tuple[SessionState, TrackedObject]:
    """Add an object of a subject."""
    subject = state.object(subject_id)
    if subject.role != SUBJECT:
        raise InputError(
            f"object {subject_id} is not a subject: give the id of a subject"
        )
    return add_new(state, OBJECT, subject_id)


def _prompted_object(
    state: SessionState, object_id: int, frame: int, index: int
) -> TrackedObject:
    obj = state.object(object_id)
    items = obj.prompts[frame].items if frame in obj.prompts else ()
    if not 0 <= index < len(items):
        raise InputError(
            f"object {object_id} has {len(items)} prompts on frame {frame}: "
            f"there is no number {index}"
        )
    return obj


def _own_bank(engine: Engine, obj: TrackedObject, base: Observation | None, frame: int):
    """Return the memories that tracked an object here, None if it was not tracked."""
    if base is None or base.direction == 0:
        return None, 1
    return engine.memories.bank({0: obj}, frame, base.direction, 1), base.direction


def _prompted(
    engine: Engine,
    state: SessionState,
    obj: TrackedObject,
    frame: int,
    prompts: FramePrompts,
    answer: ObjectOutput,
) -> SessionState:
    revision = state.revision + 1
    feature = engine.pooled(frame, answer.logits)
    observation = engine.observe(answer, feature, 0, revision)
    obj = dataclasses.replace(
        obj.with_observations({frame: observation}),
        prompts={**obj.prompts, frame: prompts},
        changes=(*obj.changes, (frame, revision)),
    )
    return dataclasses.replace(state, revision=revision).with_object(obj)
