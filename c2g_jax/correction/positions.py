"""Where what a user chooses stands in the lists that a session offers.

Measured with the prior of annotations and without: then the lists are ranked by the
session's own choices, and otherwise in the order of the vocabulary.
"""

import statistics
from collections.abc import Sequence

from c2g_jax.click2graph.prior import Prior
from c2g_jax.correction.simulate import Correction
from c2g_jax.session.session import Session

PREDICATE, NAME = "predicate", "name"
Position = tuple[str, int, int]  # kind; from 1, with the prior and without


class PositionLog:
    """Notes the positions of each correction of a session; a `simulate.Choosing`."""

    def __init__(self, prior: Prior):
        self._prior = prior
        self.found: list[Position] = []

    def __call__(self, session: Session, correction: Correction) -> None:
        places = []
        for prior in (self._prior, None):
            session.prior = prior
            names = self._offered(session, correction)
            if names is None or correction.name not in names:
                return
            places.append(names.index(correction.name) + 1)
        kind = NAME if correction.subject_id is None else PREDICATE
        self.found.append((kind, *places))

    def _offered(self, session: Session, correction: Correction) -> list[str] | None:
        """Return the list that the user chooses from; None where there is none."""
        if correction.subject_id is not None:
            pair = correction.subject_id, correction.object_id
            return session.likely_predicates(*pair)
        graph = session.graph()
        leader = graph.object(correction.object_id).prompted_by
        # A subject has no named subject of its own.
        return None if leader is None else session.likely_categories(leader)


def summary(found: Sequence[Position]) -> dict[str, dict[str, float]]:
    """Return by kind the number chosen, and the mean and median positions."""
    result = {}
    for kind in (PREDICATE, NAME):
        own = [places for name, *places in found if name == kind]
        if own:
            with_prior, without = zip(*own, strict=True)
            result[kind] = {
                "chosen": len(own),
                "mean with prior": statistics.fmean(with_prior),
                "mean without": statistics.fmean(without),
                "median with prior": statistics.median(with_prior),
                "median without": statistics.median(without),
            }
    return result


def table(summaries: dict[str, dict[str, float]]) -> str:
    """Return a Markdown table, "" without any choice."""
    if not summaries:
        return ""
    lines = [
        "Position in the list of what the user chose, from 1; mean, and median.",
        "",
        "| list | chosen | with the prior | without |",
        "|---|---|---|---|",
    ]
    for kind, own in summaries.items():
        cells = (
            f"{own[f'mean {how}']:.1f} ({own[f'median {how}']:g})"
            for how in ("with prior", "without")
        )
        lines.append(f"| {kind} | {own['chosen']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
