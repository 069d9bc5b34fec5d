"""Predictions as inputs of the metrics, made from scene graphs or from each other.

`metrics` takes the predictions for a subject frame by frame (`FramePredictions`), the
PVSG metric takes relations between tracks, with spans (`PredictedRelation`).
"""

import functools
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from c2g_jax.evaluation.all_subjects import PredictedTriplet
from c2g_jax.evaluation.counting import ranking
from c2g_jax.evaluation.ground_truth import SubjectTruth
from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.overlaps import CodedFrame, columns_of, ious
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.pvsg_official import Overlap, PredictedRelation
from c2g_jax.media.rle import mask_iou
from c2g_jax.tracking.scene_graph import vote
from c2g_jax.tracking.spans import SpanConfig, held_spans
from c2g_jax.types import SceneGraph, SubjectFrame, Triplet
from c2g_jax.vocabulary import Vocabulary

# No threshold, as the metric ranks by confidence itself: gaps up to 2 frames are
# bridged, and a span has at least 2 frames.
UNTHRESHOLDED = SpanConfig(2, 2, 0.0, 0.0)
UNKNOWN = -1  # the id of a label that the vocabulary lacks


class LabelIds:
    """The ids of a vocabulary's labels, UNKNOWN for labels that it lacks."""

    def __init__(self, vocabulary: Vocabulary):
        self._objects = {name: i for i, name in enumerate(vocabulary.objects)}
        self._predicates = {name: i for i, name in enumerate(vocabulary.predicates)}

    def object(self, name: str) -> int:
        return self._objects.get(name, UNKNOWN)

    def predicate(self, name: str) -> int:
        return self._predicates.get(name, UNKNOWN)


def relations_of_graph(
    graph: SceneGraph, names: LabelIds, owner: Hashable
) -> list[PredictedRelation]:
    """Return the relations of a graph; the keys of tracks are (owner, object id)."""
    categories = {o.object_id: names.object(o.category) for o in graph.objects}
    found = []
    for relation in graph.relations:
        span = np.zeros(graph.video.num_frames, bool)
        for first, last in relation.spans:
            span[first : last + 1] = True
        labels = (
            categories[relation.subject_id],
            categories[relation.object_id],
            names.predicate(relation.predicate),
        )
        tracks = ((owner, i) for i in (relation.subject_id, relation.object_id))
        found.append(PredictedRelation(*tracks, labels, relation.score, span))
    return found


def triplets_of_graph(
    graph: SceneGraph, names: LabelIds, owner: Hashable
) -> dict[int, list[PredictedTriplet]]:
    """Return the triplets of a graph's frames; the keys of tracks are (owner, id)."""
    found = defaultdict(list)
    for entry in graph.frames:
        for x in entry.triplets:
            labels = _label_ids(x, names)
            tracks = (owner, entry.subject_id), (owner, x.object_id)
            found[entry.frame].append(PredictedTriplet(*tracks, labels, x.confidence))
    return dict(found)


def subjects_of_graph(graph: SceneGraph) -> list[int]:
    """Return the ids of the objects that are subjects, prompted ones included."""
    found = {o.object_id for o in graph.objects if o.prompted_by is None}
    found |= {r.subject_id for r in graph.relations}
    return sorted(found | {entry.subject_id for entry in graph.frames})


def _label_ids(x: Triplet, names: LabelIds) -> tuple[int, int, int]:
    return (
        names.object(x.subject_category),
        names.object(x.object_category),
        names.predicate(x.predicate),
    )


def overlap_of_masks(
    tracks: Mapping[Hashable, Mapping[int, Mapping]],
    frames: Mapping[int, CodedFrame],
    num_frames: int,
) -> Overlap:
    """Return the IoUs of tracks {key: {frame: RLE}} with the objects of `frames`."""

    @functools.cache
    def overlap(track: Hashable, object_id: int) -> np.ndarray:
        values = np.zeros(num_frames)
        for t in tracks[track].keys() & frames.keys():
            true = frames[t].masks.get(object_id)
            if true is not None:
                values[t] = mask_iou(tracks[track][t], true)
        return values

    return overlap


def relations_of_frames(
    predictions: Sequence[FramePredictions], num_frames: int, owner: Hashable
) -> list[PredictedRelation]:
    """Return the relations of the graph of a subject's predictions.

    Labels are voted on and spans made as in `tracking.scene_graph`. The keys of tracks
    are (owner, object id), of the subject's own track (owner, None).
    """
    votes, confidences = defaultdict(list), defaultdict(dict)
    for own in predictions:
        rows = zip(own.ids.tolist(), own.labels.tolist(), own.confidence, strict=True)
        for object_id, (subject, other, predicate), weight in rows:
            weight = float(weight)
            votes[None].append((subject, weight))
            votes[object_id].append((other, weight))
            by_frame = confidences[object_id, predicate]
            by_frame[own.frame] = max(by_frame.get(own.frame, 0.0), weight)
    label = {track: vote(weights)[0] for track, weights in votes.items()}
    found = []
    for (object_id, predicate), by_frame in confidences.items():
        span = np.zeros(num_frames, bool)
        for first, last in held_spans(by_frame, UNTHRESHOLDED, num_frames):
            span[first : last + 1] = True
        inside = [weight for t, weight in by_frame.items() if span[t]]
        if inside:
            labels = (label[None], label[object_id], predicate)
            tracks = ((owner, None), (owner, object_id))
            score = float(np.mean(inside))
            found.append(PredictedRelation(*tracks, labels, score, span))
    return found


