"""Gains of corrections: R@K after n of them against none, paired over videos.

A relation is untouched if the user named neither its categories nor its predicate: on
these, the effect of corrections on other labels must do no harm.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from c2g_jax.correction.simulate import Outcome, Truth
from c2g_jax.evaluation.ground_truth import SubjectTruth
from c2g_jax.evaluation.metrics import FramePredictions, score_subject
from c2g_jax.evaluation.protocol import Protocol


def video_gains(
    outcomes: Mapping[int, Outcome], truth: Truth, protocol: Protocol
) -> dict[str, dict[str, int]]:
    """Return a video's counts by number of corrections, as JSON values.

    "units" (relations on frames) and their "hits"; "untouched units", their "untouched
    hits" and, without any correction, "untouched hits before".
    """
    first = outcomes[min(outcomes)]
    found = {}
    for count, outcome in outcomes.items():
        whole = _hits(truth.subjects, outcome.guesses, protocol)
        rest = tuple(_untouched(own, outcome.named, truth) for own in truth.subjects)
        kept = _hits(rest, outcome.guesses, protocol)
        before = _hits(rest, first.guesses, protocol)
        found[str(count)] = {
            "made": outcome.made,
            "units": whole["units"],
            "hits": whole["hits"],
            "untouched units": kept["units"],
            "untouched hits": kept["hits"],
            "untouched hits before": before["hits"],
        }
    return found


def summary(videos: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict]:
    """Return, by number of corrections, R@K in percent and its gain.

    "gain" and "untouched gain" are means over videos of the paired differences to no
    correction, with their standard errors, in percentage points; None if there are too
    few videos.
    """
    found: dict[str, dict[str, Any]] = {}
    least = min(videos[0], key=int)
    for count in sorted(videos[0], key=int):
        rows = [(video[count], video[least]) for video in videos]
        total = Counter()
        for row, _ in rows:
            total.update(row)
        gains = [
            _percent(row["hits"] - before["hits"], row["units"]) for row, before in rows
        ]
        untouched_gains = [
            _percent(
                row["untouched hits"] - row["untouched hits before"],
                row["untouched units"],
            )
            for row, _ in rows
        ]
        found[count] = {
            "made": total["made"] / len(rows),
            "recall": _percent(total["hits"], total["units"]),
            "gain": _paired(gains),
            "untouched units": total["untouched units"],
            "untouched recall": _percent(
                total["untouched hits"], total["untouched units"]
            ),
            "untouched gain": _paired(untouched_gains),
        }
    return found


def table(found: Mapping[str, Mapping], k: int) -> str:
    """Format the summary as a Markdown table."""
    lines = [
        f"| corrections a video | made | R@{k} | gain, paired | R@{k} of untouched "
        "relations | gain, paired |",
        "|---|---|---|---|---|---|",
    ]
    for count, row in found.items():
        cells = (
            count,
            f"{row['made']:.2f}",
            _number(row["recall"]),
            _spread(row["gain"]),
            _number(row["untouched recall"]),
            _spread(row["untouched gain"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _hits(
    subjects: Sequence[SubjectTruth],
    guesses: Mapping[int, Sequence[FramePredictions]],
    protocol: Protocol,
) -> Counter:
    counts: Counter = Counter()
    for own in subjects:
        if len(own.units):
            prompt = int(own.frames[0])
            counts += score_subject(own, guesses[own.subject_id], prompt, protocol)
    return Counter(units=counts["units"], hits=counts[f"R@{protocol.ks[0]}"])


def _untouched(own: SubjectTruth, named: frozenset[str], truth: Truth) -> SubjectTruth:
    """Return the subject with the units none of whose labels the user gave."""
    objects, predicates = truth.vocabulary.objects, truth.vocabulary.predicates
    subject, others = objects[own.category], [objects[i] for i in own.categories]
    keep = [
        named.isdisjoint((subject, others[column], predicates[predicate]))
        for _, column, predicate in own.units.tolist()
    ]
    return dataclasses.replace(own, units=own.units[np.array(keep, bool)])


def _paired(gains: Sequence[float | None]) -> dict[str, float | None]:
    """Return the mean and its standard error; None is a video without units."""
    differences = [gain for gain in gains if gain is not None]
    n = len(differences)
    return {
        "mean": float(np.mean(differences)) if n else None,
        "error": float(np.std(differences, ddof=1) / n**0.5) if n > 1 else None,
        "videos": n,
    }


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _spread(value: Mapping[str, float | None]) -> str:
    if value["mean"] is None:
        return "-"
    error = "?" if value["error"] is None else f"{value['error']:.2f}"
    return f"{value['mean']:+.2f} ± {error}"
