"""What a person sees in the terminal: progress and results."""

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


def print_relations(graph: SceneGraph) -> None:
    """The relations as a table on stdout, best first."""
    if not graph.relations:
        guesses = sum(len(frame.triplets) for frame in graph.frames)
        why = f": {guesses} guesses did not hold, see --start_confidence"
        print(f"no relations found{why if guesses else ''}")
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
    """Bars of frames on stderr, silent where that is no terminal."""
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
def frame_progress() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Gives begin(what, frames), which gives advance(frames), for long work of parts.

    Bars on a terminal, and else a line on stderr every LINE_EVERY seconds.
    """
    with progress_bar() as bars:

        def begin(what: str, total: int) -> Callable[[int], None]:
            if not bars.disable:
                task = bars.add_task(what, total=total)
                return lambda frames: bars.update(task, advance=frames)
            return _Lines(what, total)

        yield begin


class _Lines:
    """Progress as a line on stderr every LINE_EVERY seconds."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, total, 0
        self.began = self.said = time.monotonic()

    def __call__(self, frames: int) -> None:
        self.done += frames
        now = time.monotonic()
        if now - self.said < LINE_EVERY:
            return
        self.said = now
        rate = self.done / (now - self.began)
        left = max(self.total - self.done, 0) / rate / 60
        print(
            f"{self.what}: {self.done:,} of {self.total:,} frames, {rate:.0f} a "
            f"second, {left:.0f} min left",
            file=sys.stderr,
        )
