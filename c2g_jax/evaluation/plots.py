"""Plots of results.json and metrics.jsonl as PNG; needs matplotlib, an extra."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ALL, OTHERS = "all sources", "(others)"
_WIDTH, _HEIGHT = 3.6, 3.2  # of a panel, in inches
# Entries of metrics.jsonl without a panel; val/ is drawn beside the training loss.
_NOT_DRAWN = re.compile(r"step|time|steps_per_second|data_wait|lr/.*|val/.*")


def draw_results(document: Mapping[str, Any], folder: Path) -> None:
    """Draw scores.png, and confusion.png if any pair was found."""
    systems, ks = document[document["dataset"]], document["protocol"]["ks"]
    parts = {
        f"{system}, {kind}": found
        for system, own in systems.items()
        for kind, found in own.items()
        if "SpIR" in found
    }
    if parts:
        names = [*(f"R@{k}" for k in ks), "SpIR", "PLR"]
        _draw_scores(parts, names, document["dataset"], folder / "scores.png")
    for part, found in parts.items():
        if found["confusion"]:  # only the first; all are in results.json
            _draw_confusion(found["confusion"], part, folder / "confusion.png")
            break


def _draw_scores(
    parts: Mapping[str, Mapping], names: Sequence[str], title: str, path: Path
) -> None:
    """Draw a panel for each metric: bars by source and system, with deviations."""
    sources = list(dict.fromkeys(n for own in parts.values() for n in own["sources"]))
    groups = [*sources, ALL] if len(sources) > 1 else sources
    width = max(_WIDTH, 0.3 * len(groups) * (len(parts) + 1))
    figure, axes = _panels(len(names), width)
    for axis, name in zip(axes, names, strict=True):
        for i, (part, found) in enumerate(parts.items()):
            values = [
                (found if g == ALL else found["sources"].get(g, {})).get(name, {})
                for g in groups
            ]
            at = np.arange(len(groups)) + (i - (len(parts) - 1) / 2) * 0.8 / len(parts)
            axis.bar(
                at,
                [value.get("mean") or 0 for value in values],
                min(0.72 / len(parts), 0.4),
                # A single run has no deviation, rather than one of 0: None is NaN.
                yerr=np.array([value.get("std") for value in values], float),
                label=part,
                error_kw={"elinewidth": 1, "capsize": 3},
            )
        axis.set_title(name)
        axis.set_xticks(range(len(groups)), groups)
        axis.set_xlim(-0.6, len(groups) - 0.4)
        axis.set_ylim(bottom=0)
        axis.yaxis.grid(True, alpha=0.3)
        axis.set_axisbelow(True)
    axes[0].set_ylabel("percent")
    figure.suptitle(title)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(parts))
    _save(figure, path)


def _draw_confusion(confusion: Mapping[str, Mapping], part: str, path: Path) -> None:
    """Draw true against predicted predicates: row-wise shares, and numbers of pairs."""
    names = list(confusion)
    others = any(name not in confusion for own in confusion.values() for name in own)
    columns = [*names, OTHERS] if others else names
    table = np.zeros((len(names), len(columns)), int)
    for row, predicted in enumerate(confusion.values()):
        for name, amount in predicted.items():
            table[row, columns.index(name if name in names else OTHERS)] += amount
    shares = table / table.sum(axis=1, keepdims=True)
    figure = Figure(
        figsize=(3.0 + 0.45 * len(columns), 1.9 + 0.36 * len(names)),
        layout="constrained",
    )
    axis = figure.add_subplot()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), amount in np.ndenumerate(table):
        if shares[row, column] > 0.01:
            colour = "white" if shares[row, column] > 0.6 else "black"
            axis.text(
                column, row, _short(amount), ha="center", va="center",
                color=colour, fontsize=7,
            )  # fmt: skip
    axis.set_xticks(
        range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor"
    )
    axis.set_yticks(range(len(names)), names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(f"Predicates of the pairs found: {part}", fontsize=10)
    figure.colorbar(image, ax=axis, label="share of the true", aspect=40, pad=0.01)
    _save(figure, path)


def draw_losses(lines: Sequence[Mapping[str, float]], title: str, path: Path) -> None:
    """Draw a panel for each loss of a metrics.jsonl, training and validation."""
    names = list(dict.fromkeys(n for line in lines for n in line))
    names = [name for name in names if not _NOT_DRAWN.fullmatch(name)]
    figure, axes = _panels(len(names), _WIDTH, columns=4)
    for axis, name in zip(axes, names, strict=True):
        _draw_line(axis, lines, name, "training", linewidth=1)
        _draw_line(axis, lines, f"val/{name}", "validation", marker="o", markersize=3)
        axis.set_title(name)
        axis.grid(True, alpha=0.3)
        axis.set_xlabel("step")
    handles = {
        label: handle
        for axis in axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.suptitle(title)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=2)
    _save(figure, path)


def _draw_line(
    axis: Axes, lines: Sequence[Mapping[str, float]], name: str, label: str, **style
) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    if points:
        axis.plot(*zip(*points, strict=True), label=label, **style)


def _panels(amount: int, width: float, columns: int = 5) -> tuple[Figure, list[Axes]]:
    rows = -(-amount // columns)
    columns = min(amount, columns)
    figure = Figure(
        figsize=(width * columns, _HEIGHT * rows + 0.7), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for spare in axes[amount:]:
        spare.remove()
    return figure, axes[:amount]


def _short(amount: int) -> str:
    return f"{amount}" if amount < 1000 else f"{amount / 1000:.0f}k"


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
