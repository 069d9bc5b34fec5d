"""From a session's state and the guesses on it to what is shown."""

from collections.abc import Iterator, Mapping, Sequence

from c2g_jax.session.labels import Guess
from c2g_jax.session.state import OBJECT, SUBJECT, SessionState, Thing
from c2g_jax.session.views import (
    FrameView,
    ObjectSummary,
    ObjectView,
    PromptView,
    RelationSummary,
    RelationView,
)
from c2g_jax.tracking.scene_graph import vote
from c2g_jax.tracking.spans import merge_spans
from c2g_jax.types import Relation


def view_frame(state: SessionState, frame: int, guesses: Sequence[Guess]) -> FrameView:
    """What is known of one frame, with the guesses on it."""
    objects = []
    for shown_id, group in state.shown.items():
        category, score, fixed = _category(state, shown_id, guesses)
        seen = state.observation(shown_id, frame)
        objects.append(
            ObjectView(
                shown_id,
                _role(group),
                subjects_of(state, shown_id),
                category,
                fixed,
                score,
                seen.mask if seen is not None else None,
                tuple(_prompts(group, frame)),
            )
        )
    relations = tuple(
        RelationView(g.subject_id, g.object_id, g.predicate, g.confidence, g.fixed)
        for g in sorted(guesses, key=lambda g: -g.confidence)
    )
    tracked, stale = frame in state.notes, state.is_stale(frame)
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
                merge_spans(frames),
                tuple(prompted),
            )
        )
    return summaries


def summarise_relations(
    state: SessionState, relations: Sequence[Relation]
) -> list[RelationSummary]:
    """The relations of a graph, and which of them a person fixed."""
    said = {(*fix.pair, fix.predicate) for fix in state.standing_fixes}
    return [
        RelationSummary(*key, r.spans, r.score, key in said)
        for r in relations
        for key in [(r.subject_id, r.object_id, r.predicate)]
    ]


def subjects_of(state: SessionState, shown_id: int) -> tuple[int, ...]:
    """The subjects that led to a thing, by the ids shown; none for a subject alone."""
    leaders = [t.leader for t in state.shown[shown_id] if t.leader is not None]
    leaders = [state.shown_id(i) for i in leaders if state.alive(i)]
    return tuple(i for i in dict.fromkeys(leaders) if i != shown_id)


def _role(group: tuple[Thing, ...]) -> str:
    return SUBJECT if any(t.role == SUBJECT for t in group) else OBJECT


def _category(
    state: SessionState, shown_id: int, guesses: Sequence[Guess]
) -> tuple[str, float, bool]:
    """Category, score, and whether a person fixed it."""
    said = state.category(shown_id)
    if said is not None:
        return said, 1.0, True
    votes = [(g.subject_category, g.subject_score) for g in guesses if g[0] == shown_id]
    votes += [(g.object_category, g.object_score) for g in guesses if g[1] == shown_id]
    name, _ = vote(votes)
    agreed = sum(score for said, score in votes if said == name)
    return name, agreed / max(len(votes), 1), False


def _prompts(group: tuple[Thing, ...], frame: int) -> Iterator[PromptView]:
    for thing in group:
        if frame not in thing.prompts:
            continue
        for item in thing.prompts[frame].items:
            if item.kind == "point":
                yield PromptView("point", *item.point, int(item.positive))
            else:
                yield PromptView(item.kind, box=item.box)
