"""Relations as CSV, one row for each span of each relation."""

import csv
from pathlib import Path

from c2g_jax.media.outputs import write_atomic
from c2g_jax.types import SceneGraph

COLUMNS = (
    "subject_id",
    "subject",
    "predicate",
    "object_id",
    "object",
    "first_frame",
    "last_frame",
    "first_second",
    "last_second",
    "score",
)


def write_csv(path: str | Path, graph: SceneGraph) -> None:
    """Write the relations as rows of COLUMNS; the file is replaced atomically."""
    names = {track.object_id: track.category for track in graph.objects}
    times = graph.video.times

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for r in graph.relations:
                ends = (r.subject_id, names[r.subject_id], r.predicate)
                ends += (r.object_id, names[r.object_id])
                for first, last in r.spans:
                    seconds = (times[first], times[last])
                    rows.writerow([*ends, first, last, *seconds, r.score])

    write_atomic(path, write)
