"""The annotation of a prepared video as a scene graph."""

from collections import defaultdict

import numpy as np

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.media.rle import encode_mask
from c2g_jax.types import ObjectTrack, Relation, SceneGraph, VideoInfo


def true_graph(dataset: Dataset, video: VideoRecord) -> SceneGraph:
    """Return all annotated objects with their masks, and all relations.

    Scores are 1, and no object has a prompt. Reads every frame of the video.
    """
    vocabulary = dataset.vocabulary
    masks: dict[int, dict[int, dict]] = {i: {} for i in video.object_ids.tolist()}
    for t in range(video.num_frames):
        segments = dataset.read_masks(video, [t])[0]
        for object_id in np.intersect1d(np.unique(segments), video.object_ids).tolist():
            masks[object_id][t] = encode_mask(segments == object_id)
    spans: dict[tuple[int, int, int], list[tuple[int, int]]] = defaultdict(list)
    for subject, other, predicate, start, end in video.relations.tolist():
        spans[subject, other, predicate].append((start, end))
    return SceneGraph(
        VideoInfo(
            f"{video.video_id}.mp4",
            video.width,
            video.height,
            video.fps,
            tuple(t / video.fps for t in range(video.num_frames)),
        ),
        tuple(
            ObjectTrack(i, vocabulary.objects[video.category(i)], 1.0, None, masks[i])
            for i in masks
        ),
        tuple(
            Relation(subject, other, vocabulary.predicates[p], tuple(sorted(held)), 1.0)
            for (subject, other, p), held in spans.items()
        ),
    )
