"""PVSG's own metric, per video and over whole tracks: R and mR at K, by vIoU.

As LilyDaytoy/OpenPVSG scores (tools/rel_test_full.py, utils/rel_metrics.py), with what
is odd about it: spans that are too long cost nothing, a prediction without masks takes
its place in the ranking, and a true relation whose masks are never both in view counts
and cannot be hit. Frames past the predicted span's length are passed over. Its count of
weak hits has no cap; both are given here, "weak" with one and "weak (released)"
without.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from c2g_jax.data.records import VideoRecord

STRONG, WEAK = 0.5, 0.1  # least vIoU
KS = (20, 50, 100)
MAX_PAIRS = 100
MASK_IOU = 0.5


@dataclass(frozen=True, eq=False)
class TrueRelation:
    """A relation of the annotation; all its spans."""

    subject_id: int
    object_id: int
    labels: tuple[int, int, int]  # subject, object, predicate
    frames: np.ndarray  # int [f]: where it holds and both masks have pixels


@dataclass(frozen=True, eq=False)
class PredictedRelation:
    """A predicted relation between two tracks; a track goes by any name."""

    subject: Hashable
    object: Hashable
    labels: tuple[int, int, int]
    score: float
    span: np.ndarray  # bool [t]: the frames on which it is said to hold


def true_relations(video: VideoRecord) -> list[TrueRelation]:
    """The relations of a video; spans of one triple are one relation."""
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
    claims: Sequence[PredictedRelation], max_pairs: int = MAX_PAIRS
) -> list[PredictedRelation]:
    """The claims about the best pairs, the surest first; ties keep their order.

    A pair is as good as its surest claim.
    """
    best: dict[tuple, float] = {}
    for claim in claims:
        pair = claim.subject, claim.object
        best[pair] = max(best.get(pair, -np.inf), claim.score)
    kept = set(sorted(best, key=best.get, reverse=True)[:max_pairs])
    inside = [c for c in claims if (c.subject, c.object) in kept]
    return sorted(inside, key=lambda c: -c.score)


def viou(
    truth: TrueRelation,
    claim: PredictedRelation,
    overlap: Callable[[Hashable, int], np.ndarray],
) -> float:
    """The share of the true frames on which the claim holds with both masks right.

    overlap(track, object_id) -> float [t], the IoU of a track with a true object.
    """
    length = len(claim.span)
    frames = truth.frames[truth.frames < length]
    if not len(frames):
        return 0.0
    subject = overlap(claim.subject, truth.subject_id)[frames] >= MASK_IOU
    other = overlap(claim.object, truth.object_id)[frames] >= MASK_IOU
    return float((subject & other & claim.span[frames]).sum()) / len(frames)


def score_video(
    truths: Sequence[TrueRelation],
    claims: Sequence[PredictedRelation],
    overlap: Callable[[Hashable, int], np.ndarray],
) -> Counter:
    """Counts that add up over videos.

    Keys: "relations P" by predicate, and for each K "R@K P", "weak@K P" (a relation
    once at most) and "weak (released)@K P".
    """
    counts, claims = Counter(), ranked(claims)
    for truth in truths:
        predicate = truth.labels[2]
        counts[f"relations {predicate}"] += 1
        weak = []
        for rank, claim in enumerate(claims):
            if claim.labels != truth.labels:
                continue
            score = viou(truth, claim, overlap)
            if score >= WEAK:
                weak.append(rank)
            if score >= STRONG:  # the first that is good enough decides
                for k in KS:
                    counts[f"R@{k} {predicate}"] += rank < k
                break
        for k in KS:
            inside = sum(rank < k for rank in weak)
            counts[f"weak@{k} {predicate}"] += inside > 0
            counts[f"weak (released)@{k} {predicate}"] += inside
    return counts


def summary(counts: Counter) -> dict[str, float]:
    """Shares in percent, R and mean R over predicates; {} where nothing is true.

    Keys: "R@20", "mR@20", "weak R@20", "weak mR@20", "weak R@20 (released)", ....
    """
    total = {
        name.partition(" ")[2]: amount
        for name, amount in counts.items()
        if name.startswith("relations ") and amount
    }
    if not total:
        return {}
    found = {}
    kinds = {
        "R@{k}": "R@{k}",
        "weak R@{k}": "weak@{k}",
        "weak R@{k} (released)": "weak (released)@{k}",
    }
    for k in KS:
        for shown, name in kinds.items():
            shown, name = shown.format(k=k), name.format(k=k)
            hits = {p: counts[f"{name} {p}"] for p in total}
            shares = [hits[p] / total[p] for p in total]
            found[shown] = 100 * sum(hits.values()) / sum(total.values())
            found[shown.replace("R@", "mR@")] = 100 * float(np.mean(shares))
    return found
