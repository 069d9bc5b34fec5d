"""Scoring the videos of a job: each is kept as soon as it is done."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.ceilings import video_ceiling
from c2g_jax.evaluation.document import make_document, provenance, write_document
from c2g_jax.evaluation.files import Work, score_files
from c2g_jax.evaluation.partial import appending
from c2g_jax.evaluation.plan import Plan
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.report import frame_progress

if TYPE_CHECKING:  # JAX is not needed for files
    from c2g_jax.click2graph.model import Click2Graph

Begin = Callable[[str, int], Callable[[int], None]]  # as `frame_progress` gives it


@dataclass(frozen=True)
class Job:
    """What to score and how, checked as far as it can be before the model runs."""

    dataset: Dataset
    protocol: Protocol
    videos: tuple[VideoRecord, ...]
    shard: tuple[int, int]
    tables: tuple[int, ...]
    plan: Plan  # of the model's runs; empty for files
    predictions: Path | None  # the files
    load_model: Callable[[], "Click2Graph"]
    output: Path
    fingerprint: Mapping[str, Any]
    origin: Mapping[str, Any]  # of the model or the files, for the results
    plots: bool


def score(job: Job, videos: Sequence[VideoRecord]) -> None:
    """Score the videos, and say what is kept where that is interrupted."""
    by_id, kept = {v.video_id: v for v in videos}, 0
    file = appending(job.output, job.shard, job.fingerprint)
    with file as append, frame_progress() as begin:
        try:
            for scores in _scores(job, videos, begin):
                ceiling = video_ceiling(by_id[scores["video"]], job.protocol)
                append({**scores, "ceiling": ceiling})
                kept += 1
        except KeyboardInterrupt:
            print(
                f"{kept} of {len(videos)} videos are scored and kept in {job.output}: "
                "the same command goes on from there",
                file=sys.stderr,
            )
            raise


def write_results(job: Job, scores: Sequence[Mapping], command: Sequence[str]) -> str:
    """Write the results of all videos to the output; gives the tables as a page.

    `command` are the words that asked for them.
    """
    document = make_document(
        job.dataset, job.protocol, scores, provenance(command, job.origin)
    )
    return write_document(document, job.output, job.tables, job.plots)


def _scores(job: Job, videos: Sequence[VideoRecord], begin: Begin) -> Iterator[dict]:
    if job.predictions:
        yield from _of_files(job, videos, begin)
        return
    from c2g_jax.evaluation.runner import score_model

    systems = tuple(dict.fromkeys(system for system, _ in job.plan))
    kinds = tuple(dict.fromkeys(kind for _, kind in job.plan))
    yield from score_model(
        job.load_model(),
        job.dataset,
        videos,
        job.protocol,
        systems,
        kinds,
        job.plan,
        begin("scored", sum(video.num_frames for video in videos)),
    )


def _of_files(job: Job, videos: Sequence[VideoRecord], begin: Begin) -> Iterator[dict]:
    work = Work()
    yield from score_files(
        job.predictions, job.dataset, videos, job.protocol, begin, work
    )
    if work.seconds:
        print(
            f"metrics alone: {work.frames:,} frames of subjects compared in "
            f"{work.seconds:.1f} s, {work.frames / work.seconds:,.0f} a second"
        )
