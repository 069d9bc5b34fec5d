"""The pairs of a frame, and the predicates that a person fixed for them."""

from collections.abc import Iterable, Iterator

from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import Observation, PredicateFix, TrackedObject
from c2g_jax.tracking.spans import Spans

Pair = tuple[Observation, Observation]


def shown_pairs(state: SessionState, frame: int) -> list[tuple[int, int]]:
    """Return a frame's pairs by the ids shown, with those that a person related."""
    record = state.records.get(frame)
    pairs = [] if record is None else list(record.pairs)
    pairs = [p for p in pairs if state.alive(p[0]) and state.alive(p[1])]
    shown = [(state.shown_id(s), state.shown_id(o)) for s, o in pairs]
    shown += [
        (fix.subject_id, fix.object_id)
        for fix in state.active_fixes
        if fix.start <= frame <= fix.stop and fix.predicate is not None
    ]
    shown += [
        pair
        for pair, drawn in state.drawn_of.items()
        if any(holds(spans, frame) for spans in drawn.values())
    ]
    return [(s, o) for s, o in dict.fromkeys(shown) if s != o]


def last_fix(
    state: SessionState, subject_id: int, object_id: int, frame: int
) -> PredicateFix | None:
    """Return the last fix that applies to a pair on a frame."""
    for fix in reversed(state.active_fixes):
        same = fix.pair == (subject_id, object_id)
        if same and fix.start <= frame <= fix.stop:
            return fix
    return None


def holds(spans: Spans, frame: int) -> bool:
    """Return whether a frame lies in one of the spans."""
    return any(first <= frame <= last for first, last in spans)


def told_predicates(
    state: SessionState, subject_id: int, object_id: int, frame: int
) -> tuple[str, ...] | None:
    """Return what a person said of a pair on a frame: () if they are not related.

    None: nothing, so that the model may guess. What was drawn comes before a fix, and
    a predicate that was drawn for the pair holds in the drawn spans alone.
    """
    drawn = state.drawn_of.get((subject_id, object_id), {})
    held = tuple(name for name, spans in drawn.items() if holds(spans, frame))
    if held:
        return held
    fix = last_fix(state, subject_id, object_id, frame)
    if fix is None:
        return None
    return () if fix.predicate is None or fix.predicate in drawn else (fix.predicate,)


def drawn_pairs(
    state: SessionState, pair: tuple[int, int], spans: Spans
) -> Iterator[Pair]:
    """Yield a pair on each frame of some spans on which both are in view."""
    for frame in state.visible(pair[1]):
        subject, other = (state.observation(i, frame) for i in pair)
        if subject is not None and other is not None and holds(spans, frame):
            yield subject, other


def fixed_pairs(state: SessionState, fix: PredicateFix) -> Iterator[Pair]:
    """Yield a fix's pair on each frame where no later fix applies."""
    if fix.predicate in state.drawn_of.get(fix.pair, {}):
        return  # what was drawn of it holds
    for frame in frames_of(state.shown.get(fix.object_id, ())):
        if fix is not last_fix(state, fix.subject_id, fix.object_id, frame):
            continue
        subject = state.observation(fix.subject_id, frame)
        other = state.observation(fix.object_id, frame)
        if subject is not None and other is not None:
            yield subject, other


def pair_number(subject_id: int, object_id: int) -> int:
    """Return a unique number for a pair."""
    return (subject_id << 32) + object_id


def frames_of(group: Iterable[TrackedObject]) -> list[int]:
    """Return the frames on which any of the objects has an observation, ascending."""
    return sorted({t for obj in group for t in obj.observations})
