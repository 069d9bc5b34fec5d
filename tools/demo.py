"""Run prediction on the example clips and compare the result with the ground truth.

    python tools/demo.py [--output=demo]

Clicks once on each subject of each clip, writes scene graphs and overlays, and prints
the true relations with the ones found. `make demo` runs this.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from absl import flags

from c2g_jax.cli import launch
from c2g_jax.data.prompts import interior_distance
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.rle import decode_mask, mask_iou
from c2g_jax.predict.prompts_file import prompts_to_json
from c2g_jax.tracking.spans import frames_of
from c2g_jax.types import ObjectTrack, Prompt, Relation, SceneGraph

flags.declare_key_flag("output")

PACKAGE = Path(__file__).resolve().parent.parent / "c2g_jax"
CLIPS = sorted((PACKAGE / "example").glob("*.mp4"))  # each with its truth in a .json


FOUND, MISSED, FALSE = "  found   ", "  missed  ", "false: "


def main(argv) -> None:
    del argv
    output, lines = Path(launch.OUTPUT.value or "demo"), []
    for clip in CLIPS:
        truth = read_scene_graph(clip.with_suffix(".json"))
        subjects = sorted({r.subject_id for r in truth.relations})
        graph = predict(clip, truth, subjects, output / clip.stem)
        lines += ["", f"{clip.name}: ground truth and predictions"]
        lines += compare(truth, graph, subjects)
    print("\n".join((*lines, "", summary(lines))))


def predict(
    clip: Path, truth: SceneGraph, subjects: list[int], output: Path
) -> SceneGraph:
    """Return the graph of one click on each subject; written to `output`."""
    output.mkdir(parents=True, exist_ok=True)
    clicks = output / "clicks.json"
    prompts = prompts_to_json([click(truth.object(i)) for i in subjects])
    clicks.write_text(json.dumps({"prompts": prompts}, indent=1))
    command = [
        *("-m", "c2g_jax.predict", f"--video={clip}", f"--prompts={clicks}"),
        f"--checkpoint={PACKAGE / 'toy_checkpoint'}",
        f"--output={output / 'graph'}",
    ]
    print("$ python", " ".join(command), flush=True)
    done = subprocess.run([sys.executable, *command], check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return read_scene_graph(output / "graph" / "scene_graph.json")


def summary(lines: list[str]) -> str:
    """Return the counts of the lines of `compare`."""
    found, missed, false = (
        sum(line.startswith(word) for line in lines) for word in (FOUND, MISSED, FALSE)
    )
    return f"{found} of {found + missed} relations found, {false} false"


def click(track: ObjectTrack) -> Prompt:
    """Return a click at the innermost point of an object on its first visible frame."""
    frame = min(track.masks)
    depth = interior_distance(decode_mask(track.masks[frame]))
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return Prompt(frame, track.object_id, [[x, y]])


def compare(truth: SceneGraph, graph: SceneGraph, subjects: list[int]) -> list[str]:
    """Return a line per subject, per true relation, and per false prediction."""
    lines, used = [], set()
    for subject in subjects:
        true = truth.object(subject)
        found = graph.object(subject)
        lines.append(
            f"{true.category} {subject}: predicted {found.category}, mask IoU "
            f"{overlap(true, found):.2f}"
        )
        for relation in [r for r in truth.relations if r.subject_id == subject]:
            other = truth.object(relation.object_id)
            wanted = f"{relation.predicate} {other.category}, frames {spans(relation)}"
            best = find_match(graph, relation, other)
            if best is None:
                lines.append(f"{MISSED}{wanted}")
                continue
            used.add(id(best))
            track = graph.object(best.object_id)
            lines.append(
                f"{FOUND}{wanted}: as {best.predicate} {track.category}, frames "
                f"{spans(best)}, mask IoU {overlap(other, track):.2f}"
            )
    for relation in graph.relations:
        if id(relation) not in used:
            names = [f"{graph.object(i).category} {i}" for i in _ends(relation)]
            lines.append(
                f"{FALSE}{names[0]} {relation.predicate} {names[1]}, frames "
                f"{spans(relation)}"
            )
    return lines


def find_match(
    graph: SceneGraph, true: Relation, other: ObjectTrack
) -> Relation | None:
    """Return the predicted relation with the same subject, predicate and object.

    The objects are the same if the IoU of their masks is at least 0.5.
    """
    same = [
        r
        for r in graph.relations
        if (r.subject_id, r.predicate) == (true.subject_id, true.predicate)
        and _shared_frames(r, true)
        and overlap(other, graph.object(r.object_id)) >= 0.5
    ]
    return max(same, key=lambda r: _shared_frames(r, true), default=None)


def overlap(true: ObjectTrack, found: ObjectTrack) -> float:
    """Return the mean mask IoU on the frames in which both are visible; 0 if none."""
    both = sorted(true.masks.keys() & found.masks.keys())
    ious = [mask_iou(true.masks[t], found.masks[t]) for t in both]
    return float(np.mean(ious)) if ious else 0.0


def spans(relation: Relation) -> str:
    return ", ".join(f"{first} to {last}" for first, last in relation.spans)


def _ends(relation: Relation) -> tuple[int, int]:
    return relation.subject_id, relation.object_id


def _shared_frames(one: Relation, other: Relation) -> int:
    return len(frames_of(one.spans) & frames_of(other.spans))


if __name__ == "__main__":
    launch.run(main)
