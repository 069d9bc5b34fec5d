"""Measured times beside the estimates of compiled programs, from one file of results.

    python -m benchmarks.estimates --json=docs/performance.json

The file holds what `benchmarks.compiled` estimated for cards, and what
`benchmarks.video` and `benchmarks.training` measured on one.
"""

import statistics
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Table

from benchmarks.measures import JSON, read_results
from c2g_jax.cli import launch
from c2g_jax.sam2.config import SIZES, sam2_config
from c2g_jax.types import InputError

flags.declare_key_flag("json")


def measured(results: dict, size: str) -> dict[str, float]:
    """Return milliseconds by the program's name in "compiled"; of bfloat16, on a GPU.

    Programs that were not measured are left out.
    """
    gpu = results.get("gpu", {})
    video = gpu.get(f"{size}_{sam2_config(size).image_size}_bfloat16", {}).get("video")
    found = {}
    for stage, sides in (video or {"seconds": {}})["seconds"].items():
        name = "encode" if stage == "encode" else f"track_{stage.split()[1]}"
        found[name] = 1000 * statistics.median(sides["ours"])
    if gpu.get("training", {}).get("size") == size:
        found["click2graph_1"] = 1000 * gpu["training"]["step"]
    return found


def main(argv) -> None:
    del argv
    if not JSON.value or not Path(JSON.value).is_file():
        raise InputError(f"--json={JSON.value}: no such file: name that of the results")
    results = read_results(Path(JSON.value))
    sizes = {size: times for size in SIZES if (times := measured(results, size))}
    if not sizes:
        raise InputError(f"--json={JSON.value}: nothing was measured on a GPU")
    for size, times in sizes.items():
        show(size, times, results.get("compiled", {}))


def show(size: str, times: dict[str, float], compiled: dict) -> None:
    # Named h100, or h100_base_plus for another size than Large.
    of = "" if size == "large" else size
    cards = {k: row for k, row in compiled.items() if k.partition("_")[2] == of}
    table = Table(title=f"{size}, bfloat16, milliseconds")
    table.add_column("program")
    for heading in ("measured", *(f"estimated, {card}" for card in cards)):
        table.add_column(heading, justify="right")
    for name, taken in times.items():
        estimates = [row.get(name, {}).get("estimate_ms") for row in cards.values()]
        cells = [f"{x:.1f}" if x else "" for x in (taken, *estimates)]
        table.add_row(name, *cells)
    Console(width=88).print(table)


if __name__ == "__main__":
    launch.run(main)
