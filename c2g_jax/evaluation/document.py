"""results.json, with all results and how they were made, and the tables made of it.

results.md has Markdown tables, results.csv one line for each number.
"""

import csv
import dataclasses
import importlib.metadata
import io
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from c2g_jax import __version__
from c2g_jax.data.dataset import Dataset
from c2g_jax.evaluation import plan, pvsg_official
from c2g_jax.evaluation.counting import (
    ALL,
    COLUMNS,
    FRAME,
    LEGEND,
    TUBE,
    WAYS,
    WHOLE,
    predicates_counted,
    way_name,
)
from c2g_jax.evaluation.ground_truth import truth_summary
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.results import OFFICIAL, summarise
from c2g_jax.media.outputs import output_folder

ALL_SOURCES = "all"  # in the place of a source
PICTURES = ("scores.png", "confusion.png")
_PACKAGES = ("jax", "flax", "numpy", "scipy", "pycocotools")


def make_document(
    dataset: Dataset,
    protocol: Protocol,
    scores: Sequence[Mapping],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Build the content of results.json from the scores of all videos, in order.

    {"dataset": "NAME/SPLIT", "NAME/SPLIT": {system: {kind of prompt: results}}, "ground
    truth", "protocol", "provenance"}; for the results see `results.summarise`.
    """
    name, ks = f"{dataset.name}/{protocol.split}", protocol.ks
    return {
        "dataset": name,
        name: summarise(scores, ks, dataset.vocabulary.predicates),
        "ground truth": truth_summary(scores, ks),
        "protocol": dataclasses.asdict(protocol),
        "provenance": dict(provenance),
    }


def provenance(words: Sequence[str], origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return command, origin and versions; without time and shard, which do not matter.

    `words` are the command-line arguments, `origin` describes the model or the files.
    """
    command = " ".join(["python -m c2g_jax.evaluate", *words])
    return {
        "command": re.sub(r" --?shard[= ]\S+", "", command),
        **origin,
        "versions": {
            "click2graph-jax": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
    }


def write_document(
    document: Mapping[str, Any], output: Path, tables: Sequence[int], plots: bool
) -> str:
    """Write results.json, .csv and .md, and plots if asked; returns the Markdown."""
    page = markdown(document, tables)
    with output_folder(output, owned=PICTURES) as folder:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        files = {".json": text, ".csv": csv_text(document), ".md": page}
        for suffix, content in files.items():
            (folder / f"results{suffix}").write_text(content, encoding="utf-8")
        if plots:
            from c2g_jax.evaluation.plots import draw_results  # matplotlib is an extra

            draw_results(document, folder)
    return page


def markdown(document: Mapping[str, Any], tables: Sequence[int]) -> str:
    """Return results.md of results.json's content, with these tables of the paper."""
    name = document["dataset"]
    systems = document[name]
    parts = [(system, kind) for system, own in systems.items() for kind in own]
    ks = document["protocol"]["ks"]
    main = [*(f"R@{k}" for k in ks), "SpIR", "PLR", "subject IoU"]
    with_paper = name.partition("/")[0] == plan.PAPER_DATASET
    some = predicates_counted(Protocol(**_fields(document["protocol"])))
    by_frame = {COLUMNS[0]: FRAME, COLUMNS[1]: some}
    sections = [f"# {name}", *_ground_truth(document), LEGEND]
    for number in tables:
        own = [part for part in plan.TABLES[number] if part in parts]
        sections += [
            f"## {plan.TITLES[number]}",
            _table(systems, own, main, by_frame, with_paper=with_paper),
        ]
    shown = [part for number in tables for part in plan.TABLES[number]]
    others = [p for p in parts if p not in shown and _has(systems, p, main)]
    if others:
        sections.append("## What could be reached" if tables else "## Scores")
        if any(system == "oracle" for system, _ in others):
            sections.append(
                "oracle: true objects' points; masks and labels are predicted."
            )
        sections.append(_table(systems, others, main, by_frame))
    more = [name for k in ks for name in (f"mR@{k}", f"pair_any@{k}")]
    more += ["SpIR precision", "PLR precision"]
    tubes = [*(f"tube R@{k}" for k in ks), "tube SpIR"]
    share = document["protocol"]["tube_share"]
    prompted = [part for part in parts if _has(systems, part, main)]
    if prompted:
        sections += [
            "## Beside them",
            "mR: mean over predicates. pair_any: share of pairs with any right "
            "triplet. Precision: share of predicted masks, and of points, that hit.",
            _table(systems, prompted, more, by_frame),
            f"A tube is hit on {share:.0%} of its frames.",
            _table(systems, prompted, tubes, {**by_frame, COLUMNS[0]: TUBE}),
        ]
    means = [
        [f"over {name}s", system, kind, *by_frame.values()]
        + [_number(m, values.get(m)) for m in main]
        for system, kind in parts
        for name, values in systems[system][kind].get("macro", {}).items()
    ]
    if means:
        heads = ["mean", "system", "prompt", *COLUMNS, *main]
        sections += ["## Other means", grid(heads, means)]
    sections += _of_all_subjects(systems, parts, some)
    return "\n\n".join(sections) + "\n"


def _of_all_subjects(
    systems: Mapping[str, Any], parts: Sequence[plan.Part], some: str
) -> Iterator[str]:
    """Yield the sections of recalls over all subjects of a video together."""
    names = [f"{kind}@{k}" for k in pvsg_official.KS for kind in ("R", "mR")]
    ways = {way: {f"{name} ({way_name(*way)})": name for name in names} for way in WAYS}
    rows, heads = [], ["source", "system", "prompt", "runs", *COLUMNS, *names]
    for source in _sources(systems, parts):
        for system, kind in parts:
            found = systems[system][kind]
            values = found if source is None else found["sources"].get(source, {})
            own = ways if any(keys.keys() & values for keys in ways.values()) else {}
            if not own and f"{OFFICIAL}{names[0]}" in values:
                own = {(WHOLE, some): {f"{OFFICIAL}{name}": name for name in names}}
            for way, keys in own.items():
                row = [source or ALL_SOURCES, system, kind, str(found["runs"]), *way]
                rows.append(row + [_number(n, values.get(k)) for k, n in keys.items()])
    if rows:
        yield "## All subjects of a video together"
        yield (
            "PVSG's own metric is that of whole relations, with all predicates, where "
            "the relations have them. Not comparable with R@K above, which is of one "
            "subject."
        )
        if any("-" in row for row in rows):
            yield 'A dash: files without "frames", the predictions on single frames.'
        yield grid(heads, rows)
    found = "subjects found"
    having = [part for part in parts if _has(systems, part, [found])]
    if having:
        yield (
            "Subjects found: share of the frames of true subjects on which a predicted "
            "subject has an IoU of 0.5 or more with them."
        )
        yield _table(systems, having, [found])


def _has(systems: Mapping[str, Any], part: plan.Part, metrics: Sequence[str]) -> bool:
    return any(name in systems[part[0]][part[1]] for name in metrics)


def _fields(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a protocol of results.json that this version knows."""
    known = {f.name for f in dataclasses.fields(Protocol)}
    return {name: value for name, value in protocol.items() if name in known}


def csv_text(document: Mapping[str, Any]) -> str:
    """Return results.csv, a line for each number, with the way of counting."""
    file = io.StringIO()
    write = csv.writer(file, lineterminator="\n").writerow
    heads = ("system", "prompt", "source", "metric", "mean", "std", "runs")
    write((*heads, *(name.replace(" ", "_") for name in COLUMNS)))
    some = predicates_counted(Protocol(**_fields(document["protocol"])))
    for system, own in document[document["dataset"]].items():
        for kind, found in own.items():
            for source, values in {ALL_SOURCES: found, **found["sources"]}.items():
                for metric, value in values.items():
                    if isinstance(value, Mapping) and value.keys() == {"mean", "std"}:
                        numbers = (value["mean"], value["std"], found["runs"])
                        way = _way(metric, some, any("(" in name for name in found))
                        write((system, kind, source, metric, *numbers, *way))
    return file.getvalue()


def _way(metric: str, some: str, of_files: bool) -> tuple[str, str]:
    """Return how a metric is counted, and the predicates; "" where there are none.

    `of_files`: the relations may have several predicates a pair (`all_subjects`).
    """
    if metric.startswith(OFFICIAL):
        return WHOLE, ALL if of_files else some
    for way in WAYS:
        if metric.endswith(f"({way_name(*way)})"):
            return way
    if "R@" in metric or "pair_any" in metric:
        return TUBE if metric.startswith("tube") else FRAME, some
    return TUBE if metric.startswith("tube") else FRAME, ""


def _ground_truth(document: Mapping[str, Any]) -> Iterator[str]:
    truth, protocol = document["ground truth"], document["protocol"]
    subjects, frames = truth["subjects"], truth["subject frames"]
    dropped = ", ".join(f"{n} {a:,}" for n, a in truth["dropped"].items() if a)
    yield (
        f"{truth['videos']} video{'s' * (truth['videos'] != 1)}, {subjects:,} "
        f"subject{'s' * (subjects != 1)} on {frames:,} frames, "
        f"{truth['units']:,} units (frame, subject, object, predicate) of "
        f"{truth['annotated']:,} annotated; left out: "
        f"{dropped or 'none'}."
    )
    reach = ", ".join(
        f"{name} {value:.2f}" for name, value in truth["ceilings"].items() if value
    )
    yield (
        f"Ceilings with {protocol['queries']} objects a frame and one predicate for "
        f"each: {reach} ({truth['crowded frames']:,} frames have more objects)."
    )
    missing = {
        f"{system}, {kind}": found["missing"]
        for system, own in document[document["dataset"]].items()
        for kind, found in own.items()
        if found.get("missing")
    }
    if missing:
        listed = ", ".join(f"{amount:,} of {part}" for part, amount in missing.items())
        yield f"Runs without a file, counted as runs without hits: {listed}."
    yield "In percent (subject IoU: 0 to 1), mean ± standard deviation over runs."


def _table(
    systems: Mapping[str, Any],
    parts: Sequence[plan.Part],
    metrics: Sequence[str],
    counted: Mapping[str, str] = MappingProxyType({}),
    with_paper: bool = False,
) -> str:
    """Return a table with a row for each source and part, then for all sources.

    `counted` are columns with the same text in each row: how it is counted.
    """
    own = [name for name in plan.PAPER_METRICS if with_paper and name in metrics]
    heads = ["source", "system", "prompt", "runs", *counted, *metrics]
    heads += [f"paper's {name}" for name in own]
    rows = []
    for source in _sources(systems, parts):
        for system, kind in parts:
            found = systems[system][kind]
            values = found if source is None else found["sources"].get(source, {})
            row = [source or ALL_SOURCES, system, kind, str(found["runs"])]
            row += counted.values()
            row += [_number(name, values.get(name)) for name in metrics]
            numbers = plan.paper_numbers(system, kind, source)
            rows.append(row + [numbers.get(name, "") for name in own])
    return grid(heads, rows)


def _sources(
    systems: Mapping[str, Any], parts: Sequence[plan.Part]
) -> list[str | None]:
    names = dict.fromkeys(n for s, k in parts for n in systems[s][k]["sources"])
    return [*names, None] if len(names) > 1 else [*names]


def _number(metric: str, value: Mapping[str, float | None] | None) -> str:
    if not value or value["mean"] is None:
        return "-"
    digits = 3 if metric == "subject IoU" else 2
    text = f"{value['mean']:.{digits}f}"
    return text if value["std"] is None else f"{text} ± {value['std']:.{digits}f}"


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (c.ljust(w) for c, w in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(heads), line(["-" * w for w in widths]), *map(line, rows)])
