"""A person's edits of a session, as functions from a state to the next."""

import dataclasses
import difflib
from collections.abc import Sequence

from c2g_jax.session.engine import Engine
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import (
    OBJECT,
    SUBJECT,
    FramePrompts,
    Observation,
    PredicateFix,
    PromptItem,
    TrackedObject,
)
from c2g_jax.tracking.spans import frames_of, merge_spans
from c2g_jax.types import InputError


def prompt(
    engine: Engine,
    state: SessionState,
    object_id: int | None,
    frame: int,
    item: PromptItem,
) -> SessionState:
    """Add a prompt of an object, None for a new subject; segment it again there."""
    if object_id is None:
        obj = TrackedObject(state.next_id, SUBJECT)
    else:
        obj = state.object(object_id)
    return _add_prompt(engine, state, obj, frame, item)


def add_object(
    engine: Engine, state: SessionState, subject_id: int, frame: int, item: PromptItem
) -> SessionState:
    """Add an object of a subject by a prompt."""
    if state.object(subject_id).role != SUBJECT:
        raise InputError(
            f"object {subject_id} is not a subject: give the id of a subject"
        )
    obj = TrackedObject(state.next_id, OBJECT, subject_id)
    return _add_prompt(engine, state, obj, frame, item)


def _add_prompt(
    engine: Engine,
    state: SessionState,
    obj: TrackedObject,
    frame: int,
    item: PromptItem,
) -> SessionState:
    known = obj.prompts.get(frame)
    if known is None:
        known = FramePrompts((), obj.observations.get(frame))
    # A mask or a box replaces the earlier prompts; a point refines them.
    old = () if item.kind in ("mask", "box") else known.items
    prompts = FramePrompts((*old, item), known.base)
    previous = obj.observations[frame] if old else None
    return segmented(engine, state, obj, frame, prompts, previous)


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
    """Set the predicate of a pair over a span, or that they are not related.

    It takes the place of what was drawn for the pair there.
    """
    for object_id in (fix.subject_id, fix.object_id):
        state.object(object_id)
    if fix.predicate is not None:
        check_name(fix.predicate, names, "predicate")
    if fix.subject_id == fix.object_id:
        raise InputError(
            f"object {fix.object_id} is given twice: relate two different objects"
        )
    pair = state.shown_id(fix.subject_id), state.shown_id(fix.object_id)
    told = frames_of([(fix.start, fix.stop)])

    def of_pair(subject_id: int, object_id: int) -> bool:
        return (state.shown_id(subject_id), state.shown_id(object_id)) == pair

    drawn = []
    for relation in state.drawn:
        if of_pair(*relation.triple[:2]):
            held = frames_of(relation.spans)
            same = relation.predicate == fix.predicate
            frames = held | told if same else held - told
            if frames != held:
                spans = merge_spans(frames)
                relation = dataclasses.replace(relation, spans=spans)
        if relation.spans:
            drawn.append(relation)
    dismissed = tuple(
        triple
        for triple in state.dismissed
        if not (of_pair(*triple[:2]) and triple[2] == fix.predicate)
    )
    return dataclasses.replace(
        state, fixes=(*state.fixes, fix), drawn=tuple(drawn), dismissed=dismissed
    )


def check_name(name: str, names: Sequence[str], kind: str) -> None:
    """Raise InputError unless the vocabulary has the name."""
    if name not in names:
        near = difflib.get_close_matches(str(name), names, 3, 0.5)
        hint = f"perhaps {', '.join(near)}" if near else "choose one of the vocabulary"
        raise InputError(f"unknown {kind} {name!r}: {hint}")


def segmented(
    engine: Engine,
    state: SessionState,
    obj: TrackedObject,
    frame: int,
    prompts: FramePrompts,
    previous: Observation | None = None,
) -> SessionState:
    """Return the state with an object segmented on a frame by `Engine.answer`."""
    revision = state.revision + 1
    answer = engine.answer(obj, frame, prompts, previous)
    feature = engine.pooled(frame, answer.logits)
    given = prompts.items[-1].mask  # None unless the last word is a mask
    observation = engine.observe(answer, feature, 0, revision, given)
    obj = dataclasses.replace(
        obj.with_observations({frame: observation}),
        prompts={**obj.prompts, frame: prompts},
        changes=(*obj.changes, (frame, revision)),
    )
    next_id = max(state.next_id, obj.object_id + 1)
    state = dataclasses.replace(state, revision=revision, next_id=next_id)
    return state.with_object(obj)
