"""Write a session's scene graph in each export format."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from c2g_jax.export.coco import write_coco
from c2g_jax.export.csv import write_csv
from c2g_jax.export.graphml import write_graphml
from c2g_jax.export.open_pvsg import write_open_pvsg
from c2g_jax.export.overlay import draw_graph
from c2g_jax.export.scene_graph_json import write_scene_graph
from c2g_jax.media.video import Video, write_mp4
from c2g_jax.session.views import EXPORTS
from c2g_jax.types import InputError, SceneGraph
from c2g_jax.vocabulary import Vocabulary

_OF_GRAPH: dict[str, Callable[[Path, SceneGraph], None]] = {
    "scene_graph": write_scene_graph,
    "graphml": write_graphml,
    "csv": write_csv,
}


def check_kind(kind: str, frames: bool = False) -> None:
    """Raise InputError for an unknown format, and for frames in others than coco."""
    if kind not in EXPORTS:
        raise InputError(f"unknown export {kind!r}: choose one of {', '.join(EXPORTS)}")
    if frames and kind != "coco":
        raise InputError(f"{kind} has no frames apart: leave out frames=True")


def write_export(
    kind: str,
    path: Path,
    graph: SceneGraph,
    video: Video,
    vocabulary: Vocabulary,
    with_frames: bool = False,
) -> None:
    """Write one of `views.EXPORTS`: a folder if it is in FOLDERS, else a file.

    vocabulary: that of the graph's model. with_frames: as of `Session.export`.
    """
    if kind in _OF_GRAPH:
        _OF_GRAPH[kind](path, graph)
        return
    if kind == "coco" and not with_frames:
        write_coco(path, graph, vocabulary)
        return
    with contextlib.closing(video.read_from(0)) as frames:
        if kind == "open_pvsg":
            write_open_pvsg(path, graph, frames, vocabulary=vocabulary)
        elif kind == "coco":
            write_coco(path, graph, vocabulary, frames)
        else:
            write_mp4(path, draw_graph(frames, graph), graph.video.fps)
