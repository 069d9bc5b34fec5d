"""The pairs of a frame, and the predicates that a person fixed for them."""

from collections.abc import Iterable, Iterator

from c2g_jax.session.session_state import (
    Observation,
    PredicateFix,
    SessionState,
    TrackedObject,
)

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


def fixed_pairs(state: SessionState, fix: PredicateFix) -> Iterator[Pair]:
    """Yield a fix's pair on each frame where no later fix applies."""
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
