"""The job: score the videos that were asked for, keep each, write the results of all.

Scores of single videos lie in OUTPUT/scores, so that long work is taken up again. A
file for each shard: a line that says what is scored and how, then a line a video. A
last line that was cut short by a kill counts for nothing. Processes that share the
folder see each other's videos, and each writes to a file of its own.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.document import make_document, provenance, write_document
from c2g_jax.evaluation.files import Throughput, score_files
from c2g_jax.evaluation.ground_truth import video_ceiling
from c2g_jax.evaluation.plan import Plan
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.report import frame_progress
from c2g_jax.media.json_lines import read_lines
from c2g_jax.training.config_files import differences
from c2g_jax.types import InputError

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
    file = score_writer(job.output, job.shard, job.fingerprint)
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

    yield from score_model(
        job.load_model(),
        job.dataset,
        videos,
        job.protocol,
        job.plan,
        begin("scored", sum(video.num_frames for video in videos)),
    )


def _of_files(job: Job, videos: Sequence[VideoRecord], begin: Begin) -> Iterator[dict]:
    work = Throughput()
    yield from score_files(
        job.predictions, job.dataset, videos, job.protocol, begin, work
    )
    if work.seconds:
        print(
            f"metrics alone: {work.frames:,} frames of subjects compared in "
            f"{work.seconds:.1f} s, {work.frames / work.seconds:,.0f} a second"
        )


FOLDER = "scores"


def read_scores(output: Path, fingerprint: Mapping[str, Any]) -> dict[str, dict]:
    """{video: scores} of all shards; {} where there are none.

    InputError where a file is damaged or has another fingerprint, with the difference.
    """
    found: dict[str, dict] = {}
    for path in sorted((output / FOLDER).glob("*.jsonl")):
        lines = _whole_lines(path)
        if lines:
            _check(path, lines[0], fingerprint)
        for line in lines[1:]:
            found.setdefault(line["video"], line)
    return found


@contextlib.contextmanager
def score_writer(
    output: Path, shard: tuple[int, int], fingerprint: Mapping[str, Any]
) -> Iterator[Callable[[Mapping], None]]:
    """Gives append(scores), for one process at a time; a torn last line goes.

    Without any scores there is no file, and no folder that is new. InputError where
    another process has it.
    """
    path, new = output / FOLDER / f"{shard[0]}-of-{shard[1]}.jsonl", not output.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            # Unlike lockf, kept while the same process reads the file elsewhere.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{path} is in use by another process: wait for it, or give each a "
                "--shard of its own"
            ) from error
        _cut_torn_line(file)

        def append(scores: Mapping) -> None:
            if not os.path.getsize(path):
                _write(file, {"fingerprint": fingerprint})
            _write(file, scores)

        try:
            yield append
        finally:
            if not os.path.getsize(path):
                path.unlink()
                with contextlib.suppress(OSError):  # others may have something there
                    path.parent.rmdir()
                    if new:
                        output.rmdir()


def _write(file: TextIO, line: Mapping) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()  # from here on a kill does not take it


def _cut_torn_line(file: TextIO) -> None:
    data = Path(file.name).read_bytes()
    if data and not data.endswith(b"\n"):
        file.truncate(data.rfind(b"\n") + 1)


def _whole_lines(path: Path) -> list[dict]:
    return read_lines(path, "move it away, what it held is scored anew")


def _check(path: Path, head: Mapping, fingerprint: Mapping[str, Any]) -> None:
    apart = differences(fingerprint, head.get("fingerprint", {}))
    if apart:
        raise InputError(
            f"{path} was scored in another way: {'; '.join(apart)} (there -> now): "
            "put it back, remove that file, or name another --output"
        )


def annotations_sha256(videos: Iterable[VideoRecord]) -> str:
    """Of all in the videos that scores depend on, but for the pixels."""
    digest = hashlib.sha256()
    for video in videos:
        shape = video.video_id, video.height, video.width, video.num_frames
        digest.update(repr(shape).encode())
        for table in (
            video.object_ids,
            video.categories,
            video.is_thing,
            video.visible,
            video.relations,
        ):
            digest.update(repr(table.shape).encode() + table.tobytes())
    return digest.hexdigest()


def files_sha256(folder: Path) -> str:
    """Of the names, sizes and times of a folder's predictions, which may be huge."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*/*/*.json")):
        told = path.stat()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {told.st_size} {told.st_mtime_ns}\n".encode())
    return digest.hexdigest()
