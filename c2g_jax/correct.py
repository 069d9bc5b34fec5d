r"""Measure the value of corrections: R@3 after simulated users corrected labels.

    python -m c2g_jax.correct --checkpoint=FOLDER --data_dir=data --name=toy_pvsg \
        --split=val --corrections=0,1,2,4 --output=DIR

A user clicks on every subject of a video on its first frame with a relation, lets the
session track, and then corrects the label that is wrong on most frames, n times.
DIR/corrections.json and .md hold, for 0, 1, 2 and 4 corrections per video, R@3 as in
c2g_jax.evaluate, the differences to no correction paired over videos with their
standard errors, and the same for relations none of whose labels the user gave.

The counts of a video are written to DIR/scores as soon as it is done; the same command
resumes from there after Ctrl-C or a kill.
"""

import contextlib
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from c2g_jax import __version__
from c2g_jax.cli import launch
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.cli.launch import (
    CHECKPOINT,
    DATA_DIR,
    DEFAULT_NAME,
    DISCOVER_EVERY,
    HEADS,
    IMAGE_SIZE,
    MAX_VIDEOS,
    NAME,
    OUTPUT,
    PRIOR,
    compute_dtype,
    computing,
)
from c2g_jax.click2graph.settings import NEUTRAL
from c2g_jax.export.report import frame_progress
from c2g_jax.media.outputs import check_output, write_text
from c2g_jax.types import InputError

with launch.needing("train"):
    from c2g_jax.data.dataset import Dataset, open_dataset, open_prepared
    from c2g_jax.data.records import VideoRecord
    from c2g_jax.evaluation import protocol_flags
    from c2g_jax.evaluation.job import annotations_sha256, read_scores, score_writer
    from c2g_jax.evaluation.protocol import Protocol

for _name in ("checkpoint", "data_dir", "name", "output", "max_videos", "image_size"):
    flags.declare_key_flag(_name)
for _name in (
    "dtype",
    "compilation_cache",
    "discover_every",
    "split",
    "heads",
    "prior_file",
):
    flags.declare_key_flag(_name)
CORRECTIONS = flags.DEFINE_list(
    "corrections", ["0", "1", "2", "4"], "Numbers of corrections per video to report."
)
ADAPT_WIDTH = flags.DEFINE_float(
    "adapt_width",
    None,
    "Width of a correction's effect in feature space; default: the checkpoint's.",
    0.01,
)
ADAPT_MARGIN = flags.DEFINE_float(
    "adapt_margin",
    None,
    "Margin of a corrected class, in logits; default: the checkpoint's.",
    0.0,
)


@dataclasses.dataclass(frozen=True)
class Job:
    """The job that the flags describe, checked before the model is loaded."""

    dataset: Dataset
    videos: tuple[VideoRecord, ...]
    protocol: Protocol
    counts: tuple[int, ...]
    adapt: Any  # AdaptConfig
    output: Path
    fingerprint: Mapping[str, Any]
    prior: Any = None  # Prior, with which positions in lists are measured


def main(argv: Sequence[str]) -> None:
    del argv
    job = read_job()
    scored = read_scores(job.output, job.fingerprint)
    left = [video for video in job.videos if video.video_id not in scored]
    if left:
        work(job, left)
        scored = read_scores(job.output, job.fingerprint)
    write_results(job, [scored[video.video_id] for video in job.videos])


def run() -> None:
    """For `python -m`."""
    launch.run(main)


