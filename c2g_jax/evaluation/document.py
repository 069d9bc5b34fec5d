"""results.json: everything that was measured and how, and the files made of it."""

import dataclasses
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from c2g_jax import __version__
from c2g_jax.data.dataset import Dataset
from c2g_jax.evaluation.ceilings import truth_summary
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.results import summarise
from c2g_jax.evaluation.tables import csv_text, markdown
from c2g_jax.media.outputs import output_folder

PICTURES = ("scores.png", "confusion.png")
_PACKAGES = ("jax", "flax", "numpy", "scipy", "pycocotools")


def make_document(
    dataset: Dataset,
    protocol: Protocol,
    scores: Sequence[Mapping],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """What results.json holds, of the scores of all videos in their order.

    {"dataset": "NAME/SPLIT", "NAME/SPLIT": {system: {prompt kind: results}}, "ground
    truth", "protocol", "provenance"}; `results.summarise` says what results are.
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
    """What made the results; no time, and no shard, for the last of them writes."""
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
    """Write results.json, .csv, .md, and pictures if wanted; gives the text of .md."""
    page = markdown(document, tables)
    with output_folder(output, owned=PICTURES) as folder:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        (folder / "results.json").write_text(text + "\n", encoding="utf-8")
        (folder / "results.csv").write_text(csv_text(document), encoding="utf-8")
        (folder / "results.md").write_text(page, encoding="utf-8")
        if plots:
            from c2g_jax.evaluation.plots import draw_results  # matplotlib is an extra

            draw_results(document, folder)
    return page
