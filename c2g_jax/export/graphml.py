"""A scene graph as GraphML, for networkx, Gephi and Cytoscape."""

from pathlib import Path

import networkx as nx

from c2g_jax.media.outputs import write_atomic
from c2g_jax.tracking.spans import merge_spans
from c2g_jax.types import SceneGraph


def write_graphml(path: str | Path, graph: SceneGraph) -> None:
    """Write objects as nodes and relations as edges; the file is replaced atomically.

    Frame spans are text such as "0-4 7-9", both ends inclusive.
    """
    multigraph = relation_graph(graph)
    write_atomic(path, lambda aside: nx.write_graphml(multigraph, aside))


def relation_graph(graph: SceneGraph) -> nx.MultiDiGraph:
    """Return the networkx graph: one edge per relation, keyed by its predicate."""
    video = graph.video
    multigraph = nx.MultiDiGraph(
        video=video.name,
        width=video.width,
        height=video.height,
        frames=video.num_frames,
        fps=float(video.fps or 0.0),
    )
    for track in graph.objects:
        multigraph.add_node(
            str(track.object_id),
            category=track.category,
            score=float(track.score),
            prompted_by="user" if track.prompted_by is None else str(track.prompted_by),
            visible=_spans_text(merge_spans(track.masks)),
        )
    for relation in graph.relations:
        multigraph.add_edge(
            str(relation.subject_id),
            str(relation.object_id),
            key=relation.predicate,
            predicate=relation.predicate,
            score=float(relation.score),
            spans=_spans_text(relation.spans),
        )
    return multigraph


def _spans_text(spans) -> str:
    return " ".join(f"{first}-{last}" for first, last in spans)
