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
from typing import Any

from c2g_jax import __version__
from c2g_jax.data.dataset import Dataset
from c2g_jax.evaluation import plan, pvsg_official
from c2g_jax.evaluation.ground_truth import truth_summary
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.results import OFFICIAL, summarise
from c2g_jax.media.outputs import output_folder

ALL = "all"  # in the place of a source
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
    sections = [f"# {name}", *_ground_truth(document)]
    for number in tables:
        own = [part for part in plan.TABLES[number] if part in parts]
        sections += [
            f"## {plan.TITLES[number]}",
            _table(systems, own, main, with_paper=with_paper),
        ]
    shown = [part for number in tables for part in plan.TABLES[number]]
    others = [part for part in parts if part not in shown]
    if others:
        sections.append("## What could be reached" if tables else "## Scores")
        if any(system == "oracle" for system, _ in others):
            sections.append(
                "oracle: true objects' points; masks and labels are predicted."
            )
        sections.append(_table(systems, others, main))
    more = [name for k in ks for name in (f"mR@{k}", f"pair_any@{k}", f"tube R@{k}")]
    more += ["tube SpIR", "SpIR precision", "PLR precision"]
    share = document["protocol"]["tube_share"]
    sections += [
        "## Beside them",
        "mR: mean over predicates. pair_any: share of pairs with any right triplet. "
        f"tube: share of whole relations that are hit on {share:.0%} of their frames. "
        "Precision: share of predicted masks, and of points, that hit.",
        _table(systems, parts, more),
    ]
    means = [
        [f"over {name}s", system, kind, *(_number(m, values.get(m)) for m in main)]
        for system, kind in parts
        for name, values in systems[system][kind].get("macro", {}).items()
    ]
    sections += ["## Other means", grid(["mean", "system", "prompt", *main], means)]
    official = [
        f"{OFFICIAL}{kind}@{k}" for k in pvsg_official.KS for kind in ("R", "mR")
    ]
    judged = [part for part in parts if official[0] in systems[part[0]][part[1]]]
    if judged:
        sections += [
            "## PVSG's own metric",
            "Over whole videos and all subjects: not comparable with R@K above.",
            _table(systems, judged, official),
        ]
    return "\n\n".join(sections) + "\n"


def csv_text(document: Mapping[str, Any]) -> str:
    """Return results.csv: system, prompt, source, metric, mean, std, runs."""
    file = io.StringIO()
    write = csv.writer(file, lineterminator="\n").writerow
    write(("system", "prompt", "source", "metric", "mean", "std", "runs"))
    for system, own in document[document["dataset"]].items():
        for kind, found in own.items():
            for source, values in {ALL: found, **found["sources"]}.items():
                for metric, value in values.items():
                    if isinstance(value, Mapping) and value.keys() == {"mean", "std"}:
                        numbers = (value["mean"], value["std"], found["runs"])
                        write((system, kind, source, metric, *numbers))
    return file.getvalue()


def _ground_truth(document: Mapping[str, Any]) -> Iterator[str]:
    truth, protocol = document["ground truth"], document["protocol"]
    subjects, frames = truth["subjects"], truth["subject frames"]
    dropped = ", ".join(f"{n} {a:,}" for n, a in truth["dropped"].items() if a)
    yield (
        f"{truth['videos']} video{'s' * (truth['videos'] != 1)}, {subjects:,} subjects "
        f"on {frames:,} frames, "
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
    with_paper: bool = False,
) -> str:
    """Return a table with a row for each source and part, then for all sources."""
    own = [name for name in plan.PAPER_METRICS if with_paper and name in metrics]
    heads = ["source", "system", "prompt", "runs", *metrics]
    heads += [f"paper's {name}" for name in own]
    rows = []
    for source in _sources(systems, parts):
        for system, kind in parts:
            found = systems[system][kind]
            values = found if source is None else found["sources"].get(source, {})
            row = [source or ALL, system, kind, str(found["runs"])]
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
