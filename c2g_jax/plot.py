"""Plot the results of an evaluation, or the losses of a training run.

    python -m c2g_jax.plot --results=DIR/results.json --output=pictures
    python -m c2g_jax.plot --metrics=WORKDIR/metrics.jsonl --output=pictures

The first writes scores.png and confusion.png, which the evaluation itself writes if
matplotlib is installed; the second losses.png.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.launch import OUTPUT
from c2g_jax.cli.paths import PATH
from c2g_jax.media.outputs import check_output, output_folder
from c2g_jax.types import InputError

flags.declare_key_flag("output")
RESULTS = flags.DEFINE(PATH, "results", None, "results.json of an evaluation.")
METRICS = flags.DEFINE(PATH, "metrics", None, "metrics.jsonl of a training run.")


def main(argv: Sequence[str]) -> None:
    del argv
    if not OUTPUT.value:
        raise InputError("--output is missing: name a folder for the plots")
    if not RESULTS.value and not METRICS.value:
        raise InputError("nothing to draw: give --results or --metrics")
    with launch.needing("plot"):
        from c2g_jax.evaluation import plots

    output = Path(OUTPUT.value)
    check_output(output)
    with output_folder(output) as folder:
        if RESULTS.value:
            plots.draw_results(read_results(Path(RESULTS.value)), folder)
        if METRICS.value:
            path = Path(METRICS.value)
            plots.draw_losses(
                read_losses(path), path.absolute().parent.name, folder / "losses.png"
            )
        names = ", ".join(sorted(file.name for file in folder.iterdir()))
    print(f"{names or 'nothing to draw'} written to {output}")


def run() -> None:
    """For `python -m`."""
    launch.run(main)


def read_results(path: Path) -> dict[str, Any]:
    """Read results.json; raises InputError for a file that is none."""
    document = _parsed(path, _text(path))
    try:
        _check_results(document)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: has no results of c2g_jax.evaluate "
            f"({type(error).__name__}: {error}): name its results.json"
        ) from None
    return document


def _check_results(document: Any) -> None:
    """Raise some error unless the document has everything that is plotted."""
    names = [*(f"R@{int(k)}" for k in document["protocol"]["ks"]), "SpIR", "PLR"]
    for own in document[document["dataset"]].values():
        for found in own.values():
            if "SpIR" not in found:
                continue
            for part in (found, *found["sources"].values()):
                for name, key in itertools.product(names, ("mean", "std")):
                    value = part.get(name, {}).get(key)
                    if value is not None and not _is_number(value):
                        raise ValueError(f"{name} is not a number")
            for predicted in found["confusion"].values():
                if not all(map(_is_number, predicted.values())):
                    raise ValueError("confusion has entries that are not numbers")


def _is_number(value: Any) -> bool:
    """Return whether it can be plotted; Python's JSON also reads NaN and Infinity."""
    return type(value) in (int, float) and abs(value) < 1e300


def read_losses(path: Path) -> list[dict[str, float]]:
    """Read the complete lines of metrics.jsonl; raises InputError for other files."""
    lines = [_parsed(path, line) for line in _text(path).split("\n")[:-1]]
    if not lines or not all(isinstance(n, dict) and "step" in n for n in lines):
        raise InputError(
            f"{path}: has no metrics of c2g_jax.train: name a metrics.jsonl"
        )
    for number, line in enumerate(lines, 1):
        for name, value in line.items():
            if not _is_number(value):
                raise InputError(
                    f"{path}: line {number}: {name} is {json.dumps(value)[:40]}, not a "
                    "number: name a metrics.jsonl written by c2g_jax.train"
                )
    if not any("loss" in line for line in lines):
        raise InputError(f"{path}: has no training losses yet: plot again later")
    return lines


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file: check the name") from error


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}): check the name") from error


if __name__ == "__main__":
    run()
