"""What a person sees in the terminal: progress and results."""

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


def print_relations(graph: SceneGraph) -> None:
    """The relations as a table on stdout, best first."""
    if not graph.relations:
        print("no relations found")
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
