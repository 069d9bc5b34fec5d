"""Measure how well a SAM2.1 segments and tracks the objects of a prepared data set.

    python tools/segmenter.py --checkpoint=c2g_jax/toy_checkpoint --data_dir=data \
        --name=toy_pvsg

Prompted: on the middle frame of every second validation video, each object is segmented
separately, without memory, from a click on a random pixel and from its box; things
also by how much of their box other things cover. Tracked: in
every tenth video, all objects that take part in a relation are tracked from their true
masks on the first frame; the baseline keeps the mask of the first frame. All figures
are mean IoUs.
"""

from collections import defaultdict
from collections.abc import Iterator

import jax
import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from c2g_jax.checkpoints.pretrained import load_sam2
from c2g_jax.cli import launch
from c2g_jax.cli.launch import CHECKPOINT, DATA_DIR, NAME
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.model import Sam2
from c2g_jax.sam2.prompts import Prompts, pad_points
from c2g_jax.types import BOX_FIRST, BOX_SECOND, INSIDE, InputError

with launch.needing("train"):
    from c2g_jax.data.clips import square
    from c2g_jax.data.dataset import Dataset, open_dataset
    from c2g_jax.data.records import VideoRecord
    from c2g_jax.evaluation.scene_predictions import TrueFrame, overlaps

for _name in ("checkpoint", "data_dir", "name"):
    flags.declare_key_flag(_name)
AGES = ((1, 1), (2, 5), (6, 15), (16, 39))  # frames after the prompt, first to last
# Things, by the share of their box that other things cover, which is less than this.
CROWDS = {f"things, others below {x:.0%}": x for x in (0.01, 0.1, 0.25, 0.5, 1.0)}
KINDS = "all", "things", *CROWDS, "subjects"
MAX_OBJECTS = 16  # per frame; further objects are left out


def main(argv) -> None:
    del argv
    for flag in (CHECKPOINT, DATA_DIR):
        if not flag.value:
            raise InputError(f"--{flag.name} is missing")
    model = load_sam2(CHECKPOINT.value)
    dataset = open_dataset(DATA_DIR.value, NAME.value or "toy_pvsg")
    videos = dataset.videos("val")
    show_prompted(prompted_ious(model, dataset, videos[::2]))
    show_tracked(tracked_ious(model, dataset, videos[::10]))


