"""Score all subjects of a video together, as for systems without prompts.

By the whole relation that is `pvsg_official`. By frame, a unit is a true (frame,
subject, object, predicate) with both masks in view. It is hit if one of the K surest
predictions of its frame, of all subjects, has its three names and both masks with an
IoU of 0.5 or more. A prediction hits one unit at most.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.counting import ALL, FRAME, ONE, WHOLE, place, way_name
from c2g_jax.evaluation.pvsg_official import (
    KS,
    MASK_IOU,
    Overlap,
    PredictedRelation,
    TrueRelation,
)

SUBJECTS = "subjects"  # beside the ways: which subjects are found


@dataclass(frozen=True)
class PredictedTriplet:
    """A predicted triplet on one frame, between two tracks with keys of any kind."""

    subject: Hashable
    object: Hashable
    labels: tuple[int, int, int]  # subject, object, predicate
    score: float

    @property
    def place(self) -> tuple:
        """The key by which predictions are ranked."""
        return place(self.score, self.subject, self.object, self.labels[2])


def one_predicate(predictions: Iterable[PredictedTriplet]) -> list[PredictedTriplet]:
    """Return the first of each pair on a frame, in the order of their ranks."""
    found: dict[tuple, PredictedTriplet] = {}
    for triplet in sorted(predictions, key=lambda x: x.place):
        found.setdefault((triplet.subject, triplet.object), triplet)
    return list(found.values())


def score_frames(
    truths: Sequence[TrueRelation],
    predictions: Mapping[int, Sequence[PredictedTriplet]],
    overlap: Overlap,
) -> Counter:
    """Count the hits of a video's predictions, given by frame.

    Keys, for each predicate P and each K, as those of `pvsg_official.score_video`:
    "relations P" (its units) and "R@K P". A K beyond the number of predictions takes
    all of them.
    """
    counts, units = Counter(), defaultdict(list)
    for truth in truths:
        counts[f"relations {truth.labels[2]}"] += len(truth.frames)
        for t in truth.frames.tolist():
            units[t].append(truth)
    for t, here in units.items():
        ranked = sorted(predictions.get(t, ()), key=lambda x: x.place)[: max(KS)]
        match = np.array(
            [[_hits(truth, x, t, overlap) for x in ranked] for truth in here], bool
        )
        if not match.any():
            continue
        for k in KS:
            part = csr_array(match[:, :k])
            chosen = maximum_bipartite_matching(part, perm_type="column")
            for row in np.flatnonzero(chosen >= 0):
                counts[f"R@{k} {here[row].labels[2]}"] += 1
    return counts


def _hits(truth: TrueRelation, x: PredictedTriplet, t: int, overlap: Overlap) -> bool:
    return (
        x.labels == truth.labels
        and _iou(overlap(x.subject, truth.subject_id), t) >= MASK_IOU
        and _iou(overlap(x.object, truth.object_id), t) >= MASK_IOU
    )


def _iou(values: np.ndarray, t: int) -> float:
    return float(values[t]) if t < len(values) else 0.0


def count_subjects(
    truths: Sequence[TrueRelation], subjects: Sequence[Hashable], overlap: Overlap
) -> Counter:
    """Count on how many of its frames each true subject has a predicted one's mask.

    `subjects` are the predicted subjects' tracks. Keys: "subject frames", and "subjects
    found": those on which the IoU with one of them is 0.5 or more.
    """
    frames: dict[int, set[int]] = defaultdict(set)
    for truth in truths:
        frames[truth.subject_id] |= set(truth.frames.tolist())
    counts = Counter()
    for subject_id, own in frames.items():
        ious = [overlap(track, subject_id) for track in subjects]
        counts["subject frames"] += len(own)
        counts["subjects found"] += sum(
            any(_iou(values, t) >= MASK_IOU for values in ious) for t in own
        )
    return counts


def score_all_ways(
    truths: Sequence[TrueRelation],
    relations: Mapping[str, Sequence[PredictedRelation]],
    triplets: Mapping[int, Sequence[PredictedTriplet]] | None,
    subjects: Sequence[Hashable],
    overlap: Overlap,
) -> dict[str, Counter]:
    """Return the counts of each of `counting.WAYS`, and of SUBJECTS, by name.

    `relations` are those made with ONE predicate a pair on each frame, and with ALL;
    `triplets` are all, by frame. None, if a system does not predict single frames,
    leaves out the ways by the frame.
    """
    single = pvsg_official.one_predicate(relations[ONE])
    score = pvsg_official.score_video
    found = {}
    if triplets is not None:
        alone = {t: one_predicate(here) for t, here in triplets.items()}
        found[way_name(FRAME, ONE)] = score_frames(truths, alone, overlap)
        found[way_name(FRAME, ALL)] = score_frames(truths, triplets, overlap)
    found[way_name(WHOLE, ONE)] = score(truths, single, overlap)
    found[way_name(WHOLE, ALL)] = score(truths, relations[ALL], overlap)
    found[SUBJECTS] = count_subjects(truths, subjects, overlap)
    return found
