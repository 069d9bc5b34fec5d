"""A scene graph as GraphML, for networkx, Gephi and Cytoscape."""

from pathlib import Path

import networkx as nx

from c2g_jax.export.names import xml_text
from c2g_jax.media.outputs import write_atomic
from c2g_jax.tracking.spans import merge_spans
from c2g_jax.types import SceneGraph


def write_graphml(path: str | Path, graph: SceneGraph) -> None:
    """Write objects as nodes and relations as edges; the file is replaced atomically.

    Each edge has an id of its own, and its predicate as data: GraphML wants ids to be
    unique in the file. Frame spans are text such as "0-4 7-9", both ends inclusive.
    Characters that XML forbids become U+FFFD.
    """
    multigraph = relation_graph(graph)
    write_atomic(path, lambda aside: nx.write_graphml(multigraph, aside))


def relation_graph(graph: SceneGraph) -> nx.MultiDiGraph:
    """Return the networkx graph: one edge per relation, keyed "e0", "e1", ..."""
    video = graph.video
    multigraph = nx.MultiDiGraph(
        video=xml_text(video.name),
        width=video.width,
        height=video.height,
        frames=video.num_frames,
        fps=float(video.fps or 0.0),
    )
    for track in graph.objects:
        multigraph.add_node(
            str(track.object_id),
            category=xml_text(track.category),
            score=float(track.score),
            prompted_by="user" if track.prompted_by is None else str(track.prompted_by),
            visible=_spans_text(merge_spans(track.masks)),
        )
    for number, relation in enumerate(graph.relations):
        multigraph.add_edge(
            str(relation.subject_id),
            str(relation.object_id),
            key=f"e{number}",
            predicate=xml_text(relation.predicate),
            score=float(relation.score),
            spans=_spans_text(relation.spans),
        )
    return multigraph


def _spans_text(spans) -> str:
    return " ".join(f"{first}-{last}" for first, last in spans)