def triplets_of_frames(
    predictions: Sequence[FramePredictions], owner: Hashable
) -> dict[int, list[PredictedTriplet]]:
    """Return a subject's predictions by frame, with keys as `relations_of_frames`."""
    return {
        own.frame: [
            PredictedTriplet(
                (owner, None), (owner, i), tuple(map(int, labels)), float(score)
            )
            for i, labels, score in zip(
                own.ids.tolist(), own.labels, own.confidence, strict=True
            )
        ]
        for own in predictions
    }


def with_one_predicate(predictions: FramePredictions) -> FramePredictions:
    """Return the predictions with one of each object, the first in their ranking."""
    order = ranking(predictions.confidence, predictions.ids, predictions.labels[:, 2])
    firsts = np.unique(predictions.ids[order], return_index=True)[1]
    rows = np.sort(order[firsts])
    peers = predictions.peer_iou
    return predictions._replace(
        ids=predictions.ids[rows],
        labels=predictions.labels[rows],
        confidence=predictions.confidence[rows],
        iou=predictions.iou[rows],
        peer_iou=None if peers is None else peers[np.ix_(rows, rows)],
    )


def overlap_of_frames(
    runs: Mapping[Hashable, tuple[SubjectTruth, Sequence[FramePredictions]]],
    num_frames: int,
) -> Overlap:
    """Return the IoUs of the tracks of `relations_of_frames` with true objects.

    `runs` are ground truth and predictions by owner. A subject's track is compared with
    the prompted subject, an object's with that subject's objects; any other IoU is 0.
    """

    def overlap(track: tuple, true_id: int) -> np.ndarray:
        owner, object_id = track
        truth, predictions = runs[owner]
        values = np.zeros(num_frames)
        if object_id is None:
            if true_id == truth.subject_id:
                for own in predictions:
                    values[own.frame] = own.subject_iou
            return values
        column = np.flatnonzero(truth.objects == true_id)
        for own in predictions if len(column) else ():
            for row in np.flatnonzero(own.ids == object_id)[:1]:
                values[own.frame] = own.iou[row, column[0]]
        return values

    return overlap


def predictions_of_graph(
    graph: SceneGraph,
    subject_id: int,
    truth: SubjectTruth,
    coded: Mapping[int, CodedFrame],
    names: LabelIds,
    protocol: Protocol,
) -> list[FramePredictions]:
    """Return the predictions of a graph for one of its subjects, frame by frame.

    IoUs are computed on the frames of `truth`, which `coded` has; predictions on other
    frames have labels alone, for votes. Of each object the surest prediction of a frame
    is taken, with `multi_predicate` all.
    """
    masks = {o.object_id: o.masks for o in graph.objects}
    wanted = set(truth.frames.tolist())
    found = [
        _with_ious(entry, masks, truth, coded[entry.frame], names, protocol)
        if entry.frame in wanted
        else _labels_alone(entry, truth, names)
        for entry in graph.frames
        if entry.subject_id == subject_id
    ]
    if protocol.multi_predicate:
        return found
    return [with_one_predicate(own) for own in found]


def _labels_alone(
    entry: SubjectFrame, truth: SubjectTruth, names: LabelIds
) -> FramePredictions:
    labels = [_label_ids(x, names) for x in entry.triplets]
    ids = [x.object_id for x in entry.triplets]
    confidence = [x.confidence for x in entry.triplets]
    return FramePredictions.of_labels(entry.frame, ids, labels, confidence, truth)


def _with_ious(
    entry: SubjectFrame,
    masks: Mapping[int, Mapping[int, Mapping]],
    truth: SubjectTruth,
    coded: CodedFrame,
    names: LabelIds,
    protocol: Protocol,
) -> FramePredictions:
    t, true = entry.frame, coded.masks
    ours = [masks.get(x.object_id, {}).get(t) for x in entry.triplets]
    subject = masks.get(entry.subject_id, {}).get(t)
    return _labels_alone(entry, truth, names)._replace(
        subject_iou=float(ious([subject], [true.get(truth.subject_id)])[0, 0]),
        iou=ious(ours, [true.get(int(i)) for i in truth.objects]),
        points=columns_of(coded.ids_under(entry.points), truth.objects),
        peer_iou=ious(ours, ours) if protocol.mask_nms else None,
    )
