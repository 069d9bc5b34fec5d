"""Terminal output: the table of relations, and progress."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from c2g_jax.click2graph.settings import SpanConfig
from c2g_jax.tracking.scene_graph import relations_of
from c2g_jax.types import Relation, SceneGraph

ROWS = 20  # relations in the printed table
GUESSES = 3  # named where there is no relation
# The fields of SpanConfig that drop guesses, the flags of predict that set them, the
# values that drop none, and what may have to be changed, the least first.
_FLAGS = {
    "start_confidence": "start_confidence",
    "min_confidence": "min_confidence",
    "min_length": "min_frames",
}
_ALL = {"start_confidence": 0.0, "min_confidence": 0.0, "min_length": 1}
_CHANGES = (
    ("start_confidence",),
    ("min_length",),
    ("start_confidence", "min_length"),
    ("start_confidence", "min_confidence"),
    ("start_confidence", "min_confidence", "min_length"),
)
LINE_EVERY = 20.0  # seconds between two lines of progress

# begin(name, total frames), which returns advance(frames).
Begin = Callable[[str, int], Callable[[int], object]]


def print_relations(graph: SceneGraph, spans: SpanConfig) -> None:
    """Print the relations as a table on stdout, best first.

    Without any, a line names the best guesses, and the flag that shows them.
    """
    if not graph.relations:
        print(f"no relations found{_best_guesses(graph, spans)}")
        return
    table = Table("subject", "predicate", "object", "seconds", "score")
    names = {o.object_id: f"{o.object_id} {o.category}" for o in graph.objects}
    times = graph.video.times
    for relation in graph.relations[:ROWS]:
        spans = (f"{times[a]:.1f}-{times[b]:.1f}" for a, b in relation.spans)
        table.add_row(
            names[relation.subject_id],
            relation.predicate,
            names[relation.object_id],
            ", ".join(spans),
            f"{relation.score:.3g}",
        )
    rest = len(graph.relations) - ROWS
    if rest > 0:
        table.caption = f"and {rest} more in scene_graph.json"
    Console().print(table)


def _best_guesses(graph: SceneGraph, spans: SpanConfig) -> str:
    """Return what to add where a graph, built with `spans`, has no relations."""
    count = sum(len(frame.triplets) for frame in graph.frames)
    if not count:
        return ": nothing was found beside the prompted objects"
    for changed in _CHANGES:
        config = replace(spans, **{name: _ALL[name] for name in changed}, top=GUESSES)
        found = relations_of(graph, config)[:GUESSES]
        if found:
            break
    names = {o.object_id: f"{o.object_id} {o.category}" for o in graph.objects}
    best = ", ".join(
        f"{names[r.subject_id]} {r.predicate} {names[r.object_id]} {r.score:.2g}"
        for r in found
    )
    least = {**_ALL, "start_confidence": min(_surest(graph, r) for r in found)}
    flags = " ".join(
        f"--{_FLAGS[name]}={math.floor(100 * least[name]) / 100:g}" for name in changed
    )
    return (
        f": {count} predictions below --start_confidence, --min_confidence or "
        f"--min_frames; the best are {best}: {flags} shows them"
    )


def _surest(graph: SceneGraph, relation: Relation) -> float:
    """Return the highest confidence of a relation on a frame."""
    key = relation.object_id, relation.predicate
    return max(
        guess.confidence
        for frame in graph.frames
        if frame.subject_id == relation.subject_id
        for guess in frame.triplets
        if (guess.object_id, guess.predicate) == key
    )


def progress_bar() -> Progress:
    """Return progress bars of frames on stderr, disabled if that is not a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextlib.contextmanager
def frame_progress() -> Iterator[Begin]:
    """Show progress as bars on a terminal, else a line on stderr every LINE_EVERY s."""
    with progress_bar() as bars:

        def begin(name: str, total: int) -> Callable[[int], None]:
            if not bars.disable:
                task = bars.add_task(name, total=total)
                return lambda frames: bars.update(task, advance=frames)
            return _ProgressLines(name, total)

        yield begin


class _ProgressLines:
    """Prints progress as a line on stderr every LINE_EVERY seconds."""

    def __init__(self, name: str, total: int):
        self.name, self.total, self.done = name, total, 0
        self.began = self.printed = time.monotonic()

    def __call__(self, frames: int) -> None:
        self.done += frames
        now = time.monotonic()
        if now - self.printed < LINE_EVERY:
            return
        self.printed = now
        rate = self.done / (now - self.began)
        left = max(self.total - self.done, 0) / rate / 60
        digits = int(rate < 10)
        print(
            f"{self.name}: {self.done:,} of {self.total:,} frames, {rate:.{digits}f} "
            f"per second, {left:.0f} min left",
            file=sys.stderr,
        )
