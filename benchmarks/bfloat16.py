"""How much tracked masks differ between bfloat16 and float32.

    python -m benchmarks.bfloat16

Each object of the example clip is clicked on its first visible frame and tracked to the
end, once in each type with the same weights. The table shows the share of an object's
pixels (the union of both masks) on which the two types differ, and the mean IoU of each
type with the ground truth.
"""

import collections

import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from c2g_jax.checkpoints.pretrained import load_click2graph
from c2g_jax.cli import launch
from c2g_jax.cli.launch import CHECKPOINT
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.rle import encode_mask, mask_iou
from c2g_jax.media.video import open_video
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from c2g_jax.types import SceneGraph
from tools.demo import PACKAGE, click

flags.declare_key_flag("checkpoint")

_TOY = PACKAGE / "toy_checkpoint"
CLIP = PACKAGE / "example" / "example.mp4"
TRUTH = CLIP.with_suffix(".json")


def track_objects(dtype: str, truth: SceneGraph) -> dict[tuple[int, int], dict]:
    """Return {(frame, object): run-length mask}; each object is tracked separately."""
    model, _ = load_click2graph(CHECKPOINT.value or _TOY, dtype=dtype)
    predictor = Sam2VideoPredictor(model.sam2)
    frames = np.stack([f.rgb for f in open_video(CLIP)])
    found = {}
    for track in truth.objects:
        state, prompt = predictor.init_state(frames), click(track)
        predictor.add_new_points_or_box(
            state, prompt.frame, track.object_id, points=prompt.points, labels=[1]
        )
        for result in predictor.propagate_in_video(state):
            mask = encode_mask(result.masks[0, 0] > 0)
            found[result.frame_idx, track.object_id] = mask
    return found


def main(argv) -> None:
    del argv
    truth = read_scene_graph(TRUTH)
    float32, bfloat16 = (
        track_objects(dtype, truth) for dtype in ("float32", "bfloat16")
    )
    rows = collections.defaultdict(list)
    for (frame, object_id), mask in float32.items():
        drawn = truth.object(object_id).masks.get(frame)
        if drawn is None:
            continue
        other = bfloat16[frame, object_id]
        # Two empty masks agree, although their IoU is undefined.
        agreement = 1.0 if mask == other else mask_iou(mask, other)
        ious = agreement, mask_iou(mask, drawn), mask_iou(other, drawn)
        rows[object_id].append(ious)
    table = Table(title="bfloat16 and float32, masks of the example clip")
    shown = "frames", "differ, mean", "differ, worst", "IoU", "IoU, bf16"
    for name in ("object", *shown):
        table.add_column(name, justify="left" if name == "object" else "right")
    for object_id, figures in rows.items():
        agreement, before, after = np.array(figures).T
        differ = 1 - agreement
        cells = (differ.mean(), differ.max(), before.mean(), after.mean())
        category = truth.object(object_id).category
        name = f"{object_id} {category}"
        table.add_row(name, str(len(figures)), *(f"{x:.4f}" for x in cells))
    Console(width=100).print(table)


if __name__ == "__main__":
    launch.run(main)
