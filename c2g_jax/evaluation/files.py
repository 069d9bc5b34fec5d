"""Scoring predictions that lie in files, of any system: VIDEO/SUBJECT/RUN.json.

Each file is a `scene_graph.json` whose only prompted object is the subject; SUBJECT is
its object_id in the data set, RUN counts from 0. `frames` holds the predictions that
R@K, SpIR and PLR judge, `relations` those that PVSG's metric does, `run` names the
prompt. A graph that nobody prompted goes to VIDEO/all/RUN.json, for that metric alone.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.ground_truth import prompt_frame, scored_truth, video_truth
from c2g_jax.evaluation.metrics import score_prompt
from c2g_jax.evaluation.overlaps import coded_frames
from c2g_jax.evaluation.predictions import (
    LabelIds,
    overlap_of_masks,
    predictions_of_graph,
    relations_of_graph,
)
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.rle import check_code
from c2g_jax.types import InputError, SceneGraph

EVERYTHING = "all"  # in the place of a subject
SLACK = 8  # frames by which a video may decode shorter or longer than the annotation
UNNAMED = "prompt"  # the kind of prompt where `run` does not tell


@dataclass(frozen=True)
class PredictionFile:
    video_id: str
    subject: int | None  # None: the whole graph
    run: int
    path: Path


@dataclass
class Throughput:
    """How much was compared, and in what time; reading files and frames is apart."""

    frames: int = 0
    seconds: float = 0.0


def find_files(folder: str | Path) -> list[PredictionFile]:
    """All VIDEO/SUBJECT/RUN.json in a folder; InputError for names that are none."""
    found = []
    for path in sorted(Path(folder).glob("*/*/*.json")):
        subject, run = path.parent.name, path.stem
        if not run.isdecimal() or not (subject.isdecimal() or subject == EVERYTHING):
            raise InputError(
                f"{path}: name it VIDEO/SUBJECT/RUN.json, the subject's object_id and "
                "the number of the run"
            )
        number = None if subject == EVERYTHING else int(subject)
        found.append(PredictionFile(path.parent.parent.name, number, int(run), path))
    if not found:
        raise InputError(f"{folder}: no VIDEO/SUBJECT/RUN.json in it: check the folder")
    return found


def score_files(
    folder: str | Path,
    dataset: Dataset,
    videos: Sequence[VideoRecord],
    protocol: Protocol,
    begin: Callable[[str, int], Callable[[int], object]] = lambda *_: lambda frames: 0,
    work: Throughput | None = None,
) -> Iterator[dict]:
    """The scores of each of some videos of the split, as `results` adds them up.

    A subject or a video without a file counts as found nothing, and in "missing";
    "nothing" has the counts of that, for which kinds there are is known at the end.
    `begin` is that of `report.frame_progress`. InputError, before the first scores, for
    any file of the folder that cannot be scored.
    """
    work = work or Throughput()
    files, names = find_files(folder), LabelIds(dataset.vocabulary)
    _check_files(files, dataset, names, protocol, begin)
    runs = sorted({f.run for f in files})
    advance = begin("scored", sum(video.num_frames for video in videos))
    for video in videos:
        own = [f for f in files if f.video_id == video.video_id]
        yield _score_video(dataset, video, own, runs, names, protocol, work)
        advance(video.num_frames)


def _check_files(
    files: Sequence[PredictionFile],
    dataset: Dataset,
    names: LabelIds,
    protocol: Protocol,
    begin: Callable[[str, int], Callable[[int], object]],
) -> None:
    """Read all files once, those of other videos too, and refuse what is wrong.

    The scores of the others would be lost with it: they are of a folder as it was, and
    mending a file makes another one of it.
    """
    known = {v.video_id: v for v in dataset.videos(protocol.split)}
    for file in files:
        _check_place(
            file, known.get(file.video_id), f"{protocol.split} of {dataset.name}"
        )
    advance = begin("checked", sum(known[f.video_id].num_frames for f in files))
    for file in files:
        graph, video = read_scene_graph(file.path), known[file.video_id]
        _check(graph, video, file)
        _check_parts(graph, names, file)
        advance(video.num_frames)


def _check_place(file: PredictionFile, video: VideoRecord | None, split: str) -> None:
    """InputError for a file that nothing would be compared with."""
    if video is None:
        raise InputError(
            f"{file.path}: {file.video_id} is no video of {split}: remove it, or give "
            "another --split"
        )
    subjects = np.unique(video.relations[:, 0]).tolist()
    if file.subject is not None and file.subject not in subjects:
        raise InputError(
            f"{file.path}: object {file.subject} is the subject of no relation there: "
            f"remove it, or name it by its subject, of {subjects}"
        )


def _score_video(
    dataset: Dataset,
    video: VideoRecord,
    files: Sequence[PredictionFile],
    runs: Sequence[int],
    names: LabelIds,
    protocol: Protocol,
    work: Throughput,
) -> dict:
    truth = video_truth(video, protocol)
    records = pvsg_official.true_relations(video)
    by_place = {(f.subject, f.run): f for f in files}
    subjects = {t.subject_id: t for t in truth.subjects}
    wanted = sorted({int(t) for record in records for t in record.frames})
    ids = {i for r in records for i in (r.subject_id, r.object_id)}
    coded = dict(coded_frames(dataset, video, wanted, ids))
    system: dict = defaultdict(lambda: {"subjects": defaultdict(dict), "official": {}})
    missing = Counter()
    for run in runs:
        claims, tracks = defaultdict(list), {}
        for subject_id in (*subjects, None):
            file = by_place.get((subject_id, run))
            if file is None:
                missing[run] += subject_id is not None
                continue
            graph = read_scene_graph(file.path)
            kind = str(graph.run.get("prompt", UNNAMED))
            claims[kind] += relations_of_graph(graph, names, subject_id)
            tracks |= {(subject_id, o.object_id): o.masks for o in graph.objects}
            if subject_id is not None:
                own = subjects[subject_id]
                began = time.perf_counter()
                prompt = prompt_frame(video, own, run, protocol)
                part = scored_truth(own, prompt, protocol)
                speaker = graph.frames[0].subject_id
                guesses = predictions_of_graph(
                    graph, speaker, part, coded, names, protocol
                )
                counts = score_prompt(own, guesses, prompt, protocol)
                work.seconds += time.perf_counter() - began
                work.frames += len(part.frames)
                system[kind]["subjects"][subject_id][run] = counts
        overlap = overlap_of_masks(tracks, coded, video.num_frames)
        for kind, own_claims in claims.items():
            counts = pvsg_official.score_video(records, own_claims, overlap)
            system[kind]["official"][run] = counts
    return {
        "video": video.video_id,
        "source": video.source,
        "truth": truth.counts,
        "missing": dict(missing),
        "nothing": _nothing(video, subjects, records, runs, protocol),
        "systems": {"predictions": {k: dict(v) for k, v in system.items()}},
    }


def _nothing(video, subjects, records, runs, protocol) -> dict:
    """Counts without hits, for subjects and runs that have no file."""
    found: dict = {
        "subjects": defaultdict(dict),
        "official": pvsg_official.score_video(records, [], lambda *_: np.zeros(0)),
    }
    for subject_id, own in subjects.items():
        for run in runs:
            prompt = prompt_frame(video, own, run, protocol)
            counts = score_prompt(own, (), prompt, protocol)
            del counts["prompts"]
            found["subjects"][subject_id][run] = counts
    return found


def _check(graph: SceneGraph, video: VideoRecord, file: PredictionFile) -> None:
    size = graph.video.width, graph.video.height
    if size != (video.width, video.height):
        raise InputError(
            f"{file.path}: made at {size[0]}x{size[1]} but the video is "
            f"{video.width}x{video.height}: predict at the size of the video"
        )
    if abs(graph.video.num_frames - video.num_frames) > SLACK:
        raise InputError(
            f"{file.path}: has {graph.video.num_frames} frames but the video "
            f"{video.num_frames}: predict all of it, at {video.fps:g} frames a second"
        )
    index = graph.run.get("index", file.run)
    if index != file.run:
        raise InputError(f"{file.path}: it says that it is run {index}: rename it")


def _check_parts(graph: SceneGraph, names: LabelIds, file: PredictionFile) -> None:
    """InputError for masks, relations and guesses that nothing can be made of."""
    height, width = graph.video.height, graph.video.width
    try:
        for track in graph.objects:
            for t, code in track.masks.items():
                check_code(code)
                if list(code["size"]) != [height, width]:
                    raise ValueError(f"a mask of frame {t} is not {width}x{height}")
        said = [guess for entry in graph.frames for guess in entry.triplets]
        for guess in said:
            names.object(guess.subject_category)
            names.object(guess.object_category)
            names.predicate(guess.predicate)
        claims = relations_of_graph(graph, names, None)
        shares = [c.score for c in claims] + [guess.confidence for guess in said]
        if not np.isfinite(np.array(shares, float)).all():
            raise ValueError("a score that is no number")
        np.array([guess.object_id for guess in said], int)
        np.array([(entry.frame, entry.subject_id) for entry in graph.frames], int)
    # What JSON may hold in the place of each of these.
    except (
        LookupError, TypeError, ValueError, ArithmeticError, AttributeError
    ) as error:  # fmt: skip
        raise InputError(
            f"{file.path}: not a whole scene graph ({type(error).__name__}: {error}): "
            "write it anew with predict"
        ) from None
    if file.subject is None:
        return
    if not graph.frames:
        raise InputError(
            f'{file.path}: it has no "frames", the predictions of single frames: '
            "write them, or give the graph as VIDEO/all/RUN.json"
        )
    speakers = {entry.subject_id for entry in graph.frames}
    if len(speakers) > 1:
        raise InputError(
            f'{file.path}: its "frames" speak of {len(speakers)} subjects: '
            "write one file for each prompted subject"
        )