def read_job() -> Job:
    """Read the job from the flags; InputError for flags that cannot be used."""
    if not OUTPUT.value:
        raise InputError("--output is missing: name a folder for the results")
    if not DATA_DIR.value:
        raise InputError("--data_dir is missing: name the folder of prepared data sets")
    if not CHECKPOINT.value:
        raise InputError("--checkpoint is missing: name a folder of weights")
    output = Path(OUTPUT.value)
    check_output(output)
    counts = read_counts(CORRECTIONS.value)
    protocol = Protocol(
        split=protocol_flags.protocol_from_flags().split,
        runs=1,
        discover_every=DISCOVER_EVERY.value,
    )
    dataset = open_dataset(DATA_DIR.value, NAME.value or DEFAULT_NAME)
    videos = dataset.videos(protocol.split)
    if not videos:
        raise InputError(
            f"{dataset.name} has no videos in {protocol.split}: use --split="
            + " or ".join(dataset.splits)
        )
    # JAX is not needed before.
    from c2g_jax.checkpoints.heads import heads_sha256, settings_in_use
    from c2g_jax.checkpoints.pretrained import find_checkpoint
    from c2g_jax.checkpoints.safetensors import read_manifest
    from c2g_jax.click2graph.settings import NARROW

    folder = find_checkpoint(CHECKPOINT.value)
    settings = settings_in_use(folder, HEADS.value)
    given = {"width": ADAPT_WIDTH.value, "margin": ADAPT_MARGIN.value}
    given = {name: x for name, x in given.items() if x is not None}
    adapt = NARROW if settings is None else settings.adapt
    adapt = dataclasses.replace(adapt, **given)
    fingerprint = {
        "protocol": dataclasses.asdict(protocol),
        "corrections": list(counts),
        "adapt": dataclasses.asdict(adapt),
        "data": {"name": dataset.name, "annotations": annotations_sha256(videos)},
        "model": {
            "checkpoint": read_manifest(folder)["sha256"],
            **heads_sha256(HEADS.value),
            "image_size": IMAGE_SIZE.value,
            "dtype": compute_dtype(),
        },
    }
    if settings is not None and settings.temperature != NEUTRAL:
        fingerprint["model"]["temperature"] = list(settings.temperature)
    prior = None
    if PRIOR.value is not None:
        from c2g_jax.click2graph.prior import read_prior

        prior = read_prior(PRIOR.value, dataset.vocabulary)
        fingerprint["prior"] = dict(prior.origin)
    videos = videos[: MAX_VIDEOS.value]
    return Job(dataset, videos, protocol, counts, adapt, output, fingerprint, prior)


def read_counts(words: Sequence[str]) -> tuple[int, ...]:
    """Parse numbers of corrections, ascending; 0, the baseline, is always included."""
    if not words or not all(word.isdecimal() for word in words):
        given = ",".join(words)
        raise InputError(f"--corrections={given}: give numbers from 0, as 0,1,2,4")
    return tuple(sorted({0, *map(int, words)}))


def work(job: Job, videos: Sequence[VideoRecord]) -> None:
    """Simulate users on the videos; write the counts of each as soon as it is done."""
    from c2g_jax.checkpoints.description import describe_weights
    from c2g_jax.checkpoints.heads import load_model
    from c2g_jax.checkpoints.pretrained import find_checkpoint
    from c2g_jax.correction.gains import video_gains
    from c2g_jax.correction.positions import PositionLog
    from c2g_jax.correction.simulate import read_truth, simulate
    from c2g_jax.session.session import Session

    keep_compiled()
    folder = find_checkpoint(CHECKPOINT.value)
    model, warning = load_model(
        folder,
        HEADS.value,
        image_size=IMAGE_SIZE.value,
        dtype=compute_dtype(),
        discover_every=job.protocol.discover_every,
        named=CHECKPOINT.value,
    )
    weights = describe_weights(folder, HEADS.value, CHECKPOINT.value)
    print(weights + computing(), file=sys.stderr)
    if warning is not None:
        print(warning, file=sys.stderr)
    if not model.config.trained:
        raise InputError("without guesses there is nothing to correct: give --heads")
    file = score_writer(job.output, (0, 1), job.fingerprint)
    with file as append, frame_progress() as begin:
        advance = begin("corrected", sum(video.num_frames for video in videos))
        for video in videos:
            truth = read_truth(job.dataset, video, job.protocol)
            frames = open_prepared(job.dataset, video)
            session = Session(frames, model, adapt=job.adapt)
            log = None if job.prior is None else PositionLog(job.prior)
            with contextlib.closing(session):
                outcomes = simulate(
                    session, truth, job.protocol, job.counts, *([log] if log else [])
                )
            gains = video_gains(outcomes, truth, job.protocol)
            found = {"video": video.video_id, "source": video.source, "after": gains}
            append(found if log is None else {**found, "positions": log.found})
            advance(video.num_frames)


def write_results(job: Job, scores: Sequence[Mapping]) -> None:
    """Write corrections.json and corrections.md, and print the table."""
    from c2g_jax.correction.gains import summary, table

    found = summary([score["after"] for score in scores])
    document = {
        "dataset": f"{job.dataset.name}/{job.protocol.split}",
        "videos": len(scores),
        "after corrections": found,
        "provenance": {"program": f"click2graph-jax {__version__}", **job.fingerprint},
    }
    page = table(found, job.protocol.ks[0])
    if job.prior is not None:
        from c2g_jax.correction import positions

        places = [place for score in scores for place in score["positions"]]
        document["positions"] = positions.summary(places)
        page += "\n" + positions.table(document["positions"])
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    job.output.mkdir(parents=True, exist_ok=True)
    for name, content in (("corrections.json", text), ("corrections.md", page)):
        write_text(job.output / name, content)
    print(page)
    print(f"{len(scores)} videos; written to {job.output}")


if __name__ == "__main__":
    run()
