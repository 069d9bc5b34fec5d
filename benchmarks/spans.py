r"""Compare settings of relation spans, on any split; `c2g_jax.tune` sets them.

    python -m benchmarks.spans --checkpoint=FOLDER --data_dir=data --name=toy_pvsg \
        --split=train --max_videos=60 --output=DIR

Every subject of a video is clicked on its first frame with a relation and tracked, once
for each video; the graphs are kept in DIR/graphs and reused. Spans are then made from
their predictions with every setting of a grid, and compared with the true spans: F1 of
spans (a predicted and a true span of the same pair and predicate match if their IoU is
at least a half, each once) and F1 of frames. Prints the best settings and those of the
checkpoint, what is wrong with the spans under the last, and writes all to
DIR/spans.json.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Table

from c2g_jax.cli import launch
from c2g_jax.cli.launch import (
    CHECKPOINT,
    DATA_DIR,
    DEFAULT_NAME,
    MAX_VIDEOS,
    NAME,
    OUTPUT,
)
from c2g_jax.click2graph.settings import Settings, SpanConfig
from c2g_jax.media.outputs import check_output, write_text
from c2g_jax.types import InputError

with launch.needing("train"):
    from c2g_jax.click2graph.model import Click2Graph
    from c2g_jax.correction.span_scores import (
        GRID,
        Counts,
        count,
        faults,
        predict_videos,
        ranked_settings,
    )
    from c2g_jax.data.dataset import open_dataset
    from c2g_jax.evaluation import protocol_flags
    from c2g_jax.evaluation.protocol import Protocol

for _name in ("checkpoint", "data_dir", "name", "split", "max_videos", "output"):
    flags.declare_key_flag(_name)

SHOWN = 10  # settings in the printed table


def main(argv: Sequence[str]) -> None:
    del argv
    for flag in (OUTPUT, DATA_DIR, CHECKPOINT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing: name a folder")
    output, split = Path(OUTPUT.value), protocol_flags.protocol_from_flags().split
    check_output(output)
    dataset = open_dataset(DATA_DIR.value, NAME.value or DEFAULT_NAME)
    videos = dataset.videos(split)[: MAX_VIDEOS.value]
    protocol = Protocol(split=split, runs=1)
    # JAX is not needed before.
    from c2g_jax.checkpoints import heads, pretrained, safetensors

    def load() -> Click2Graph:
        return pretrained.load_click2graph(CHECKPOINT.value)[0]

    made_by = safetensors.read_manifest(CHECKPOINT.value)["sha256"]
    folder = output / "graphs"
    own = predict_videos(dataset, videos, protocol, folder, made_by, load)
    predicted = list(own)
    found = ranked_settings(predicted)
    config = (heads.settings_in_use(CHECKPOINT.value, None) or Settings()).spans
    wrong = faults(predicted, config)
    used = (count(predicted, config), config)
    show([*found[:SHOWN], used], len(predicted))
    print("spans shown under these: " + ", ".join(f"{n} {k}" for k, n in wrong.items()))
    rows = [
        {
            **dataclasses.asdict(config),
            **dataclasses.asdict(counts),
            "span F1": counts.f1()[0],
            "frame F1": counts.f1()[1],
        }
        for counts, config in (used, *found)
    ]
    document = {
        "data": f"{dataset.name}/{split}",
        "videos": len(predicted),
        "checkpoint": rows[0],
        "shown": wrong,
        "settings": rows[1:],
    }
    text = json.dumps(document, indent=1, allow_nan=False)
    write_text(output / "spans.json", text + "\n")
    print(f"written to {output / 'spans.json'}")


def show(rows: Sequence[tuple[Counts, SpanConfig]], videos: int) -> None:
    """Print the rows as a table; the last row has the checkpoint's settings."""
    table = Table("", *GRID, "F1 of spans", "F1 of frames", title=f"{videos} videos")
    for place, (counts, config) in enumerate(rows, 1):
        values = (f"{getattr(config, field):g}" for field in GRID)
        spans, frames = counts.f1()
        name = "checkpoint" if place == len(rows) else str(place)
        table.add_row(name, *values, f"{spans:.3f}", f"{frames:.3f}")
    Console().print(table)


if __name__ == "__main__":
    launch.run(main)
