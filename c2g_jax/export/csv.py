"""Relations as CSV, one row for each span of each relation."""

import csv
import io
from pathlib import Path

from c2g_jax.media.outputs import write_text
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
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(COLUMNS)
    for r in graph.relations:
        ends = (r.subject_id, names[r.subject_id], r.predicate)
        ends += (r.object_id, names[r.object_id])
        for first, last in r.spans:
            rows.writerow([*ends, first, last, times[first], times[last], r.score])
    write_text(path, file.getvalue())