def prompted_ious(model: Sam2, dataset: Dataset, videos) -> dict[str, list[np.ndarray]]:
    """Return {kind of object: rows of IoU by click, best of 3 candidates, box}."""
    rng, found = np.random.default_rng(0), defaultdict(list)
    segment = jax.jit(track.segment)
    for video in videos:
        frame, features, _ = encode(model, dataset, video, video.num_frames // 2)
        ids = [i for i in video.object_ids.tolist() if frame.areas[i]][:MAX_OBJECTS]
        scale = model.config.image_size / np.array([video.width, video.height])
        points, boxes = [], []
        for object_id in ids:
            y, x = np.nonzero(frame.segments == object_id)
            at = rng.integers(len(x))
            points.append((np.array([[x[at], y[at]]]) + 0.5, [INSIDE]))
            corners = np.array([[x.min(), y.min()], [x.max() + 1, y.max() + 1]])
            boxes.append((corners, [BOX_FIRST, BOX_SECOND]))
        masks = []
        for given in (points, boxes):
            given = [(coords * scale - 0.5, labels) for coords, labels in given]
            answer = segment(model, features, Prompts(*pad_points(given, MAX_OBJECTS)))
            masks.append(jax.device_get(answer))
        click, box = masks
        rows = np.stack(
            [
                own_ious(click.mask_logits, frame, ids),
                np.max([own_ious(m, frame, ids) for m in np.moveaxis(
                    click.candidates, 1, 0)], axis=0),
                own_ious(box.mask_logits, frame, ids),
            ],
            axis=1,
        )  # fmt: skip
        subjects = video.relations[video.valid_relations[:, frame.number], 0]
        for object_id, row in zip(ids, rows, strict=True):
            found["all"].append(row)
            if video.is_thing[video.row(object_id)]:
                found["things"].append(row)
                share = crowding(frame.segments, video, object_id)
                crowd = next(kind for kind, most in CROWDS.items() if share < most)
                found[crowd].append(row)
            if object_id in subjects:
                found["subjects"].append(row)
    return found


def crowding(segments: np.ndarray, video: VideoRecord, object_id: int) -> float:
    """Return the share of an object's box that other things cover."""
    y, x = np.nonzero(segments == object_id)
    box = segments[y.min() : y.max() + 1, x.min() : x.max() + 1]
    others = np.setdiff1d(video.object_ids[video.is_thing], [object_id])
    return float(np.isin(box, others).mean())


def tracked_ious(model: Sam2, dataset: Dataset, videos) -> dict[int, list[tuple]]:
    """Return {frames after the prompt: pairs of IoU, tracked and baseline}."""
    found = defaultdict(list)
    begin, step = jax.jit(track.segment_mask), jax.jit(track.track_step)
    remember = jax.jit(track.remember)
    for video in videos:
        first, features, small = encode(model, dataset, video, 0)
        named = np.unique(video.relations[:, :2])
        ids = [i for i in named.tolist() if first.areas[i]][:MAX_OBJECTS]
        truth = first.segments == np.array(ids)[:, None, None]
        shown = np.zeros((MAX_OBJECTS, *[model.config.image_size] * 2), np.float32)
        shown[: len(ids)] = small == np.array(ids)[:, None, None]
        here = np.arange(MAX_OBJECTS) < len(ids)
        answer = begin(model, features, shown)
        bank = memory.empty_bank(model.config, MAX_OBJECTS)
        bank = remember(model, bank, features, answer, np.int32(0), here, here)
        for t in range(1, video.num_frames):
            frame, features, _ = encode(model, dataset, video, t)
            bank, answer = step(model, bank, features, np.int32(t), here)
            tracked = own_ious(np.asarray(answer.mask_logits), frame, ids)
            for row, object_id in enumerate(ids):
                if frame.areas[object_id]:
                    there = frame.segments == object_id
                    union = np.sum(there | truth[row])
                    still = np.sum(there & truth[row]) / union
                    found[t].append((tracked[row], still))
    return found


def encode(model: Sam2, dataset: Dataset, video: VideoRecord, t: int):
    """Return the ground truth of a frame, its features, and ids at model resolution."""
    pictures, segments = dataset.read_frames(video, [t])
    seen = square(pictures, segments, model.config.image_size)
    features = track.encode_frame(model, seen["frames"][0])
    return TrueFrame(t, segments[0]), features, seen["segments"][0]


def own_ious(logits: np.ndarray, frame: TrueFrame, ids: list[int]) -> np.ndarray:
    """Return the IoU of each mask with its object, [n]; logits [>= n, h, w]."""
    return np.diag(overlaps(logits[: len(ids)], frame, ids))


def show_prompted(found: dict[str, list[np.ndarray]]) -> None:
    """Print the means of `prompted_ious`."""
    table = Table("mean IoU", "masks", "click", "click, best of 3", "box")
    for kind in KINDS:
        if rows := found.get(kind):
            means = (f"{x:.3f}" for x in np.mean(rows, axis=0))
            table.add_row(kind, str(len(rows)), *means)
    Console().print(table)


def show_tracked(found: dict[int, list[tuple]]) -> None:
    """Print the means of `tracked_ious`, by frames after the prompt."""
    table = Table("frames after the prompt", *(text for text in ages()))
    pairs = [
        np.mean([pair for t in range(first, last + 1) for pair in found[t]], axis=0)
        for first, last in AGES
    ]
    for row, name in enumerate(("tracked", "mask of the first frame")):
        table.add_row(name, *(f"{pair[row]:.3f}" for pair in pairs))
    Console().print(table)


def ages() -> Iterator[str]:
    for first, last in AGES:
        yield str(first) if first == last else f"{first} to {last}"


if __name__ == "__main__":
    launch.run(main)
