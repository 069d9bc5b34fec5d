"""Choose the weights of a prior by cross-validation, and score a prior.

A relation is hit at K if, given the true names of its subject and object, its
predicate is among the first K. Equal scores are ranked in the order of the vocabulary.
R@K is over relations, mR@K the mean of each predicate's own R@K over the predicates
that occur.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.click2graph.prior import (
    DIGITS,
    Prior,
    PriorWeights,
    RelationCounts,
    count_relations,
    write_prior,
)
from c2g_jax.media.outputs import output_folder, write_text
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary

KS = (1, 3, 5, 10)
FOLDS = 10
# What is tried of each weight: numbers of relations, shares and powers.
_COUNTS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_SHARES = tuple(i / 10 for i in range(11))
ROWS = {
    "frequency": "predicates by their frequency alone",
    "back-off": "of the pair, else of its subject, its object, all",
    "prior": "interpolated",
    "prior/tail": "interpolated, divided by a power of the predicate's frequency",
    "objects": "the object's name, given the subject's",
}


def ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many columns of [n, c] come before each true one, int [n]."""
    scores = scores.round(DIGITS)
    true = np.take_along_axis(scores, labels[:, None], 1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    return ((scores > true) | (earlier & (scores == true))).sum(1)


def recalls(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return R@K and mR@K in percent, of ranks from 0 and the true labels."""
    hits = {k: found < k for k in KS}
    kinds = np.unique(labels)
    means = {
        k: np.mean([hit[labels == c].mean() for c in kinds]) for k, hit in hits.items()
    }
    return {f"R@{k}": 100 * float(hits[k].mean()) for k in KS} | {
        f"mR@{k}": 100 * float(means[k]) for k in KS
    }


def fit_prior(
    videos: Sequence[np.ndarray], vocabulary: Vocabulary, origin: Mapping[str, Any]
) -> Prior:
    """Count the relations of training videos, and choose the weights.

    videos: int [n, 3] for each, class indices of subject, object and predicate. Every
    tenth video is held out in turn, in their order, and judged by the others. Chosen is
    what gives the best mean of R@1, 3, 5 and 10 there (for `tail`, of the mR): one
    weight is varied at a time until none improves it. With relations in fewer than two
    videos the weights are the defaults. Raises InputError without any relation.
    """
    used = [rows for rows in videos if len(rows)]
    if not used:
        raise InputError(
            "no relation in the training videos: a prior is counted from relations"
        )
    sizes = len(vocabulary.objects), len(vocabulary.predicates)
    counts = count_relations(np.concatenate(used), *sizes)
    folds = min(FOLDS, len(used)) if len(used) > 1 else 0
    held = [np.concatenate(used[i::folds]) for i in range(folds)]
    weights = _chosen(counts, held, sizes) if folds else PriorWeights()
    origin = {
        **origin,
        "videos": len(videos),
        "relations": int(counts.table.sum()),
        "folds": folds,
    }
    return Prior(vocabulary, counts, weights, origin)


def _chosen(counts: RelationCounts, held, sizes) -> PriorWeights:
    others = [
        (RelationCounts(counts.table - count_relations(rows, *sizes).table), rows)
        for rows in held
    ]

    def judged(scores: Callable, column: int, metric: str) -> Callable:
        labels = np.concatenate([rows[:, column] for _, rows in others])

        def value(weights: PriorWeights) -> float:
            found = [ranks(scores(c, r, weights), r[:, column]) for c, r in others]
            scored = recalls(np.concatenate(found), labels)
            return sum(scored[f"{metric}@{k}"] for k in KS)

        return value

    weights = PriorWeights()
    grid = {"pair": _COUNTS, "subject": _COUNTS, "object": _COUNTS, "share": _SHARES}
    weights = _climbed(weights, judged(_predicates, 2, "R"), grid)
    weights = _climbed(weights, judged(_objects, 1, "R"), {"name": _COUNTS})
    return _climbed(weights, judged(_tail, 2, "mR"), {"tail": _SHARES})


def _climbed(weights: PriorWeights, value: Callable, grid: Mapping) -> PriorWeights:
    """Vary one weight at a time, keeping what is better, until nothing is."""
    best, before = value(weights), None
    while before != weights:
        before = weights
        for name, choices in grid.items():
            for choice in choices:
                other = replace(weights, **{name: choice})
                if other != weights and (found := value(other)) > best:
                    best, weights = found, other
    return weights


def _predicates(counts, rows, weights) -> np.ndarray:
    return counts.predicates(rows[:, 0], rows[:, 1], weights)


def _tail(counts, rows, weights) -> np.ndarray:
    return counts.tail_scores(rows[:, 0], rows[:, 1], weights)


def _objects(counts, rows, weights) -> np.ndarray:
    return counts.objects(rows[:, 0], weights)


def back_off(counts: RelationCounts, rows: np.ndarray) -> np.ndarray:
    """Frequencies of the pair, or if it is new of its subject, its object, all."""
    whole = counts.of_predicates()
    found = np.empty((len(rows), len(whole)))
    for i, (subject, other, _) in enumerate(rows.tolist()):
        finer = counts.table[subject, other], counts.of_subject[subject]
        finer = (*finer, counts.of_object[other], whole)
        found[i] = next(row for row in finer if row.any())
    return found


def score_prior(prior: Prior, relations: np.ndarray) -> dict[str, Any]:
    """Score on relations int [n, 3], which may not be empty.

    Returns {row of ROWS: {"R@1": percent, ..., "mR@10"}}, and how many "relations" and
    "predicates" there are, and the "pairs seen": percent of the relations whose pair of
    names occurs in the counts.
    """
    counts, weights = prior.counts, prior.weights
    labels = relations[:, 2]
    frequency = np.broadcast_to(
        counts.of_predicates(), (len(labels), counts.table.shape[2])
    )
    scores = {
        "frequency": frequency,
        "back-off": back_off(counts, relations),
        "prior": _predicates(counts, relations, weights),
        "prior/tail": _tail(counts, relations, weights),
    }
    found: dict[str, Any] = {
        name: recalls(ranks(rows, labels), labels) for name, rows in scores.items()
    }
    names = relations[:, 1]
    found["objects"] = recalls(
        ranks(_objects(counts, relations, weights), names), names
    )
    seen = counts.of_pair[relations[:, 0], names] > 0
    return found | {
        "relations": len(relations),
        "predicates": len(np.unique(labels)),
        "pairs seen": 100 * float(seen.mean()),
    }


def prior_table(scores: Mapping[str, Any]) -> str:
    """Return the scores as a Markdown table."""
    columns = [f"{kind}@{k}" for kind in ("R", "mR") for k in KS]
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, words in ROWS.items():
        cells = " | ".join(f"{scores[name][column]:.1f}" for column in columns)
        lines.append(f"| {name}: {words} | {cells} |")
    return "\n".join(lines) + "\n"


FILES = "prior.json", "prior_scores.json", "prior_scores.md"


def write_report(folder: Path, prior: Prior, videos: Sequence[np.ndarray]) -> str:
    """Write FILES: a prior, and its scores on validation videos, as `fit_prior`'s.

    Returns the text of prior_scores.md. Without relations in `videos` there are no
    scores; those of a run before are removed.
    """
    origin = prior.origin
    text = (
        f"Counted: {origin['relations']:,} relations of {origin['videos']} training "
        f"videos; sha256 of the annotation file {origin['sha256']}\n"
    )
    with output_folder(folder, FILES) as aside:
        write_prior(aside / FILES[0], prior)
        relations = np.concatenate([np.zeros((0, 3), int), *videos])
        if not len(relations):
            return text + "\nNot scored: there is no relation in the split val.\n"
        scores = score_prior(prior, relations)
        weights = asdict(prior.weights)
        chosen = ", ".join(f"{name} {value:g}" for name, value in weights.items())
        text += (
            f"Weights, cross-validated in {origin['folds']} folds of these: {chosen}\n"
            f"Scored: {len(relations):,} relations of {len(videos)} validation videos, "
            f"{scores['predicates']} predicates; the pair of names of "
            f"{scores['pairs seen']:.0f}% of them was counted\n\n" + prior_table(scores)
        )
        content = {"train": {**origin, "weights": weights}, "val": scores}
        write_text(aside / FILES[1], json.dumps(content, indent=1) + "\n")
        write_text(aside / FILES[2], text)
    return text
