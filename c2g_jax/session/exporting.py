"""A session's graph in the formats that others read."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from c2g_jax.export import write_scene_graph
from c2g_jax.export_coco import write_coco
from c2g_jax.export_open_pvsg import write_open_pvsg
from c2g_jax.export_tables import write_csv, write_graphml
from c2g_jax.overlay import draw_graph
from c2g_jax.types import InputError, SceneGraph
from c2g_jax.video import Video, write_mp4

# What a page offers: kind -> the name of the file, or of the folder.
FILES = {
    "scene_graph": "scene_graph.json",
    "open_pvsg": "open_pvsg",
    "coco": "coco.json",
    "graphml": "scene_graph.graphml",
    "csv": "relations.csv",
    "overlay": "overlay.mp4",
}

_OF_GRAPH: dict[str, Callable[[Path, SceneGraph], None]] = {
    "scene_graph": write_scene_graph,
    "coco": write_coco,
    "graphml": write_graphml,
    "csv": write_csv,
}


def write_export(kind: str, path: Path, graph: SceneGraph, video: Video) -> None:
    """Write one kind of export; "open_pvsg" makes a folder, all others a file."""
    if kind not in FILES:
        raise InputError(f"unknown export {kind!r}: choose one of {', '.join(FILES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind in _OF_GRAPH:
        _OF_GRAPH[kind](path, graph)
        return
    with contextlib.closing(video.read_from(0)) as frames:
        if kind == "open_pvsg":
            write_open_pvsg(path, graph, frames)
        else:
            write_mp4(path, draw_graph(frames, graph), graph.video.fps)
