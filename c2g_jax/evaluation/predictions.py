"""Predictions as the metrics want them: of a graph on frames, and as relations.

`metrics` takes what is said of a subject frame by frame, PVSG's metric relations
between tracks, with spans.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from c2g_jax.evaluation.ground_truth import SubjectTruth
from c2g_jax.evaluation.metrics import FramePredictions
from c2g_jax.evaluation.overlaps import CodedFrame, columns_of, ious
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.pvsg_official import PredictedRelation
from c2g_jax.tracking.scene_graph import vote
from c2g_jax.tracking.spans import SpanConfig, held_spans
from c2g_jax.types import SceneGraph, SubjectFrame
from c2g_jax.vocabulary import Vocabulary

Overlap = Callable[[Hashable, int], np.ndarray]
# The metric ranks by confidence itself; a span has two frames and may miss two more.
_ALL_THAT_IS_SAID = SpanConfig(2, 2, 0.0, 0.0)
UNKNOWN = -1  # the number of a name that the vocabulary lacks


class LabelIds:
    """Numbers of the names of a vocabulary, UNKNOWN for others."""

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
    """The relations of a graph; its tracks go by (owner, object id)."""
    categories = {o.object_id: names.object(o.category) for o in graph.objects}
    claims = []
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
        claims.append(PredictedRelation(*tracks, labels, relation.score, span))
    return claims


def overlap_of_masks(
    tracks: Mapping[Hashable, Mapping[int, Mapping]],
    frames: Mapping[int, CodedFrame],
    num_frames: int,
) -> Overlap:
    """Overlaps of tracks {name: {frame: run lengths}} with the objects of `frames`."""
    known: dict[tuple[Hashable, int], np.ndarray] = {}

    def overlap(track: Hashable, object_id: int) -> np.ndarray:
        if (track, object_id) not in known:
            values = np.zeros(num_frames)
            for t in tracks[track].keys() & frames.keys():
                true = frames[t].masks.get(object_id)
                if true is not None:
                    values[t] = ious([tracks[track][t]], [true])[0, 0]
            known[track, object_id] = values
        return known[track, object_id]

    return overlap


def relations_of_frames(
    guesses: Sequence[FramePredictions], num_frames: int, owner: Hashable
) -> list[PredictedRelation]:
    """What a graph built of the guesses would say: votes and spans as the product's.

    Tracks go by (owner, object id), the subject's own by (owner, None).
    """
    votes, said = defaultdict(list), defaultdict(dict)
    for guess in guesses:
        rows = zip(
            guess.ids.tolist(), guess.labels.tolist(), guess.confidence, strict=True
        )
        for object_id, (subject, other, predicate), weight in rows:
            weight = float(weight)
            votes[None].append((subject, weight))
            votes[object_id].append((other, weight))
            by_frame = said[object_id, predicate]
            by_frame[guess.frame] = max(by_frame.get(guess.frame, 0.0), weight)
    label = {track: vote(weights)[0] for track, weights in votes.items()}
    claims = []
    for (object_id, predicate), by_frame in said.items():
        span = np.zeros(num_frames, bool)
        for first, last in held_spans(by_frame, _ALL_THAT_IS_SAID, num_frames):
            span[first : last + 1] = True
        inside = [weight for t, weight in by_frame.items() if span[t]]
        if inside:
            labels = (label[None], label[object_id], predicate)
            tracks = ((owner, None), (owner, object_id))
            claims.append(
                PredictedRelation(*tracks, labels, float(np.mean(inside)), span)
            )
    return claims


def overlap_of_frames(
    runs: Mapping[Hashable, tuple[SubjectTruth, Sequence[FramePredictions]]],
    num_frames: int,
) -> Overlap:
    """Overlaps of the tracks of `relations_of_frames`, by owner, with true objects.

    A subject's track is compared with the subject that was prompted, and an object's
    with the objects of that subject; with anything else the overlap counts as 0.
    """

    def overlap(track: tuple, true_id: int) -> np.ndarray:
        owner, object_id = track
        truth, guesses = runs[owner]
        values = np.zeros(num_frames)
        if object_id is None:
            if true_id == truth.subject_id:
                for guess in guesses:
                    values[guess.frame] = guess.subject_iou
            return values
        column = np.flatnonzero(truth.objects == true_id)
        for guess in guesses if len(column) else ():
            for row in np.flatnonzero(guess.ids == object_id)[:1]:
                values[guess.frame] = guess.iou[row, column[0]]
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
    """The guesses for a subject, by its id in the graph, on every frame that has any.

    Overlaps are computed on the frames of `truth`; guesses for others may vote.
    """
    masks = {o.object_id: o.masks for o in graph.objects}
    wanted = set(truth.frames.tolist())
    return [
        _guess(entry, masks, truth, coded[entry.frame], names, protocol)
        if entry.frame in wanted
        else _word(entry, truth, names)
        for entry in graph.frames
        if entry.subject_id == subject_id
    ]


def _word(
    entry: SubjectFrame, truth: SubjectTruth, names: LabelIds
) -> FramePredictions:
    """What is said, without a look at the masks."""
    said = entry.triplets
    labels = [
        (
            names.object(x.subject_category),
            names.object(x.object_category),
            names.predicate(x.predicate),
        )
        for x in said
    ]
    return FramePredictions(
        entry.frame,
        0.0,
        np.array([x.object_id for x in said], int),
        np.array(labels, int).reshape(-1, 3),
        np.array([x.confidence for x in said], float),
        np.zeros((len(said), len(truth.objects))),
        np.zeros(0, int),
    )


def _guess(
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
    return _word(entry, truth, names)._replace(
        subject_iou=float(ious([subject], [true.get(truth.subject_id)])[0, 0]),
        iou=ious(ours, [true.get(int(i)) for i in truth.objects]),
        points=columns_of(coded.ids_under(entry.points), truth.objects),
        peer_iou=ious(ours, ours) if protocol.mask_nms else None,
    )
