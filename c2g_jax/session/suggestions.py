"""Suggestions: accept or dismiss what the model found and guessed."""

import dataclasses
from collections.abc import Iterable

from c2g_jax.session import edits
from c2g_jax.session.lanes import Lane, Lanes, title_of, with_relation
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.views import SUGGESTED, RelationSummary
from c2g_jax.types import InputError, real
from c2g_jax.vocabulary import UNKNOWN


class Suggestions(Lanes):
    """The methods for the suggestions of a session with `guesses` "suggest".

    An object that is accepted keeps the name it has; a relation that is accepted is
    drawn with the spans it has, and its objects are accepted with it.
    """

    def accept(self, lane: Lane, threshold: float | None = None) -> None:
        """Accept an object by its id, or a relation (subject, object, predicate).

        The relation's spans are those of `relations(threshold)`.
        """
        lane = self._lane(lane)
        if isinstance(lane, int):
            names = self._guessed_names()
            self._act(
                f"{title_of(lane)} accepted", lambda s: _accepted(s, [lane], names)
            )
            return
        found = [r for r in self.relations(threshold) if _triple(r) == lane]
        if not found:
            raise InputError(
                f"{title_of(lane)} is not suggested: lower the threshold, "
                "or relate them"
            )
        self._accept(f"{title_of(lane)} accepted", found)

    def accept_above(self, confidence: float) -> int:
        """Accept the suggested relations of `relations(confidence)` and their objects.

        Returns how many; without any, nothing is done.
        """
        confidence = real(confidence, "confidence", 0.0, 1.0)
        found = [r for r in self.relations(confidence) if r.state == SUGGESTED]
        if found:
            self._accept(f"{len(found)} relations accepted", found)
        return len(found)

    def dismiss(self, lane: Lane) -> None:
        """Dismiss a suggested object or relation: it is not suggested again."""
        lane = self._lane(lane)
        if isinstance(lane, int):
            self._act(f"{title_of(lane)} dismissed", lambda s: edits.remove(s, lane))
        else:
            self.unrelate(*lane)

    def _accept(self, what: str, found: Iterable[RelationSummary]) -> None:
        names = self._guessed_names()
        spans: dict = {}
        for r in [*self.relations(), *found]:  # what was accepted of them before, too
            if r.state != SUGGESTED or r in found:
                spans.setdefault(_triple(r), []).extend(r.spans)
        chosen = {_triple(r) for r in found}

        def change(state: SessionState) -> SessionState:
            for triple in sorted(chosen):
                own = tuple(sorted(set(spans[triple])))
                state = with_relation(state, triple, own)
            return _accepted(state, {i for t in chosen for i in t[:2]}, names)

        self._act(what, change)

    def _guessed_names(self) -> dict[int, str]:
        """Return the names of all objects that the model named."""
        return {
            o.object_id: o.category
            for o in self.objects()
            if not o.fixed and o.category != UNKNOWN
        }


def _accepted(
    state: SessionState, object_ids: Iterable[int], names: dict[int, str]
) -> SessionState:
    """Return the state with objects, by the ids shown, accepted under their names."""
    for i in object_ids:
        for obj in state.shown[i]:
            category = obj.category or state.category(i) or names.get(i)
            state = state.with_object(
                dataclasses.replace(obj, accepted=True, category=category)
            )
    return state


def _triple(relation: RelationSummary) -> tuple[int, int, str]:
    return relation.subject_id, relation.object_id, relation.predicate
