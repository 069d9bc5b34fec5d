"""Files with perfect predictions: the ground truth as scene graphs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.ground_truth import SubjectTruth, video_truth
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.scene_graph_json import write_scene_graph
from c2g_jax.media.rle import encode_mask
from c2g_jax.types import (
    ObjectTrack,
    Relation,
    SceneGraph,
    SubjectFrame,
    Triplet,
    VideoInfo,
)


def write_truth(
    folder: Path, dataset: Dataset, videos: Sequence[VideoRecord], runs: int = 1
) -> None:
    """VIDEO/SUBJECT/RUN.json of every subject of the videos, from the ground truth."""
    for video in videos:
        segments = dataset.read(video, 0, video.num_frames)[1]
        for truth in video_truth(video, Protocol()).subjects:
            for run in range(runs):
                graph = true_graph(dataset, video, segments, truth, run)
                path = folder / video.video_id / str(truth.subject_id) / f"{run}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_scene_graph(path, graph)


def true_graph(
    dataset: Dataset,
    video: VideoRecord,
    segments: np.ndarray,
    truth: SubjectTruth,
    run: int,
) -> SceneGraph:
    """Build the graph of one subject's relations; segments uint8 [t, H, W]."""
    names, times = dataset.vocabulary, range(video.num_frames)
    objects = [truth.subject_id, *truth.objects.tolist()]
    seen = {i: np.flatnonzero(video.visible_mask(i)).tolist() for i in objects}
    tracks = tuple(
        ObjectTrack(
            i,
            names.objects[video.category(i)],
            1.0,
            None if i == truth.subject_id else truth.subject_id,
            {t: encode_mask(segments[t] == i) for t in seen[i]},
        )
        for i in objects
    )
    relations = tuple(
        Relation(subject, other, names.predicates[predicate], ((start, end),), 0.5)
        for subject, other, predicate, start, end in video.relations.tolist()
        if subject == truth.subject_id
    )
    frames = tuple(_said(dataset, truth, t, segments[t]) for t in truth.frames.tolist())
    info = VideoInfo(
        video.video_id,
        video.width,
        video.height,
        video.fps,
        tuple(t / video.fps for t in times),
    )
    return SceneGraph(
        info, tracks, relations, {}, frames, {"index": run, "prompt": "point"}
    )


def _said(dataset, truth, t, segments) -> SubjectFrame:
    names = dataset.vocabulary
    units = truth.units[truth.units[:, 0] == t]
    points = []
    for column in np.unique(units[:, 1]):
        y, x = np.argwhere(segments == truth.objects[column])[0]
        points.append((x + 0.5, y + 0.5))
    return SubjectFrame(
        t,
        truth.subject_id,
        np.array(points, np.float32),
        tuple(
            Triplet(
                int(truth.objects[column]),
                names.objects[truth.category],
                names.objects[truth.categories[column]],
                names.predicates[predicate],
                0.9,
            )
            for _, column, predicate in units.tolist()
        ),
    )
