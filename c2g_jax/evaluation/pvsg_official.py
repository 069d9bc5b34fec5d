"""The official PVSG metric, per video and over whole tracks: R@K and mR@K by vIoU.

Follows LilyDaytoy/OpenPVSG (tools/rel_test_full.py, utils/rel_metrics.py) including its
peculiarities: spans that are too long cost nothing; a prediction without masks takes a
rank; a true relation whose masks are never both in view counts and cannot be hit; true
frames past the length of the predicted span are ignored. The released code counts every
weak hit of a relation, "weak (released)" here; "weak" counts each relation once.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from c2g_jax.data.records import VideoRecord
from c2g_jax.evaluation.counting import place

STRONG, WEAK = 0.5, 0.1  # least vIoU of a hit
KS = (20, 50, 100)
MAX_PAIRS = 100
MASK_IOU = 0.5

# overlap(track, object_id) -> float [t], the IoU of a track with a true object.
Overlap = Callable[[Hashable, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class TrueRelation:
    """An annotated relation with all its spans."""

    subject_id: int
    object_id: int
    labels: tuple[int, int, int]  # subject, object, predicate
    frames: np.ndarray  # int [f]: where it holds and both masks have pixels


@dataclass(frozen=True, eq=False)
class PredictedRelation:
    """A predicted relation between two tracks, which have keys of any kind."""

    subject: Hashable
    object: Hashable
    labels: tuple[int, int, int]
    score: float
    span: np.ndarray  # bool [t]: the frames on which it is predicted to hold


def true_relations(video: VideoRecord) -> list[TrueRelation]:
    """Return the relations of a video; all spans of a triplet are one relation."""
    frames: dict[tuple[int, int, int], set[int]] = {}
    for row, valid in zip(video.relations, video.valid_relations, strict=True):
        subject, other, predicate = row[:3].tolist()
        if subject != other:
            here = frames.setdefault((subject, other, predicate), set())
            here |= set(np.flatnonzero(valid).tolist())
    return [
        TrueRelation(
            subject,
            other,
            (video.category(subject), video.category(other), predicate),
            np.array(sorted(times), int),
        )
        for (subject, other, predicate), times in frames.items()
    ]


def ranked(
    predictions: Sequence[PredictedRelation], max_pairs: int = MAX_PAIRS
) -> list[PredictedRelation]:
    """Return the predictions of the best pairs by falling score (`counting.place`).

    The score of a pair is that of its best prediction.
    """
    in_order = sorted(predictions, key=_place)
    pairs = list(dict.fromkeys((r.subject, r.object) for r in in_order))[:max_pairs]
    kept = set(pairs)
    return [r for r in in_order if (r.subject, r.object) in kept]


def one_predicate(
    predictions: Sequence[PredictedRelation],
) -> list[PredictedRelation]:
    """Return the predictions with one predicate a pair on each frame, the surest.

    Spans lose the frames on which a surer relation of the same pair holds; relations
    that lose all are left out.
    """
    taken: dict[tuple, np.ndarray] = {}
    found = []
    for relation in sorted(predictions, key=_place):
        pair = relation.subject, relation.object
        before = taken.get(pair, np.zeros(len(relation.span), bool))
        span = relation.span & ~before
        taken[pair] = before | relation.span
        if span.any():
            found.append(replace(relation, span=span))
    return found


def _place(relation: PredictedRelation) -> tuple:
    predicate = relation.labels[2]
    return place(relation.score, relation.subject, relation.object, predicate)


def viou(
    truth: TrueRelation,
    predicted: PredictedRelation,
    overlap: Overlap,
) -> float:
    """Return the share of true frames predicted with both masks at IoU >= 0.5."""
    length = len(predicted.span)
    frames = truth.frames[truth.frames < length]
    if not len(frames):
        return 0.0
    subject = overlap(predicted.subject, truth.subject_id)[frames] >= MASK_IOU
    other = overlap(predicted.object, truth.object_id)[frames] >= MASK_IOU
    return float((subject & other & predicted.span[frames]).sum()) / len(frames)


def score_video(
    truths: Sequence[TrueRelation],
    predictions: Sequence[PredictedRelation],
    overlap: Overlap,
) -> Counter:
    """Count the hits of a video's predictions; counts of videos can be added up.

    Keys, for each predicate P and each K: "relations P", "R@K P", "weak@K P" (each
    relation once at most) and "weak (released)@K P".
    """
    counts, predictions = Counter(), ranked(predictions)
    for truth in truths:
        predicate = truth.labels[2]
        counts[f"relations {predicate}"] += 1
        weak = []
        for rank, predicted in enumerate(predictions):
            if predicted.labels != truth.labels:
                continue
            score = viou(truth, predicted, overlap)
            if score >= WEAK:
                weak.append(rank)
            if score >= STRONG:  # the search ends at the first strong hit
                for k in KS:
                    counts[f"R@{k} {predicate}"] += rank < k
                break
        for k in KS:
            inside = sum(rank < k for rank in weak)
            counts[f"weak@{k} {predicate}"] += inside > 0
            counts[f"weak (released)@{k} {predicate}"] += inside
    return counts


def summary(counts: Mapping[str, float], weak: bool = True) -> dict[str, float]:
    """Return recalls in percent, over all relations and as means over predicates.

    {} without any true relation. Keys: "R@20", "mR@20" and so on, and with `weak`
    "weak R@20", "weak mR@20", "weak R@20 (released)".
    """
    total = {
        name.partition(" ")[2]: amount
        for name, amount in counts.items()
        if name.startswith("relations ") and amount
    }
    if not total:
        return {}
    found = {}
    kinds = {"R@{k}": "R@{k}"}
    if weak:
        kinds |= {
            "weak R@{k}": "weak@{k}",
            "weak R@{k} (released)": "weak (released)@{k}",
        }
    for k in KS:
        for shown, name in kinds.items():
            shown, name = shown.format(k=k), name.format(k=k)
            hits = {p: counts.get(f"{name} {p}", 0) for p in total}
            shares = [hits[p] / total[p] for p in total]
            found[shown] = 100 * sum(hits.values()) / sum(total.values())
            found[shown.replace("R@", "mR@")] = 100 * float(np.mean(shares))
    return found
