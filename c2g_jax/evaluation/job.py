"""The evaluation job: score videos one by one, resumably.

The scores of each video are kept in OUTPUT/scores, so that a job can be resumed. Each
shard has a JSON Lines file: first the fingerprint of what is scored and how, then one
line for each video. An incomplete last line, left by a kill, is ignored. Processes that
share the folder read each other's scores, and write each to a file of its own.
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
from c2g_jax.evaluation.files import Throughput, score_files
from c2g_jax.evaluation.ground_truth import video_ceiling
from c2g_jax.evaluation.plan import Plan
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.report import Begin, frame_progress
from c2g_jax.media.json_lines import read_lines
from c2g_jax.training.config_files import differences
from c2g_jax.types import InputError

if TYPE_CHECKING:  # files are scored without JAX
    from c2g_jax.click2graph.model import Click2Graph


@dataclass(frozen=True)
class Job:
    """What to score and how; checked as far as possible without the model."""

    dataset: Dataset
    protocol: Protocol
    videos: tuple[VideoRecord, ...]
    shard: tuple[int, int]
    tables: tuple[int, ...]
    plan: Plan  # of the model's runs; empty for files
    predictions: Path | None  # folder of files to score in the place of a model
    load_model: Callable[[], "Click2Graph"]
    output: Path
    fingerprint: Mapping[str, Any]
    origin: Mapping[str, Any]  # of the model or the files, for results.json
    plots: bool
    memory: int | None = None  # bytes that trials take on a device; None: the default


def score(job: Job, videos: Sequence[VideoRecord]) -> None:
    """Score the videos and keep each as soon as it is done.

    On Ctrl-C prints how many are kept and re-raises KeyboardInterrupt.
    """
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
                "run the same command to resume",
                file=sys.stderr,
            )
            raise


def _scores(job: Job, videos: Sequence[VideoRecord], begin: Begin) -> Iterator[dict]:
    if not job.predictions:
        from c2g_jax.evaluation.runner import score_model

        total = sum(video.num_frames for video in videos)
        own = job.load_model(), job.dataset, videos, job.protocol, job.plan
        options = {} if job.memory is None else {"memory": job.memory}
        yield from score_model(*own, begin("scored", total), **options)
        return
    work = Throughput()
    yield from score_files(
        job.predictions, job.dataset, videos, job.protocol, begin, work
    )
    if work.seconds:
        print(
            f"metrics alone: {work.frames:,} subject frames in {work.seconds:.1f} s, "
            f"{work.frames / work.seconds:,.0f} a second"
        )


FOLDER = "scores"


def read_scores(output: Path, fingerprint: Mapping[str, Any]) -> dict[str, dict]:
    """Return {video: scores} of all shards; {} if there are none.

    Raises InputError for a damaged file, or another fingerprint, with the differences.
    """
    found: dict[str, dict] = {}
    for path in sorted((output / FOLDER).glob("*.jsonl")):
        lines = read_lines(path, "move it away, its videos are scored again")
        if lines:
            _check(path, lines[0], fingerprint)
        for line in lines[1:]:
            found.setdefault(line["video"], line)
    return found


@contextlib.contextmanager
def score_writer(
    output: Path, shard: tuple[int, int], fingerprint: Mapping[str, Any]
) -> Iterator[Callable[[Mapping], None]]:
    """Yield append(scores), which writes a video's scores to the shard's file.

    An incomplete last line is removed first. If nothing is appended, the file and new
    folders are removed again. Raises InputError if another process has the file.
    """
    path, new = output / FOLDER / f"{shard[0]}-of-{shard[1]}.jsonl", not output.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            # Unlike lockf, flock survives that this process opens the file elsewhere.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{path} is in use by another process: wait for it, or give each "
                "process a --shard of its own"
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
                with contextlib.suppress(OSError):  # other shards may have files
                    path.parent.rmdir()
                    if new:
                        output.rmdir()


def _write(file: TextIO, line: Mapping) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()  # survives a kill from here on


def _cut_torn_line(file: TextIO) -> None:
    data = Path(file.name).read_bytes()
    if data and not data.endswith(b"\n"):
        file.truncate(data.rfind(b"\n") + 1)


def _check(path: Path, head: Mapping, fingerprint: Mapping[str, Any]) -> None:
    apart = differences(fingerprint, head.get("fingerprint", {}))
    if apart:
        raise InputError(
            f"{path} was scored in another way: {'; '.join(apart)} (there -> now): "
            "change it back, remove that file, or use another --output"
        )


def annotations_sha256(videos: Iterable[VideoRecord]) -> str:
    """Hash everything of the videos that scores depend on, except the pixels."""
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
    """Hash names, sizes and times of a folder's predictions, not their contents."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*/*/*.json")):
        stat = path.stat()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
