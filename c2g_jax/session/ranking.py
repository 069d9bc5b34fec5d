"""What a person likely chooses next: predicates of a pair, and names of an object.

By the prior of annotations (`click2graph.prior`), if there is one, and by what the
person chose in the session: each relation that was made counts as `SHARPEN` annotated
ones, so that the session's own habits soon come first.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from c2g_jax.click2graph.prior import DIGITS, Prior, PriorWeights, RelationCounts
from c2g_jax.session.session_state import SessionState
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary

SHARPEN = 4  # annotated relations that one of the session counts as
Named = tuple[str, str, str]  # a relation by the names of subject, object, predicate


class NameRanking:
    """Ranks a vocabulary's names; those of equal rank come in its order.

    A prior of another vocabulary helps with the names that both have.
    """

    def __init__(self, vocabulary: Vocabulary, prior: Prior | None = None):
        self._objects = {name: i for i, name in enumerate(vocabulary.objects)}
        self._predicates = {name: i for i, name in enumerate(vocabulary.predicates)}
        self._names = vocabulary.objects, vocabulary.predicates
        size = len(self._objects)
        self._table = np.zeros((size, size, len(self._predicates)), np.int64)
        self._weights = PriorWeights() if prior is None else prior.weights
        if prior is not None:
            self._add_prior(prior)

    def _add_prior(self, prior: Prior) -> None:
        table, names = prior.counts.table, prior.vocabulary
        for s, o, p in np.argwhere(table).tolist():
            triple = names.objects[s], names.objects[o], names.predicates[p]
            place = self._place(triple)
            if place is not None:
                self._table[place] += table[s, o, p]

    def _place(self, relation: Named) -> tuple[int, int, int] | None:
        known = self._objects, self._objects, self._predicates
        found = [x.get(name) for x, name in zip(known, relation, strict=True)]
        return None if None in found else tuple(found)

    def _counts(self, made: Iterable[Named]) -> RelationCounts:
        table = self._table.copy()
        for relation in made:
            place = self._place(relation)
            if place is not None:
                table[place] += SHARPEN
        return RelationCounts(table)

    def predicates(
        self, subject: str | None, other: str | None, made: Iterable[Named] = ()
    ) -> list[str]:
        """Return all predicates, the likeliest of a named pair first.

        `made` are the relations of the session. A name that is None, or not in the
        vocabulary, tells nothing: the other one decides, or the frequency of all. Of
        equally likely predicates those that the session has more often come first.
        """
        made = list(made)
        counts = self._counts(made)
        s, o = self._objects.get(subject), self._objects.get(other)
        if s is not None and o is not None:
            (scores,) = counts.predicates([s], [o], self._weights)
        else:
            scores = counts.of_predicates()
            if s is not None or o is not None:
                own = counts.of_subject[s] if o is None else counts.of_object[o]
                weight = self._weights.subject if o is None else self._weights.object
                scores = (own + weight * scores) / (own.sum() + weight)
        often = Counter(predicate for *_, predicate in made)
        return _ranked(self._names[1], scores, [-often[p] for p in self._names[1]])

    def objects(
        self,
        subject: str | None,
        made: Iterable[Named] = (),
        recent: Sequence[str] = (),
    ) -> list[str]:
        """Return all categories, the likeliest of an object of the subject first.

        Of equally likely ones those in `recent` come first, in its order.
        """
        counts = self._counts(made)
        s = self._objects.get(subject)
        if s is None:
            scores = counts.of_pair.sum(axis=0)
        else:
            (scores,) = counts.objects([s], self._weights)
        place = {name: i for i, name in enumerate(recent)}
        ties = [place.get(name, len(place)) for name in self._names[0]]
        return _ranked(self._names[0], np.asarray(scores, float), ties)


def _ranked(names: Sequence[str], scores: np.ndarray, ties: Sequence[int]) -> list[str]:
    """Names by score; of equal ones that of the lowest tie first."""
    order = np.lexsort((ties, -scores.round(DIGITS)))  # stable, the last key first
    return [names[i] for i in order]


def check_prior(prior: Prior, vocabulary: Vocabulary) -> Prior:
    """Return the prior; InputError if it can rank none of the vocabulary's names."""
    if not isinstance(prior, Prior):
        raise InputError(f"prior is {prior!r}: give a prior.json")
    for kind, own in (
        ("object category", (prior.vocabulary.objects, vocabulary.objects)),
        ("predicate", (prior.vocabulary.predicates, vocabulary.predicates)),
    ):
        if not set(own[0]) & set(own[1]):
            raise InputError(
                f"the prior has no {kind} in common with the vocabulary ({own[0][0]!r} "
                f"and others, where {own[1][0]!r} and others are needed): give a prior "
                "of these names, or none"
            )
    return prior


def relations_made(state: SessionState, name_of: dict[int, str]) -> list[Named]:
    """Return the relations that a person made, by the names of the objects shown."""
    found = []
    for fix in state.active_fixes:
        names = [name_of.get(state.shown_id(i)) for i in fix.pair]
        if fix.predicate is not None and None not in names:
            found.append((*names, fix.predicate))
    return found
