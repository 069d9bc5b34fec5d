"""How well settings of spans make true spans out of a model's frame predictions.

A predicted and a true span of the same pair and predicate match if their IoU is at
least a half, each once. Settings are compared by the F1 of spans, then of frames.
"""

import contextlib
import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.correction.simulate import click_subjects, match_tracks, read_truth
from c2g_jax.data.dataset import Dataset, open_prepared
from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.export.report import frame_progress
from c2g_jax.export.scene_graph_json import read_scene_graph, write_scene_graph
from c2g_jax.session.session import Session
from c2g_jax.tracking.spans import SpanConfig, frames_of, held_spans, merge_spans
from c2g_jax.types import InputError, SceneGraph

GRID = dict(
    max_gap=(0, 1, 2, 3, 5),
    min_length=(1, 2, 3, 5),
    min_confidence=(0.0, 0.02, 0.05, 0.1, 0.2, 0.3),
    start_confidence=(0.0, 0.1, 0.2, 0.3, 0.5, 0.7),
)
OVERLAP = 0.5  # least intersection over union of two matching spans
# What is wrong with a span: its times; its predicate, the pair having another; that
# there is a relation at all, between objects of other relations or not.
FAULTS = RIGHT, TIMES, PREDICATE, UNRELATED, UNMATCHED = (
    "right",
    "other times",
    "other predicate",
    "another's object",
    "no true object",
)

Key = tuple[int, int, str]  # subject, object, predicate
Span = tuple[int, int]


class VideoSpans(NamedTuple):
    """The predictions and the true spans of one video.

    confidences: by relation and frame. Objects have their true ids; predicted objects
    that match none have the negative of their own.
    """

    num_frames: int
    confidences: Mapping[Key, Mapping[int, float]]
    spans: Mapping[Key, Sequence[Span]]


@dataclasses.dataclass
class Counts:
    """Predicted ("said"), true and matched ("met") spans and frames."""

    said_spans: int = 0
    true_spans: int = 0
    met_spans: int = 0
    said_frames: int = 0
    true_frames: int = 0
    met_frames: int = 0

    def f1(self) -> tuple[float, float]:
        """Return the F1 of spans and of frames; 0 without any."""
        spans = self.said_spans + self.true_spans
        frames = self.said_frames + self.true_frames
        return 2 * self.met_spans / max(spans, 1), 2 * self.met_frames / max(frames, 1)


def grid() -> Iterator[SpanConfig]:
    """Yield all settings; leaves out a start_confidence without effect."""
    for values in itertools.product(*GRID.values()):
        config = SpanConfig(**dict(zip(GRID, values, strict=True)))
        if not 0 < config.start_confidence <= config.min_confidence:
            yield config


def count(videos: Iterable[VideoSpans], config: SpanConfig) -> Counts:
    """Compare the spans made with a setting with the true ones."""
    counts = Counts()
    for video in videos:
        for key in video.confidences.keys() | video.spans.keys():
            confidences = video.confidences.get(key, {})
            predicted = held_spans(confidences, config, video.num_frames)
            true = video.spans.get(key, ())
            predicted_frames, true_frames = frames_of(predicted), frames_of(true)
            counts.said_spans += len(predicted)
            counts.true_spans += len(true)
            counts.met_spans += count_matches(predicted, true)
            counts.said_frames += len(predicted_frames)
            counts.true_frames += len(true_frames)
            counts.met_frames += len(predicted_frames & true_frames)
    return counts


def faults(videos: Iterable[VideoSpans], config: SpanConfig) -> dict[str, int]:
    """Return how many of the spans made with a setting are right, and why not."""
    found = dict.fromkeys(FAULTS, 0)
    for video in videos:
        pairs = {key[:2] for key in video.spans}
        for key, confidences in video.confidences.items():
            predicted = held_spans(confidences, config, video.num_frames)
            right = count_matches(predicted, video.spans.get(key, ()))
            subject_id, object_id, _ = key
            if key in video.spans:
                fault = TIMES
            elif (subject_id, object_id) in pairs:
                fault = PREDICATE
            else:
                fault = UNRELATED if min(subject_id, object_id) > 0 else UNMATCHED
            found[RIGHT] += right
            found[fault] += len(predicted) - right
    return found


def count_matches(predicted: Sequence[Span], true: Sequence[Span]) -> int:
    """Count the matching spans, each once.

    Spans of one list are disjoint, so a span can exceed an IoU of a half with one other
    only; the order decides ties alone.
    """
    matched, left = 0, list(true)
    for first, last in predicted:
        for span in left:
            shared = min(last, span[1]) - max(first, span[0]) + 1
            union = max(last, span[1]) - min(first, span[0]) + 1
            if shared >= OVERLAP * union:
                matched += 1
                left.remove(span)
                break
    return matched


def video_spans(graph: SceneGraph, truth, tracks: Mapping[int, int]) -> VideoSpans:
    """Collect predictions and true spans; `tracks` are {true id: id in the graph}."""
    true_of = {track: true for true, track in tracks.items()}
    confidences: dict[Key, dict[int, float]] = defaultdict(dict)
    for entry in graph.frames:
        subject = true_of.get(entry.subject_id, -entry.subject_id)
        for triplet in entry.triplets:
            other = true_of.get(triplet.object_id, -triplet.object_id)
            by_frame = confidences[subject, other, triplet.predicate]
            known = by_frame.get(entry.frame, 0.0)
            by_frame[entry.frame] = max(known, triplet.confidence)
    spans: dict[Key, Sequence[Span]] = {}
    for own in truth.subjects:
        for column, predicate in np.unique(own.units[:, 1:], axis=0).tolist():
            rows = (own.units[:, 1:] == (column, predicate)).all(axis=1)
            name = truth.vocabulary.predicates[predicate]
            key = own.subject_id, int(own.objects[column]), name
            spans[key] = merge_spans(own.units[rows, 0])
    return VideoSpans(graph.video.num_frames, dict(confidences), spans)


def predict_videos(
    dataset: Dataset,
    videos: Sequence[VideoRecord],
    protocol: Protocol,
    folder: Path,
    made_by: str,
    load: Callable[[], Click2Graph],
) -> Iterator[VideoSpans]:
    """Yield the predictions for each video, by a model that `load` gives when needed.

    Every subject is clicked and tracked. The graphs are kept in the folder with
    `made_by`, and read again from there. Raises InputError for graphs of another model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = None
    with frame_progress() as begin:
        advance = begin("tracked", sum(video.num_frames for video in videos))
        for video in videos:
            truth = read_truth(dataset, video, protocol)
            path = folder / f"{video.video_id}.json"
            if not path.exists():
                model = model or load()
                frames = open_prepared(dataset, video)
                with contextlib.closing(Session(frames, model)) as session:
                    clicked = click_subjects(session, truth)
                    graph = session.graph()
                origin = {"sha256": made_by, "clicked": sorted(clicked.items())}
                write_scene_graph(path, dataclasses.replace(graph, provenance=origin))
            graph = read_scene_graph(path)
            if graph.provenance.get("sha256") != made_by:
                raise InputError(
                    f"{path} was made with other weights: use another --output"
                )
            clicked = dict(graph.provenance["clicked"])
            yield video_spans(graph, truth, match_tracks(graph, truth, clicked))
            advance(video.num_frames)


def ranked_settings(
    videos: Sequence[VideoSpans],
) -> list[tuple[Counts, SpanConfig]]:
    """Return all settings of the grid with their counts, the best first."""
    found = [(count(videos, config), config) for config in grid()]
    return sorted(found, key=lambda pair: pair[0].f1(), reverse=True)
