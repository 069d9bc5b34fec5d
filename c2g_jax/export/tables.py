"""A scene graph for graph tools and spreadsheets: GraphML, and relations as CSV."""

import csv
from pathlib import Path

import networkx as nx

from c2g_jax.media.outputs import write_aside
from c2g_jax.tracking.spans import merge_spans
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


def write_graphml(path: str | Path, graph: SceneGraph) -> None:
    """Write objects as nodes and relations as edges, aside then renamed.

    Spans of frames stand as text, "0-4 7-9", both ends included.
    """
    whole = relation_graph(graph)
    write_aside(path, lambda aside: nx.write_graphml(whole, aside))


def relation_graph(graph: SceneGraph) -> nx.MultiDiGraph:
    """The graph for networkx: an edge for each relation, named by its predicate."""
    video = graph.video
    whole = nx.MultiDiGraph(
        video=video.name,
        width=video.width,
        height=video.height,
        frames=video.num_frames,
        fps=float(video.fps or 0.0),
    )
    for track in graph.objects:
        whole.add_node(
            str(track.object_id),
            category=track.category,
            score=float(track.score),
            prompted_by="user" if track.prompted_by is None else str(track.prompted_by),
            visible=_text(merge_spans(track.masks)),
        )
    for relation in graph.relations:
        whole.add_edge(
            str(relation.subject_id),
            str(relation.object_id),
            key=relation.predicate,
            predicate=relation.predicate,
            score=float(relation.score),
            spans=_text(relation.spans),
        )
    return whole


def write_csv(path: str | Path, graph: SceneGraph) -> None:
    """Write a row for each span of each relation, aside then renamed."""
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

    write_aside(path, write)


def _text(spans) -> str:
    return " ".join(f"{first}-{last}" for first, last in spans)
