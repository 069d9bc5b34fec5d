"""What computing in bfloat16 changes of tracked masks, beside float32.

    python -m benchmarks.bfloat16

Each object of the example clip is clicked on the first frame that shows it, and tracked
to the end, once in each type with the same weights. Shown are the share of an object's
pixels (those that either type gives it) that the two decide otherwise, and the mean IoU
of each with what was drawn.
"""

import collections
from pathlib import Path

import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

import c2g_jax
from c2g_jax import launch
from c2g_jax.export import read_scene_graph
from c2g_jax.launch import CHECKPOINT
from c2g_jax.pretrained import load_click2graph
from c2g_jax.prompts import interior_distance
from c2g_jax.rle import decode_mask
from c2g_jax.sam2.video_predictor import Sam2VideoPredictor
from c2g_jax.types import SceneGraph
from c2g_jax.video import open_video

flags.declare_key_flag("checkpoint")

_PACKAGE = Path(c2g_jax.__file__).parent
_EXAMPLE = _PACKAGE / "example"


def follow(dtype: str, truth: SceneGraph) -> dict[tuple[int, int], np.ndarray]:
    """{(frame, object): mask [h, w]} of each object, clicked where it is widest."""
    folder = CHECKPOINT.value or _PACKAGE / "toy_checkpoint"
    model, _ = load_click2graph(folder, dtype=dtype)
    predictor = Sam2VideoPredictor(model.sam2)
    frames = np.stack([f.rgb for f in open_video(_EXAMPLE / "example.mp4")])
    found = {}
    for track in truth.objects:
        state = predictor.init_state(frames)
        first = min(track.masks)
        depth = interior_distance(decode_mask(track.masks[first]))
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        predictor.add_new_points_or_box(state, first, 0, points=[[x, y]], labels=[1])
        for result in predictor.propagate_in_video(state):
            mask = np.asarray(result.masks)[0].squeeze() > 0
            found[result.frame_idx, track.object_id] = mask
    return found


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of two masks; 1 where both are empty."""
    union = (a | b).sum()
    return (a & b).sum() / union if union else 1.0


def main(argv) -> None:
    del argv
    truth = read_scene_graph(_EXAMPLE / "truth.json")
    single, half = (follow(dtype, truth) for dtype in ("float32", "bfloat16"))
    rows = collections.defaultdict(list)
    for (frame, object_id), mask in single.items():
        drawn = truth.object(object_id).masks.get(frame)
        if drawn is None:
            continue
        drawn, other = decode_mask(drawn), half[frame, object_id]
        figures = 1 - overlap(mask, other), overlap(mask, drawn), overlap(other, drawn)
        rows[object_id].append(figures)
    table = Table(title="bfloat16 beside float32, masks of the example clip")
    for name in (
        "object",
        "frames",
        "differ, mean",
        "differ, worst",
        "IoU",
        "IoU, bf16",
    ):
        table.add_column(name, justify="left" if name == "object" else "right")
    for object_id, figures in rows.items():
        differ, before, after = np.array(figures).T
        cells = (differ.mean(), differ.max(), before.mean(), after.mean())
        category = truth.object(object_id).category
        name = f"{object_id} {category}"
        table.add_row(name, str(len(figures)), *(f"{x:.4f}" for x in cells))
    Console(width=100).print(table)


if __name__ == "__main__":
    launch.run(main)
