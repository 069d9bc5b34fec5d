"""Take over annotations of a file into a session, to go on from them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from c2g_jax.export.read import DECLARED, read_any
from c2g_jax.media.outputs import path_named
from c2g_jax.media.video import Video
from c2g_jax.session.edits import check_name, segmented
from c2g_jax.session.engine import Engine
from c2g_jax.session.moments import moments_of
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import (
    SUBJECT,
    DrawnRelation,
    FramePrompts,
    Observation,
    PromptItem,
    TrackedObject,
)
from c2g_jax.tracking.spans import check_spans
from c2g_jax.types import InputError, ObjectTrack, SceneGraph, VideoInfo
from c2g_jax.vocabulary import KINDS, PREDICATE, UNKNOWN, Vocabulary

FIXED, TRACKED = "fixed", "tracked"  # what becomes of imported masks
_SURE = 10.0  # the logit of an object that a file says is in view


def read_annotations(
    path: str | Path, video: Video, masks: str | None, video_id: str | None
) -> tuple[SceneGraph, bool]:
    """Return the graph of a file, and whether its masks are fixed."""
    if masks not in (None, FIXED, TRACKED):
        raise InputError(f"masks is {masks!r}: give {FIXED!r} or {TRACKED!r}")
    path = path_named(path)
    info = VideoInfo(video.name, video.width, video.height, video.fps, video.times)
    graph, by_hand = read_any(path, info, video_id)
    return graph, by_hand if masks is None else masks == FIXED


def with_declared(path: str | Path, graph: SceneGraph, names: Vocabulary) -> Vocabulary:
    """Return a vocabulary with the names that a graph uses and its file declares.

    InputError for one that can be no name.
    """
    declared = graph.provenance.get(DECLARED) or {}
    categories = {track.category for track in graph.objects} - {UNKNOWN}
    predicates = {relation.predicate for relation in graph.relations}
    try:
        for kind in KINDS:
            known = names.predicates if kind == PREDICATE else names.objects
            used = predicates if kind == PREDICATE else categories
            for name in dict.fromkeys(declared.get(kind, ())):
                if name in used and name not in known:
                    names = names.with_name(name, kind)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (AttributeError, TypeError):
        raise InputError(
            f"{path}: its vocabulary is no lists of names: export it again"
        ) from None
    return names


def check_graph(
    path: str | Path, graph: SceneGraph, video: Video, names: Vocabulary
) -> None:
    """Raise InputError unless a graph fits a video and a vocabulary, and itself."""
    try:
        _check(graph, video, names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check(graph: SceneGraph, video: Video, names: Vocabulary) -> None:
    there, here = graph.video, video
    size = (there.width, there.height)
    if size != (here.width, here.height):
        raise InputError(
            f"it is of a video of {size[0]}x{size[1]}, but this one is "
            f"{here.width}x{here.height}: open the video that it is of"
        )
    ids = [track.object_id for track in graph.objects]
    for i in ids:
        if ids.count(i) > 1:
            raise InputError(f"it has two objects {i}: give each an id of its own")
    last, length = video.num_frames - 1, there.num_frames
    for track in graph.objects:
        late = [t for t in track.masks if not 0 <= t <= last]
        if late:
            raise InputError(
                f"object {track.object_id} has a mask on frame {late[0]}, but the "
                f"video ends with frame {last}: open it as it was sampled"
            )
        for t, code in track.masks.items():
            if list(code["size"]) != [here.height, here.width]:
                raise InputError(
                    f"the mask of object {track.object_id} on frame {t} is of another "
                    "size than the video: give masks of its size"
                )
        if not track.masks:
            raise InputError(f"object {track.object_id} has no mask: leave it out")
        if track.category != UNKNOWN:
            _check_known(track.category, names.objects, "category")
    if length != video.num_frames:
        raise InputError(
            f"it is of {length} frames, but the video has {video.num_frames}: open the "
            "video as it was sampled, with the same fps"
        )
    told = set()
    for r in graph.relations:
        what = f"the relation {r.subject_id} {r.predicate} {r.object_id}"
        for i in (r.subject_id, r.object_id):
            if i not in ids:
                raise InputError(f"{what} is of object {i}, which has no mask: mend it")
        if r.subject_id == r.object_id:
            raise InputError(f"{what} is of an object with itself: leave it out")
        if (r.subject_id, r.object_id, r.predicate) in told:
            raise InputError(f"{what} is given twice: join the two")
        told.add((r.subject_id, r.object_id, r.predicate))
        _check_known(r.predicate, names.predicates, "predicate")
        check_spans(r.spans, video.num_frames, what, some=True)


def _check_known(name: str, names: Sequence[str], kind: str) -> None:
    """Raise InputError, which says what to do, unless the vocabulary has the name."""
    try:
        check_name(name, names, kind)
    except InputError as error:
        raise InputError(
            f"{error}; mend it there, or add it to the vocabulary first"
        ) from None


def taken_over(
    engine: Engine, state: SessionState, graph: SceneGraph, fixed: bool
) -> SessionState:
    """Return the state with the objects and relations of a checked graph."""
    number = {}
    for track in graph.objects:
        number[track.object_id] = state.next_id
        state = _with_track(engine, state, track, fixed)
    drawn = tuple(
        DrawnRelation(
            number[r.subject_id],
            number[r.object_id],
            r.predicate,
            check_spans(r.spans, None, ""),
        )
        for r in graph.relations
    )
    return dataclasses.replace(state, drawn=(*state.drawn, *drawn))


def _with_track(
    engine: Engine, state: SessionState, track: ObjectTrack, fixed: bool
) -> SessionState:
    """Return the state with an object prompted by its first mask.

    Its other masks are those of the file. What the model computes of an object, its
    feature and its pointer, is taken from the first one: encoding all frames could take
    hours.
    """
    frames = sorted(track.masks)
    category = None if track.category == UNKNOWN else track.category
    obj = TrackedObject(state.next_id, SUBJECT, category=category)
    prompts = {
        t: FramePrompts((PromptItem("mask", mask=dict(track.masks[t])),))
        for t in frames
    }
    state = segmented(engine, state, obj, frames[0], prompts[frames[0]])
    obj, revision = state.objects[obj.object_id], state.revision
    first = obj.observations[frames[0]]
    seen = {
        t: Observation(
            dict(track.masks[t]),
            1.0,
            _SURE,
            np.array(first.feature),
            np.array(first.pointer),
            moments_of(track.masks[t]),
            0 if fixed or t == frames[0] else 1,
            revision,
        )
        for t in frames
    }
    logits = engine.logits.get(first)
    if logits is not None:
        engine.logits.put(seen[frames[0]], logits)
    obj = dataclasses.replace(obj, observations=seen)
    if fixed:
        changes = tuple((t, revision) for t in frames)
        obj = dataclasses.replace(obj, prompts=prompts, changes=changes)
    return state.with_object(obj)
