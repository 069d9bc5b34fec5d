"""Time the scoring of a model on a few videos, compared with a plain loop.

    python -m benchmarks.evaluation --videos=2 --runs=4

The plain loop goes through a video once for each subject and run, and encodes every
frame each time; ours encodes each frame once for all of them. Both score a randomly
initialised model of the toy size, at 64 pixels without --image_size, on synthetic
videos, after a round that compiles; their counts are compared. The metrics alone, from
masks of the model's size to counts, are timed apart.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from benchmarks.measures import check_json, record
from c2g_jax.checkpoints.pretrained import seeded_click2graph
from c2g_jax.cli import launch
from c2g_jax.cli.launch import DATA_DIR, IMAGE_SIZE, NAME
from c2g_jax.click2graph.model import Scene, click2graph_config
from c2g_jax.click2graph.sch import BestTriplet
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.track import Segmentation

with launch.needing("train"):
    from benchmarks.encodings import Encodings
    from c2g_jax.data.dataset import Dataset, open_dataset
    from c2g_jax.data.records import VideoRecord
    from c2g_jax.evaluation.ground_truth import video_truth
    from c2g_jax.evaluation.metrics import score_prompt, score_subject
    from c2g_jax.evaluation.protocol import Protocol
    from c2g_jax.evaluation.runner import TrialPredictions, follow_video, scoring_model
    from c2g_jax.evaluation.scene_predictions import (
        ClassIds,
        SubjectRows,
        TrueFrame,
        predictions_of_scene,
    )
    from c2g_jax.evaluation.trials import BATCH, TrackingPass, Trial, trials_of

for _name in ("data_dir", "name", "image_size"):
    flags.declare_key_flag(_name)
VIDEOS = flags.DEFINE_integer("videos", 2, "Videos to score.", 1)
RUNS = flags.DEFINE_integer("runs", 4, "Runs of each subject.", 1)
ROUNDS = flags.DEFINE_integer("rounds", 1, "Interleaved rounds that count.", 1)
flags.declare_key_flag("json")


def open_videos(folder: str) -> tuple[Dataset, tuple[VideoRecord, ...]]:
    """Open the videos given by the flags, or generate synthetic ones."""
    if DATA_DIR.value:
        dataset = open_dataset(DATA_DIR.value, NAME.value or "toy_pvsg")
    else:
        root = Path(__file__).resolve().parent.parent / "datasets"
        sys.path.insert(0, str(root))
        from open_pvsg.build import build
        from toy_pvsg.generate import generate

        download, data = Path(folder) / "download", Path(folder) / "data"
        generate(download, size="tiny", seed=0)
        configs = ("videos", "default")
        build(download, data, name="toy_pvsg", configs=configs, workers=1)
        dataset = open_dataset(data, "toy_pvsg")
    return dataset, dataset.videos("val")[: VIDEOS.value]


def hits(predictions: TrialPredictions, protocol: Protocol) -> Counter:
    """Add up all counts of all trials, except the sum of IoUs, which is rounded."""
    total = Counter()
    for trial, own in predictions.items():
        total.update(score_prompt(trial.truth, own, trial.frame, protocol))
    del total["subject IoU"]
    return total


def metric_alone(dataset: Dataset, video: VideoRecord, protocol: Protocol, model):
    """Return subject frames a second, from the logits of true masks to counts."""
    size = model.config.sam2.low_res_size
    segments = dataset.read_masks(video, range(video.num_frames))
    rows = np.arange(size) * video.height // size
    columns = np.arange(size) * video.width // size
    classes = ClassIds(model.config, dataset.vocabulary)
    frames = [TrueFrame(t, picture) for t, picture in enumerate(segments)]
    truths = video_truth(video, protocol).subjects
    scenes = {
        (truth, t): _true_scene(truth, segments[t][np.ix_(rows, columns)])
        for truth in truths
        for t in truth.frames.tolist()
    }
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < 2:
        for truth in truths:
            predictions = [
                predictions_of_scene(
                    *scenes[truth, t], truth, frames[t], classes, protocol, None
                )
                for t in truth.frames.tolist()
            ]
            score_subject(truth, predictions, int(truth.frames[0]), protocol)
            done += len(predictions)
    return done / (time.perf_counter() - began)


def _true_scene(truth, small: np.ndarray) -> tuple[Scene, SubjectRows]:
    """Build a scene of a subject and three objects; small uint8 [h, w] are ids."""
    ids = [truth.subject_id, *np.resize(truth.objects, 3).tolist()]
    logits = np.stack([np.where(small == i, 8, -8).astype(np.float32) for i in ids])
    zeros = np.zeros(4, int)
    best = BestTriplet(zeros, zeros, zeros, np.full(4, 0.5))
    segmentation = Segmentation(logits, zeros, zeros, zeros, None, None)
    points = np.full((3, 2), 0.5, np.float32)
    scene = Scene(points, segmentation, logits.sum((1, 2)), np.eye(4), best)
    return scene, SubjectRows(0, (1, 2, 3), (1, 2, 3), points)


def measure(dataset: Dataset, videos, protocol: Protocol, model) -> dict:
    """Return {side: {"seconds", "encodings"}} over all videos, and the trials."""
    encodings = Encodings()
    scoring, trials = scoring_model(model, protocol), {}
    for video in videos:
        parts = {("didm", "point"): protocol.runs}
        truth = video_truth(video, protocol)
        trials[video.video_id] = trials_of(video, truth, parts, protocol)

    def follow(video: VideoRecord, some: list[Trial], batch: int) -> TrialPredictions:
        forward = TrackingPass(scoring, dataset, video, some, {}, protocol, batch)
        return follow_video(forward)

    def ours() -> Counter:
        total = Counter()
        for video in videos:
            found = follow(video, trials[video.video_id], BATCH)
            total.update(hits(found, protocol))
        return total

    def plain() -> Counter:
        total = Counter()
        for video in videos:
            for trial in trials[video.video_id]:
                total.update(hits(follow(video, [trial], 1), protocol))
        return total

    sides = {"ours": ours, "plain loop": plain}
    found = {name: {"seconds": [], "encodings": 0} for name in sides}
    for _ in range(1 + ROUNDS.value):  # the first one compiles
        for name, run in sides.items():
            encodings.count, began = 0, time.perf_counter()
            found[name]["hits"] = run()
            found[name]["seconds"].append(time.perf_counter() - began)
            found[name]["encodings"] = encodings.count
    for side in found.values():
        side["compiling round"] = side["seconds"].pop(0)
    return found | {"trials": sum(map(len, trials.values()))}


def report(figures: dict) -> None:
    ours, plain = figures["ours"], figures["plain loop"]
    table = Table("", "ours", "plain loop", "ratio")
    for name, form in (("seconds", "{:.1f}"), ("encodings", "{}")):
        one, other = (
            statistics.median(side[name]) if name == "seconds" else side[name]
            for side in (ours, plain)
        )
        ratio = f"{other / one:.1f}"
        table.add_row(name, form.format(one), form.format(other), ratio)
    console = Console()
    console.print(f"{figures['trials']} trials (subjects x runs)")
    console.print(table)
    console.print(f"equal counts: {ours['hits'] == plain['hits']}")
    console.print(
        f"metrics alone: {figures['metric frames a second']:,.0f} frames of a subject "
        "with three objects a second"
    )


def main(argv) -> None:
    del argv
    check_json()
    protocol = Protocol(runs=RUNS.value)
    with tempfile.TemporaryDirectory() as folder:
        dataset, videos = open_videos(folder)
        sam2 = sam2_config("toy", IMAGE_SIZE.value or 64)
        model = seeded_click2graph(click2graph_config(sam2, dataset.vocabulary), 0)
        figures = measure(dataset, videos, protocol, model)
        figures["metric frames a second"] = metric_alone(
            dataset, videos[0], protocol, model
        )
    report(figures)
    record("evaluation", figures)


if __name__ == "__main__":
    launch.run(main)
