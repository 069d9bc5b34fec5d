"""What a session shows: plain dataclasses, and as JSON what HTTP sends."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from c2g_jax.scene_graph import vote
from c2g_jax.session.labels import Guess, Labeller
from c2g_jax.session.state import OBJECT, SUBJECT, SessionState, Thing, is_stale
from c2g_jax.spans import merge_spans


@dataclass(frozen=True)
class PromptView:
    """kind: "point", with x, y and label 1 or 0; "box", with x1, y1, x2, y2; "mask"."""

    kind: str
    x: float | None = None
    y: float | None = None
    label: int | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class ObjectView:
    """One object on one frame.

    score: how sure the category is, 1 where a person fixed it. mask_score: the mask's
    overlap with the truth as the model predicts it. rle: COCO, at the video's size,
    None where the object is not seen. tracked: whether anything is known of it here.
    """

    object_id: int
    role: str  # "subject" or "object"
    subject_ids: tuple[int, ...]
    category: str
    fixed: bool
    score: float
    mask_score: float
    rle: Mapping | None
    prompts: tuple[PromptView, ...]
    tracked: bool


@dataclass(frozen=True)
class RelationView:
    """What holds between two objects on a frame; fixed where a person said so."""

    subject_id: int
    object_id: int
    predicate: str
    confidence: float
    fixed: bool


@dataclass(frozen=True)
class FrameView:
    """One frame. tracked: tracking has been here. stale: since then something was said
    that tracking it anew would take up."""

    frame: int
    objects: tuple[ObjectView, ...]
    relations: tuple[RelationView, ...]
    tracked: bool
    stale: bool


@dataclass(frozen=True)
class ObjectSummary:
    """One object over the whole clip. lanes: spans (first, last) of frames in view;
    color: an index that never changes; prompted: frames with prompts."""

    object_id: int
    role: str
    subject_ids: tuple[int, ...]
    category: str
    fixed: bool
    score: float
    color: int
    lanes: tuple[tuple[int, int], ...]
    prompted: tuple[int, ...]


@dataclass(frozen=True)
class RelationSummary:
    """A relation over the whole clip: inclusive spans of frames in which it holds."""

    subject_id: int
    object_id: int
    predicate: str
    spans: tuple[tuple[int, int], ...]
    score: float
    fixed: bool


@dataclass(frozen=True)
class TrackUpdate:
    """A frame that tracking has done; `done` of `total` are behind it."""

    frame: int
    done: int
    total: int
    view: FrameView


def as_json(value: Any) -> Any:
    """Views as dicts, lists, strings and numbers."""
    if dataclasses.is_dataclass(value):
        names = (f.name for f in dataclasses.fields(value))
        return {name: as_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def view_frame(state: SessionState, labeller: Labeller, frame: int) -> FrameView:
    """What is known of one frame."""
    guesses = labeller.guesses(state, [frame]).get(frame, [])
    objects = []
    for shown_id, group in state.shown.items():
        category, score, fixed = _category(state, shown_id, guesses)
        seen = state.observation(shown_id, frame)
        known = [t.observations[frame] for t in group if frame in t.observations]
        objects.append(
            ObjectView(
                shown_id,
                _role(group),
                subjects_of(state, shown_id),
                category,
                fixed,
                score,
                seen.iou if seen is not None else 0.0,
                seen.mask if seen is not None else None,
                tuple(_prompts(group, frame)),
                bool(known),
            )
        )
    relations = tuple(
        RelationView(g.subject_id, g.object_id, g.predicate, g.confidence, g.fixed)
        for g in sorted(guesses, key=lambda g: -g.confidence)
    )
    tracked, stale = frame in state.notes, is_stale(state, frame)
    return FrameView(frame, tuple(objects), relations, tracked, stale)


def summarise_objects(
    state: SessionState, guesses: Mapping[int, list[Guess]]
) -> list[ObjectSummary]:
    """All objects, in the order they came."""
    spoken = [guess for found in guesses.values() for guess in found]
    summaries = []
    for shown_id, group in state.shown.items():
        category, score, fixed = _category(state, shown_id, spoken)
        frames = {
            t
            for thing in group
            for t, found in thing.observations.items()
            if found.mask is not None
        }
        prompted = sorted({t for thing in group for t in thing.prompts})
        summaries.append(
            ObjectSummary(
                shown_id,
                _role(group),
                subjects_of(state, shown_id),
                category,
                fixed,
                score,
                shown_id,
                merge_spans(frames),
                tuple(prompted),
            )
        )
    return summaries


def subjects_of(state: SessionState, shown_id: int) -> tuple[int, ...]:
    """The subjects that led to a thing, by the ids shown; none for a subject alone."""
    leaders = [t.leader for t in state.shown[shown_id] if t.leader is not None]
    leaders = [state.shown_id(i) for i in leaders if state.alive(i)]
    return tuple(i for i in dict.fromkeys(leaders) if i != shown_id)


def _role(group: tuple[Thing, ...]) -> str:
    return SUBJECT if any(t.role == SUBJECT for t in group) else OBJECT


def _category(state, shown_id, guesses) -> tuple[str, float, bool]:
    """Category, score, and whether a person fixed it."""
    said = state.category(shown_id)
    if said is not None:
        return said, 1.0, True
    votes = [(g.subject_category, g.subject_score) for g in guesses if g[0] == shown_id]
    votes += [(g.object_category, g.object_score) for g in guesses if g[1] == shown_id]
    name, _ = vote(votes)
    agreed = sum(score for said, score in votes if said == name)
    return name, agreed / max(len(votes), 1), False


def _prompts(group: tuple[Thing, ...], frame: int):
    for thing in group:
        if frame not in thing.prompts:
            continue
        for item in thing.prompts[frame].items:
            if item.kind == "point":
                yield PromptView("point", *item.point, int(item.positive))
            else:
                yield PromptView(item.kind, box=item.box)
