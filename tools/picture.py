"""Draw a frame of a clip with the masks and scene graph of a model and of the truth.

    make demo
    python tools/picture.py --graph=demo/pets/graph/scene_graph.json \
        --truth=c2g_jax/example/pets.json --video=c2g_jax/example/pets.mp4 \
        --frame=24 --output=docs/images

Writes OUTPUT/demo.png, the picture in README. Edges are the relations that hold in that
frame.
"""

import math
from pathlib import Path

import numpy as np
from absl import flags

from c2g_jax.cli import launch
from c2g_jax.cli.paths import PATH
from c2g_jax.export.overlay import draw_graph, object_color
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.outputs import check_output
from c2g_jax.media.video import open_video
from c2g_jax.types import InputError, SceneGraph

with launch.needing("plot"):
    from matplotlib.figure import Figure

GRAPH = flags.DEFINE(PATH, "graph", None, "A scene_graph.json of the video.")
TRUTH = flags.DEFINE(PATH, "truth", None, "Another one, with the ground truth.")
FRAME = flags.DEFINE_integer("frame", 0, "Index of the frame.", lower_bound=0)
for name in ("video", "output"):
    flags.declare_key_flag(name)


def main(argv) -> None:
    del argv
    for flag in (GRAPH, TRUTH, launch.VIDEO, launch.OUTPUT):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing")
    folder = Path(launch.OUTPUT.value)
    check_output(folder)
    figure = Figure(figsize=(9, 7), layout="constrained")
    rows = figure.subplots(2, 2)
    for (left, right), flag, title in zip(
        rows, (GRAPH, TRUTH), ("found from clicks", "ground truth"), strict=True
    ):
        graph = read_scene_graph(flag.value)
        painted = draw_graph(open_video(launch.VIDEO.value), graph)
        frame = next((f for f in painted if f.index == FRAME.value), None)
        if frame is None:
            raise InputError(f"--frame={FRAME.value}: the video ends before it")
        left.imshow(frame.rgb)
        left.set_title(title, loc="left")
        left.axis("off")
        draw_nodes(right, graph, FRAME.value)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "demo.png", dpi=90)
    print(folder / "demo.png")


def draw_nodes(axes, graph: SceneGraph, frame: int) -> None:
    """Draw objects on a circle, and the relations of the frame as arrows."""
    holding = [r for r in graph.relations if any(a <= frame <= b for a, b in r.spans)]
    used = {i for r in holding for i in (r.subject_id, r.object_id)}
    shown = [track for track in graph.objects if track.object_id in used]
    places = {
        track.object_id: np.array([math.sin(angle), math.cos(angle)])
        for track, angle in zip(
            shown, np.linspace(0, 2 * math.pi, len(shown), endpoint=False), strict=True
        )
    }
    pairs: dict[tuple[int, int], list[str]] = {}
    for relation in holding:
        pair = relation.subject_id, relation.object_id
        pairs.setdefault(pair, []).append(relation.predicate)
    for (subject, other), predicates in pairs.items():
        # Curved, so that a relation and its reverse do not overlap.
        axes.annotate(
            "", places[other], places[subject], arrowprops=dict(
                arrowstyle="-|>", color="0.35", shrinkA=24, shrinkB=24,
                connectionstyle="arc3,rad=0.15",
            ),
        )  # fmt: skip
        across = places[other] - places[subject]
        middle = (places[subject] + places[other]) / 2
        middle = middle + 0.08 * np.array([across[1], -across[0]])
        axes.text(*middle, "\n".join(predicates), ha="center", va="center", fontsize=9,
                  bbox=dict(facecolor="white", edgecolor="none", pad=1))  # fmt: skip
    for track in shown:
        color = np.array(object_color(track.object_id)) / 255
        axes.text(*places[track.object_id], f"{track.object_id} {track.category}",
                  ha="center", va="center", fontsize=11,
                  bbox=dict(boxstyle="round", facecolor=(*color, 0.45)))  # fmt: skip
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.35, 1.35), aspect="equal")
    axes.axis("off")


if __name__ == "__main__":
    launch.run(main)
