"""Delete a prompt: the session is then as if it had never been given."""

import dataclasses
from collections.abc import Iterable

from c2g_jax.session.edits import remove, segmented
from c2g_jax.session.engine import Engine
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import FramePrompts, PromptItem, TrackedObject
from c2g_jax.types import InputError


def delete_prompt(
    engine: Engine,
    state: SessionState,
    object_id: int,
    frame: int,
    index: int,
    earlier: Iterable[SessionState] = (),
) -> SessionState:
    """Delete a prompt; an object without other prompts is removed.

    `earlier` are the states before each action, latest first. Restore the tracking
    results of the latest of them with the same remaining prompts, if it has all frames
    that are tracked now; else mark the frames that the prompt affected as stale.
    """
    left = _without_prompt(engine, state, object_id, frame, index)
    prompts = _prompts(left)
    before = next((old for old in earlier if _prompts(old) == prompts), None)
    if before is not None and before.records.keys() >= state.records.keys():
        return _tracked_as(before, left)
    return left


def _prompts(state: SessionState) -> dict[tuple[int, int], tuple[PromptItem, ...]]:
    """Return the prompts of all objects that exist, by object and frame."""
    return {
        (i, t): given.items
        for i, obj in state.objects.items()
        if not obj.removed
        for t, given in obj.prompts.items()
    }


def _tracked_as(before: SessionState, state: SessionState) -> SessionState:
    """Return `state` with all that was tracked as in `before`.

    What a person told since stays. Objects that were found since are gone, but for
    those of which a person told something.
    """
    objects, next_id = {}, before.next_id
    for i, obj in state.objects.items():
        if (old := before.objects.get(i)) is not None:
            # One that a person removed keeps its observations, see TrackedObject.
            by_person = obj.removed and bool(obj.observations)
            objects[i] = dataclasses.replace(
                old,
                category=obj.category,
                accepted=obj.accepted,
                presence=obj.presence,
                removed=old.removed or by_person,
            )
        elif i in state.annotated:
            objects[i], next_id = obj, max(next_id, i + 1)
    return dataclasses.replace(
        state, objects=objects, records=before.records, next_id=next_id
    )


def _without_prompt(
    engine: Engine, state: SessionState, object_id: int, frame: int, index: int
) -> SessionState:
    """Return the state without a prompt, with the frames that depended on it stale."""
    obj = _prompted_object(state, object_id, frame, index)
    known = obj.prompts[frame]
    items = (*known.items[:index], *known.items[index + 1 :])
    if items:
        prompts = FramePrompts(items, known.base)
        return segmented(engine, state, obj, frame, prompts)
    prompts = {t: p for t, p in obj.prompts.items() if t != frame}
    left = obj.with_observations({frame: known.base})
    # An object that the model found stays, as it was found.
    if not prompts and all(o.direction for o in left.observations.values()):
        return _never_given(state, obj.object_id, frame)
    revision = state.revision + 1
    tracked = max([r.revision for r in state.records.values()], default=0)
    changes = [change for change in obj.changes if change[0] != frame]
    if any(place == frame and made < tracked for place, made in obj.changes):
        changes = [*obj.changes, (frame, revision)]  # something was tracked with it
    obj = dataclasses.replace(left, prompts=prompts, changes=tuple(changes))
    return dataclasses.replace(state, revision=revision).with_object(obj)


def _never_given(state: SessionState, object_id: int, frame: int) -> SessionState:
    """Return the state without an object whose last prompt was on a frame.

    What was found because of it goes too, and may be found again: unlike what a person
    removed, it is not recognised.
    """
    left = remove(state, object_id)
    for i, obj in left.objects.items():
        # What was found is another subject's own object as well.
        merged = obj.subject_id != state.objects[i].subject_id
        merged = merged and left.alive(state.shown_id(i)) and state.shown_id(i) != i
        if state.alive(i) and (obj.removed or merged):
            change = (frame, left.revision)
            obj = dataclasses.replace(
                state.objects[i],
                prompts={},
                observations={},
                changes=(*obj.changes, change),
                removed=True,
            )
            left = left.with_object(obj)
    return left


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
