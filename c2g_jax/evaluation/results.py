"""From counts to results: metrics of each run, their mean and deviation over runs.

Scores are those that `files.score_files` and `runner.score_model` yield for a video,
read back from JSON (`job`), so that all keys are strings. Metrics are in percent, but
for the subject's IoU.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.all_subjects import SUBJECTS

OFFICIAL = "PVSG "  # prefix of the official PVSG metric's names
UNNAMED = "(no name of the data set)"

Shares = dict[str, float | None]


class Row(NamedTuple):
    """The counts of one run, of a subject, a video, a source or all ("" for all)."""

    run: int
    counts: Mapping[str, float]
    source: str = ""
    video: str = ""
    subject: str = ""


def summarise(
    scores: Sequence[Mapping], ks: Sequence[int], predicates: Sequence[str]
) -> dict[str, dict[str, dict]]:
    """Return {system: {kind of prompt: results}} of the scores of all videos.

    Results have {"mean", "std"} over runs for each metric by name, with counts pooled
    over all videos; the same in "sources" for each source, and in "macro" as means over
    sources, videos and subjects. Metrics of all subjects together are named by the way
    of counting: "R@20 (frame, one)" (`counting.WAYS`). Further "predicates" and
    "confusion", and the number of "runs", of "prompts" and "units" a run, and of
    "missing" runs.
    """
    kinds: dict[str, dict[str, None]] = {}
    for score in scores:
        for system, parts in score["systems"].items():
            kinds.setdefault(system, {}).update(dict.fromkeys(parts))
    return {
        system: {
            kind: _summarise(scores, system, kind, ks, predicates) for kind in parts
        }
        for system, parts in kinds.items()
    }


def _summarise(scores, system, kind, ks, predicates) -> dict[str, Any]:
    rows, missing = subject_rows(scores, system, kind)
    official = whole_rows(scores, system, kind, "official")
    found: dict[str, Any] = {"runs": len({row.run for row in (*rows, *official)})}
    # Each level is the sum of the one before.
    videos = merged(rows, "source", "video")
    sources = merged(videos, "source")
    whole = merged(sources)
    official_sources = merged(official, "source")
    if rows:
        for name in ("prompts", "units", "units left out"):
            found[name] = _mean(row.counts[name] for row in whole)
        found["missing"] = missing
    ways = {
        way: merged(whole_rows(scores, system, kind, "ways", way), "source")
        for way in _way_names(scores, system, kind)
    }
    found |= _means(whole, ks) | _official_means(merged(official_sources))
    for way, own in ways.items():
        found |= _way_means(way, merged(own))
    found["sources"] = {
        source: _means([row for row in sources if row.source == source], ks)
        | _official_means([row for row in official_sources if row.source == source])
        for source in dict.fromkeys(row.source for row in (*sources, *official_sources))
    }
    for source, own_source in found["sources"].items():
        for way, own in ways.items():
            own_source |= _way_means(way, [r for r in own if r.source == source])
    if rows:
        levels = {"source": sources, "video": videos, "subject": rows}
        found["macro"] = {name: _means(level, ks) for name, level in levels.items()}
        found["predicates"] = _by_predicate(whole, ks, predicates)
        found["confusion"] = _confusion(whole, predicates)
    return found


def subject_rows(
    scores: Sequence[Mapping], system: str, kind: str
) -> tuple[list[Row], int]:
    """Return the counts of every subject in every run, and the number of missing runs.

    Missing runs count as runs without hits. No rows if no subject was prompted at all.
    """
    parts = [score["systems"].get(system, {}).get(kind, {}) for score in scores]
    subjects = [part.get("subjects", {}) for part in parts]
    runs = _ascending(run for some in subjects for own in some.values() for run in own)
    rows, missing = [], 0
    for score, some in zip(scores, subjects, strict=True):
        nothing = score.get("nothing", {}).get("subjects", {})
        for subject in dict.fromkeys((*some, *nothing)):
            for run in runs:
                counts = some.get(subject, {}).get(run)
                if counts is None:
                    counts, missing = nothing[subject][run], missing + 1
                place = score["source"], score["video"], subject
                rows.append(Row(int(run), counts, *place))
    return (rows, missing) if runs else ([], 0)


def whole_rows(
    scores: Sequence[Mapping], system: str, kind: str, *place: str
) -> list[Row]:
    """Return the counts of every video in every run, of all subjects together.

    place: "official" for the PVSG metric; "ways" and a name of `all_subjects`.
    """
    table, *inner = place
    parts = [score["systems"].get(system, {}).get(kind, {}) for score in scores]
    runs = _ascending(run for part in parts for run in part.get(table, {}))
    rows = []
    for score, part in zip(scores, parts, strict=True):
        for run in runs:
            counts = part.get(table, {}).get(run)
            if counts is None:
                counts = score["nothing"][table]
            for name in inner:
                counts = counts[name]
            rows.append(Row(int(run), counts, score["source"], score["video"]))
    return rows


def _way_names(scores: Sequence[Mapping], system: str, kind: str) -> list[str]:
    parts = (score["systems"].get(system, {}).get(kind, {}) for score in scores)
    tables = (table for part in parts for table in part.get("ways", {}).values())
    return list(dict.fromkeys(way for table in tables for way in table))


def shares(counts: Mapping[str, float], ks: Sequence[int]) -> Shares:
    """Divide hits by totals: R@K, SpIR, PLR and their variants; None for no total."""
    found: Shares = {}
    for k in ks:
        found[f"R@{k}"] = _percent(counts, f"R@{k}", "units")
        found[f"mR@{k}"] = _mean_recall(counts, k)
        found[f"pair_any@{k}"] = _percent(counts, f"pair_any@{k}", "pairs")
        found[f"tube R@{k}"] = _percent(counts, f"tube R@{k}", "tubes")
    found["SpIR"] = _percent(counts, "SpIR", "pairs")
    found["SpIR precision"] = _percent(counts, "SpIR", "masks")
    found["tube SpIR"] = _percent(counts, "tube SpIR", "tube pairs")
    found["PLR"] = _percent(counts, "PLR", "PLR pairs")
    found["PLR precision"] = _percent(counts, "points inside", "points")
    overlap = _percent(counts, "subject IoU", "subject frames")
    found["subject IoU"] = None if overlap is None else overlap / 100
    return found


def spread(values: Iterable[float | None]) -> dict[str, float | None]:
    """Return {"mean", "std"} over runs, std with n - 1; None without enough values."""
    known = [value for value in values if value is not None]
    return {
        "mean": _mean(known),
        "std": statistics.stdev(known) if len(known) > 1 else None,
    }


def merged(rows: Iterable[Row], *keys: str) -> list[Row]:
    """Add up the rows that agree in their run and in these fields."""
    sums: dict[tuple, Counter] = defaultdict(Counter)
    for row in rows:
        sums[row.run, *(getattr(row, key) for key in keys)].update(row.counts)
    return [
        Row(run=run, counts=counts, **dict(zip(keys, values, strict=True)))
        for (run, *values), counts in sums.items()
    ]


def _means(rows: Sequence[Row], ks: Sequence[int]) -> dict[str, dict]:
    """Return the metrics of rows, averaged in each run, with their spread over runs."""
    return _spreads(rows, [shares(row.counts, ks) for row in rows])


def _official_means(rows: Sequence[Row]) -> dict[str, dict]:
    found = _spreads(rows, [pvsg_official.summary(row.counts) for row in rows])
    return {OFFICIAL + name: value for name, value in found.items()}


def _way_means(way: str, rows: Sequence[Row]) -> dict[str, dict]:
    if way == SUBJECTS:
        name, whole = "subjects found", "subject frames"
        values = [{name: _percent(row.counts, name, whole)} for row in rows]
        return _spreads(rows, values)
    found = _spreads(rows, [pvsg_official.summary(r.counts, weak=False) for r in rows])
    return {f"{name} ({way})": value for name, value in found.items()}


def _spreads(rows: Sequence[Row], values: Sequence[Shares]) -> dict[str, dict]:
    by_run: dict[int, list[Shares]] = defaultdict(list)
    for row, value in zip(rows, values, strict=True):
        by_run[row.run].append(value)
    return {
        name: spread(_mean(value[name] for value in own) for own in by_run.values())
        for name in (values[0] if values else ())
    }


def _by_predicate(whole: Sequence[Row], ks, predicates) -> dict[str, dict]:
    """Return {predicate: {"units", "R@K"}}, those with units, most frequent first."""
    found = {}
    for number, name in enumerate(predicates):
        total = f"predicate {number}"
        units = _mean(row.counts[total] for row in whole)
        if units:
            found[name] = {"units": units}
            for k in ks:
                hits = (_percent(row.counts, f"R@{k} {total}", total) for row in whole)
                found[name][f"R@{k}"] = spread(hits)
    return dict(sorted(found.items(), key=lambda item: -item[1]["units"]))


def _confusion(whole: Sequence[Row], predicates) -> dict[str, dict[str, int]]:
    """Return {true: {predicted: pairs}} for pairs with right masks, over all runs."""
    (total,) = merged(row._replace(run=0) for row in whole)
    found: dict[str, dict[str, int]] = {}
    names = [name.split() for name in total.counts if name.startswith("confusion ")]
    for true, predicted in sorted((int(true), int(guess)) for _, true, guess in names):
        name = predicates[predicted] if predicted >= 0 else UNNAMED
        own = found.setdefault(predicates[true], {})
        own[name] = total.counts[f"confusion {true} {predicted}"]
    return found


def _mean_recall(counts: Mapping[str, float], k: int) -> float | None:
    """Return the mean of the R@K of single predicates."""
    names = (name for name in counts if name.startswith("predicate "))
    return _mean(_percent(counts, f"R@{k} {name}", name) for name in names)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _percent(counts: Mapping[str, float], part: str, whole: str) -> float | None:
    total = counts.get(whole, 0)
    return 100 * counts.get(part, 0) / total if total else None


def _ascending(runs: Iterable[str]) -> list[str]:
    return sorted(set(runs), key=int)
