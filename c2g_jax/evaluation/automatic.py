"""Score a model without prompts: what `predict --auto` finds in a prepared video."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.data.dataset import CHUNK, Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.all_subjects import score_all_ways
from c2g_jax.evaluation.counting import ALL, ONE, WHOLE, way_name
from c2g_jax.evaluation.overlaps import coded_frames
from c2g_jax.evaluation.predictions import (
    UNTHRESHOLDED,
    LabelIds,
    overlap_of_masks,
    relations_of_graph,
    subjects_of_graph,
    triplets_of_graph,
)
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.media.images import resize_frame
from c2g_jax.media.rle import encode_mask
from c2g_jax.tracking.automatic import ObjectFinder, follow_in_waves, model_for_waves
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.types import AutoRules, Frame, SceneGraph, SubjectFrame, VideoInfo

RUN = 0  # nothing is drawn at random: there is one run


def score_automatic(
    model: Click2Graph,
    dataset: Dataset,
    video: VideoRecord,
    protocol: Protocol,
    rules: AutoRules,
) -> dict[str, Any]:
    """Return "official" and "ways", each {run: counts}, of a video without prompts.

    The PVSG metric has all predicates of a pair, as its own code does.
    """
    graphs = automatic_graphs(model, dataset, video, protocol, rules)
    return score_graphs(graphs, dataset, video)


def automatic_graphs(
    model: Click2Graph,
    dataset: Dataset,
    video: VideoRecord,
    protocol: Protocol,
    rules: AutoRules,
) -> dict[str, SceneGraph]:
    """Return the graph with ONE predicate a pair and frame, and that with ALL."""
    total = video.num_frames
    finder = ObjectFinder(model.sam2, rules, resize_frame, total)
    for frame in frames_of(dataset, video):
        finder.step(frame)
    prompts = [found.prompt(i) for i, found in enumerate(finder.chosen(total), 1)]
    model = copy.copy(model)
    model.config = dataclasses.replace(
        model.config, discover_every=protocol.discover_every
    )
    builder = GraphBuilder(encode_mask, UNTHRESHOLDED)
    for _ in follow_in_waves(
        model_for_waves(model, rules),
        lambda: frames_of(dataset, video),
        prompts,
        resize_frame,
        total,
        builder,
        every_predicate=True,
        min_frames=rules.min_frames,
    ):
        pass
    times = tuple(t / video.fps for t in range(total))
    info = VideoInfo(video.video_id, video.width, video.height, video.fps, times)
    whole = builder.build(info, {})
    return {ONE: with_best_predicates(whole), ALL: whole}


def frames_of(dataset: Dataset, video: VideoRecord) -> Iterator[Frame]:
    """Yield all frames of a video, read by chunk."""
    for first in range(0, video.num_frames, CHUNK):
        numbers = range(first, min(first + CHUNK, video.num_frames))
        pictures, _ = dataset.read_frames(video, numbers)
        for t, rgb in zip(numbers, pictures, strict=True):
            yield Frame(t, t / video.fps, rgb)


def with_best_predicates(graph: SceneGraph) -> SceneGraph:
    """Return a graph made again of its frames' best triplet for each pair."""
    builder = GraphBuilder(encode_mask, UNTHRESHOLDED)
    for track in graph.objects:
        for t, code in track.masks.items():
            by = {track.object_id: track.prompted_by}
            builder.add_encoded(t, {track.object_id: code}, (), by)
    for entry in graph.frames:
        builder.add_encoded(entry.frame, {}, [_best(entry)], {})
    return builder.build(graph.video, {})


def _best(entry: SubjectFrame) -> SubjectFrame:
    best: dict[int, Any] = {}
    for x in entry.triplets:
        known = best.get(x.object_id)
        if known is None or x.confidence > known.confidence:
            best[x.object_id] = x
    return dataclasses.replace(entry, triplets=tuple(best.values()))


def score_graphs(
    graphs: Mapping[str, SceneGraph], dataset: Dataset, video: VideoRecord
) -> dict[str, Any]:
    """Return "official" and "ways" of the graphs with ONE and with ALL predicates."""
    names, whole = LabelIds(dataset.vocabulary), graphs[ALL]
    records = pvsg_official.true_relations(video)
    wanted = sorted({int(t) for record in records for t in record.frames})
    ids = {i for r in records for i in (r.subject_id, r.object_id)}
    coded = dict(coded_frames(dataset, video, wanted, ids))
    tracks = {(None, o.object_id): o.masks for o in whole.objects}
    ways = score_all_ways(
        records,
        {
            kind: relations_of_graph(graph, names, None)
            for kind, graph in graphs.items()
        },
        triplets_of_graph(whole, names, None),
        [(None, i) for i in subjects_of_graph(whole)],
        overlap_of_masks(tracks, coded, video.num_frames),
    )
    return {
        "official": {RUN: ways[way_name(WHOLE, ALL)]},
        "ways": {RUN: ways},
    }
