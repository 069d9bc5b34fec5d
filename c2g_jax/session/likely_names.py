"""The names that a person likely chooses next, as methods of a session."""

from c2g_jax.click2graph.prior import Prior
from c2g_jax.session.naming import Naming
from c2g_jax.session.ranking import Named, NameRanking, check_prior, relations_made
from c2g_jax.vocabulary import UNKNOWN, Vocabulary


class LikelyNames(Naming):
    """The methods that order the vocabulary's names, the likeliest first."""

    _prior: Prior | None = None
    _ranked: tuple[Vocabulary, Prior | None, NameRanking] | None = None

    @property
    def prior(self) -> Prior | None:
        """What annotations say of named pairs; None where there are none. May be set.

        It need not have the session's vocabulary: names that both have are ranked, and
        InputError if there are none.
        """
        return self._prior

    @prior.setter
    def prior(self, prior: Prior | None) -> None:
        self._prior = None if prior is None else check_prior(prior, self.vocabulary)

    def likely_predicates(
        self, subject_id: int | None = None, object_id: int | None = None
    ) -> list[str]:
        """Return all predicates, the likeliest for two objects first.

        By `prior`, and by the relations that a person made in the session.
        """
        names = self._shown_names()
        pair = [
            None if i is None else names.get(self._shown(i))
            for i in (subject_id, object_id)
        ]
        return self._ranking().predicates(*pair, self._made(names))

    def likely_categories(self, subject_id: int | None = None) -> list[str]:
        """Return all categories, the likeliest for an object of a subject first.

        By `prior`, and by the relations that a person made in the session; of equally
        likely ones, and without a subject, those given last in the session come first.
        """
        state = self._history.now
        used = [state.category(i) for i in reversed(state.shown)]
        used = [name for name in dict.fromkeys(used) if name is not None]
        if subject_id is None:
            return used + [n for n in self.vocabulary.objects if n not in set(used)]
        names = self._shown_names()
        subject = names.get(self._shown(subject_id))
        return self._ranking().objects(subject, self._made(names), used)

    def _ranking(self) -> NameRanking:
        """The ranking of the vocabulary and prior in use; made when they change."""
        vocabulary, prior = self.vocabulary, self._prior
        known = self._ranked
        if known is None or known[0] is not vocabulary or known[1] is not prior:
            self._ranked = known = vocabulary, prior, NameRanking(vocabulary, prior)
        return known[2]

    def _made(self, names: dict[int, str]) -> list[Named]:
        """The relations that a person made: corrected, drawn or accepted ones."""
        state = self._history.now
        drawn = [
            (names.get(s, UNKNOWN), names.get(o, UNKNOWN), predicate)
            for (s, o), told in state.drawn_of.items()
            for predicate in told
        ]
        return relations_made(state, names) + drawn

    def _shown_names(self) -> dict[int, str]:
        return {o.object_id: o.category for o in self.objects()}
