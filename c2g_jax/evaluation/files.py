"""Score the predictions of any system from files VIDEO/SUBJECT/RUN.json.

Each file is a `scene_graph.json` whose only prompted object is the subject. SUBJECT is
its object_id in the data set, RUN counts from 0. R@K, SpIR and PLR score "frames", the
PVSG metric scores "relations"; "run" names the kind of prompt. The graph of a system
without prompts is VIDEO/all/RUN.json: its subjects are scored together
(`all_subjects`), frames from its "frames", whole relations from its "relations". If
the graphs of a kind of prompt have no "frames", only whole relations are scored.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.all_subjects import score_all_ways
from c2g_jax.evaluation.counting import ALL, ONE
from c2g_jax.evaluation.ground_truth import prompt_frame, scored_truth, video_truth
from c2g_jax.evaluation.metrics import score_prompt
from c2g_jax.evaluation.overlaps import coded_frames
from c2g_jax.evaluation.predictions import (
    LabelIds,
    overlap_of_masks,
    predictions_of_graph,
    relations_of_graph,
    subjects_of_graph,
    triplets_of_graph,
)
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.report import Begin
from c2g_jax.export.scene_graph_json import read_scene_graph
from c2g_jax.media.rle import check_code
from c2g_jax.types import InputError, SceneGraph

EVERYTHING = "all"  # in the place of SUBJECT
SLACK = 8  # frames by which a decoded video may be shorter or longer than annotated
UNNAMED = "prompt"  # the kind of prompt, if "run" does not name one


@dataclass(frozen=True)
class PredictionFile:
    """One file, by its place in the folder."""

    video_id: str
    subject: int | None  # None: the whole graph
    run: int
    path: Path


@dataclass
class Throughput:
    """Work and time of the metrics alone, without reading files and frames."""

    frames: int = 0  # of subjects
    seconds: float = 0.0


def find_files(folder: str | Path) -> list[PredictionFile]:
    """Return all VIDEO/SUBJECT/RUN.json of a folder.

    Raises InputError for files with other names, and for a folder without any.
    """
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
    begin: Begin = lambda *_: lambda frames: 0,
    work: Throughput | None = None,
) -> Iterator[dict]:
    """Yield the scores of each of `videos`, as input of `results.summarise`.

    A run without a file counts as a run without hits, and in "missing". Its counts are
    in "nothing", since the kinds of prompt are known only when all videos are scored.
    Raises InputError, before the first scores, for any file of the folder that cannot
    be scored.
    """
    work = work or Throughput()
    files, names = find_files(folder), LabelIds(dataset.vocabulary)
    whole = _check_files(files, dataset, names, protocol, begin)
    runs = sorted({f.run for f in files})
    advance = begin("scored", sum(video.num_frames for video in videos))
    for video in videos:
        own = [f for f in files if f.video_id == video.video_id]
        yield _score_video(dataset, video, own, runs, names, protocol, whole, work)
        advance(video.num_frames)


def _check_files(
    files: Sequence[PredictionFile],
    dataset: Dataset,
    names: LabelIds,
    protocol: Protocol,
    begin: Begin,
) -> set[str]:
    """Read all files once, also those of other videos; raises InputError for any fault.

    Returns the kinds of prompt whose files predict whole relations alone. Scores are
    kept with a hash of the folder: if a faulty file were found later, fixing
    it would invalidate the scores of all others.
    """
    known = {v.video_id: v for v in dataset.videos(protocol.split)}
    for file in files:
        _check_place(
            file, known.get(file.video_id), f"{protocol.split} of {dataset.name}"
        )
    advance = begin("checked", sum(known[f.video_id].num_frames for f in files))
    by_frame, whole = set(), {}
    for file in files:
        graph, video = read_scene_graph(file.path), known[file.video_id]
        _check_video(graph, video, file)
        _check_parts(graph, names, file)
        if graph.frames:
            by_frame.add(_kind(graph))
        elif graph.relations:
            whole.setdefault(_kind(graph), file.path)
        advance(video.num_frames)
    for kind in by_frame & whole.keys():
        raise InputError(
            f'{whole[kind]}: has "relations" but no "frames", which other files of the '
            f"prompt {kind!r} have: write them in all of these files or in none"
        )
    return set(whole)


def _check_place(file: PredictionFile, video: VideoRecord | None, split: str) -> None:
    """Raise InputError for a file of an unknown video or subject."""
    if video is None:
        raise InputError(
            f"{file.path}: {file.video_id} is no video of {split}: remove the file, or "
            "use another --split"
        )
    subjects = np.unique(video.relations[:, 0]).tolist()
    if file.subject is not None and file.subject not in subjects:
        raise InputError(
            f"{file.path}: object {file.subject} is the subject of no relation of the "
            f"video: remove the file, or name it by one of {subjects}"
        )


def _score_video(
    dataset: Dataset,
    video: VideoRecord,
    files: Sequence[PredictionFile],
    runs: Sequence[int],
    names: LabelIds,
    protocol: Protocol,
    whole: Collection[str],
    work: Throughput,
) -> dict:
    truth = video_truth(video, protocol)
    records = pvsg_official.true_relations(video)
    by_place = {(f.subject, f.run): f for f in files}
    subjects = {t.subject_id: t for t in truth.subjects}
    wanted = sorted({int(t) for record in records for t in record.frames})
    ids = {i for r in records for i in (r.subject_id, r.object_id)}
    coded = dict(coded_frames(dataset, video, wanted, ids))
    system: dict = defaultdict(
        lambda: {"subjects": defaultdict(dict), "official": {}, "ways": {}}
    )
    missing = Counter()
    for run in runs:
        relations, tracks = defaultdict(list), {}
        triplets: dict = defaultdict(lambda: defaultdict(list))
        shown: dict = defaultdict(list)  # the predicted subjects' tracks
        for subject_id in (*subjects, None):
            file = by_place.get((subject_id, run))
            if file is None:
                missing[run] += subject_id is not None
                continue
            graph = read_scene_graph(file.path)
            kind = _kind(graph)
            relations[kind] += relations_of_graph(graph, names, subject_id)
            tracks |= {(subject_id, o.object_id): o.masks for o in graph.objects}
            shown[kind] += [(subject_id, i) for i in subjects_of_graph(graph)]
            for t, here in triplets_of_graph(graph, names, subject_id).items():
                triplets[kind][t] += here
            if subject_id is not None:
                own = subjects[subject_id]
                began = time.perf_counter()
                prompt = prompt_frame(video, own, run, protocol)
                part = scored_truth(own, prompt, protocol)
                shown_id = graph.frames[0].subject_id  # in the file
                predictions = predictions_of_graph(
                    graph, shown_id, part, coded, names, protocol
                )
                counts = score_prompt(own, predictions, prompt, protocol)
                work.seconds += time.perf_counter() - began
                work.frames += len(part.frames)
                system[kind]["subjects"][subject_id][run] = counts
        overlap = overlap_of_masks(tracks, coded, video.num_frames)
        for kind, predicted in relations.items():
            counts = pvsg_official.score_video(records, predicted, overlap)
            system[kind]["official"][run] = counts
            system[kind]["ways"][run] = score_all_ways(
                records,
                {ONE: predicted, ALL: predicted},
                None if kind in whole else triplets[kind],
                shown[kind],
                overlap,
            )
    return {
        "video": video.video_id,
        "source": video.source,
        "truth": truth.counts,
        "missing": dict(missing),
        "nothing": _nothing(video, subjects, records, runs, protocol),
        "systems": {"predictions": {k: dict(v) for k, v in system.items()}},
    }


def _kind(graph: SceneGraph) -> str:
    """The kind of prompt of a file."""
    return str(graph.run.get("prompt", UNNAMED))


def _nothing(video, subjects, records, runs, protocol) -> dict:
    """Return the counts of every subject and run as if it had no file: no hits."""
    found: dict = {
        "subjects": defaultdict(dict),
        "official": pvsg_official.score_video(records, [], _no_overlap),
        "ways": score_all_ways(records, {ONE: [], ALL: []}, {}, [], _no_overlap),
    }
    for subject_id, own in subjects.items():
        for run in runs:
            prompt = prompt_frame(video, own, run, protocol)
            counts = score_prompt(own, (), prompt, protocol)
            del counts["prompts"]
            found["subjects"][subject_id][run] = counts
    return found


def _no_overlap(track: Hashable, object_id: int) -> np.ndarray:
    return np.zeros(0)


def _check_video(graph: SceneGraph, video: VideoRecord, file: PredictionFile) -> None:
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
        raise InputError(f'{file.path}: its "run" has index {index}: rename the file')


def _check_parts(graph: SceneGraph, names: LabelIds, file: PredictionFile) -> None:
    """Raise InputError for masks, relations and predictions that are malformed."""
    height, width = graph.video.height, graph.video.width
    try:
        for track in graph.objects:
            for t, code in track.masks.items():
                check_code(code)
                if list(code["size"]) != [height, width]:
                    raise ValueError(f"a mask of frame {t} is not {width}x{height}")
        triplets = [x for entry in graph.frames for x in entry.triplets]
        for x in triplets:
            names.object(x.subject_category)
            names.object(x.object_category)
            names.predicate(x.predicate)
        relations = relations_of_graph(graph, names, None)
        scores = [r.score for r in relations] + [x.confidence for x in triplets]
        if not np.isfinite(np.array(scores, float)).all():
            raise ValueError("a score is not a finite number")
        np.array([x.object_id for x in triplets], int)
        np.array([(entry.frame, entry.subject_id) for entry in graph.frames], int)
    # JSON may hold values of any type in each of these places.
    except (
        LookupError, TypeError, ValueError, ArithmeticError, AttributeError
    ) as error:  # fmt: skip
        raise InputError(
            f"{file.path}: not a valid scene graph ({type(error).__name__}: {error}): "
            "write it again with predict"
        ) from None
    if file.subject is None:
        return
    if not graph.frames:
        raise InputError(
            f'{file.path}: has no "frames", the predictions on single frames: '
            "write them, or name the file VIDEO/all/RUN.json"
        )
    subjects = {entry.subject_id for entry in graph.frames}
    if len(subjects) > 1:
        raise InputError(
            f'{file.path}: its "frames" have {len(subjects)} subjects: '
            "write one file for each prompted subject"
        )
