"""Terminal output: the table of relations, and progress."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from c2g_jax.types import SceneGraph

ROWS = 20  # relations in the printed table
LINE_EVERY = 20.0  # seconds between two lines of progress

# begin(name, total frames), which returns advance(frames).
Begin = Callable[[str, int], Callable[[int], object]]


def print_relations(graph: SceneGraph) -> None:
    """Print the relations as a table on stdout, best first."""
    if not graph.relations:
        count = sum(len(frame.triplets) for frame in graph.frames)
        why = f": {count} predictions below --start_confidence"
        print(f"no relations found{why if count else ''}")
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
        print(
            f"{self.name}: {self.done:,} of {self.total:,} frames, {rate:.0f} per "
            f"second, {left:.0f} min left",
            file=sys.stderr,
        )
