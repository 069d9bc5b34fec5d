"""Names of a session: categories, predicates of guesses, a vocabulary of its own."""

import dataclasses
from pathlib import Path

from c2g_jax.session import edits
from c2g_jax.session.arguments import choose_span
from c2g_jax.session.core import SessionCore
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import PredicateFix
from c2g_jax.types import InputError, whole
from c2g_jax.vocabulary import (
    PREDICATE,
    THING,
    Vocabulary,
    check_name,
    read_vocabulary,
)


class Naming(SessionCore):
    """The methods that say what an object is, and what the model's pairs do."""

    def rename(
        self, object_id: int, category: str | None, new: str | None = None
    ) -> None:
        """Set an object's category; None restores the model's.

        The categories of other objects that look alike may change too. `new`, "thing"
        or "stuff": add the category to the vocabulary if it lacks it.
        """
        object_id = whole(object_id, "object_id")
        if new is not None and category is not None:
            category = check_name(category)  # as the vocabulary writes it
        what = f"object {object_id} is {category or 'named by the model'}"

        def change(state: SessionState) -> SessionState:
            if new is not None and category is not None:
                state = self._with_name(state, category, new)
            names = self._names(state).objects
            return edits.rename(state, object_id, category, names)

        self._act(what, change)

    def set_predicate(
        self,
        subject_id: int,
        object_id: int,
        predicate: str | None,
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        """Set the predicate of two objects, on a span or (None) the whole clip.

        A predicate of None says that they are not related. It corrects what the model
        guessed and what was drawn there; several predicates at once, and spans of their
        own, are given by `relate`.
        """
        subject_id = whole(subject_id, "subject_id")
        object_id = whole(object_id, "object_id")
        first, last = choose_span(start, stop, self.video.num_frames)
        fix = PredicateFix(subject_id, object_id, predicate, first, last)
        what = f"{subject_id} {predicate or 'not related to'} {object_id}"
        self._act(
            what,
            lambda s: edits.fix_predicate(s, fix, self._names(s).predicates),
        )

    # The vocabulary

    def set_vocabulary(self, vocabulary: Vocabulary | str | Path | None) -> None:
        """Give the session a vocabulary of its own; None restores the model's.

        `vocabulary` is a `Vocabulary`, a text file or a pvsg.json
        (`vocabulary.read_vocabulary`). Guesses whose names it lacks are hidden; what a
        person named must be in it, else InputError.
        """
        if isinstance(vocabulary, (str, Path)):
            vocabulary = read_vocabulary(vocabulary)
        if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
            raise InputError(f"vocabulary is {vocabulary!r}: give a Vocabulary or file")

        def change(state: SessionState) -> SessionState:
            names = vocabulary or self.model.config.vocabulary
            used = {state.category(i) for i in state.shown} - {None}
            told = {p for own in state.drawn_of.values() for p in own}
            told |= {f.predicate for f in state.active_fixes} - {None}
            for kind, left in (
                ("category", sorted(used - set(names.objects))),
                ("predicate", sorted(told - set(names.predicates))),
            ):
                if left:
                    raise InputError(
                        f"the {kind} {left[0]!r} is in use, but not in the vocabulary: "
                        "add it there, or name what has it otherwise"
                    )
            return dataclasses.replace(state, vocabulary=vocabulary)

        self._act("another vocabulary", change)

    def add_name(self, name: str, kind: str = THING) -> None:
        """Add a name to the vocabulary: a "thing", a "stuff" or a "predicate"."""
        self._act(f"the {kind} {name}", lambda s: self._with_name(s, name, kind, True))

    def _names(self, state: SessionState) -> Vocabulary:
        return state.vocabulary or self.model.config.vocabulary

    def _with_name(
        self, state: SessionState, name: str, kind: str, must: bool = False
    ) -> SessionState:
        """Return the state with a name in its vocabulary; `must`: it must be new."""
        names = self._names(state)
        known = names.predicates if kind == PREDICATE else names.objects
        if name in known and not must:
            return state
        return dataclasses.replace(state, vocabulary=names.with_name(name, kind))
