"""All subjects of a video scored together, counted by hand and by a slow twin."""

import numpy as np
import pytest

from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.all_subjects import (
    SUBJECTS,
    PredictedTriplet,
    score_all_ways,
)
from c2g_jax.evaluation.counting import ALL, ONE, WAYS, way_name
from c2g_jax.evaluation.pvsg_official import PredictedRelation, one_predicate
from tests.evaluation import twin
from tests.evaluation.scenes import row, video


def overlap_of(tracks, segments):
    def overlap(track, object_id):
        masks = zip(tracks[track], segments, strict=True)
        return np.array([twin.iou(mask, ids == object_id) for mask, ids in masks])

    return overlap


def total(counts, start):
    return sum(n for name, n in counts.items() if name.startswith(start))


def predicted(triplets, relations, length):
    """The twin's input as ours."""
    ours = {
        t: [PredictedTriplet(*x[:3], x[3]) for x in here]
        for t, here in triplets.items()
    }
    spans = [
        PredictedRelation(*x[:4], np.isin(np.arange(length), list(x[4])))
        for x in relations
    ]
    return ours, {ONE: spans, ALL: spans}


def test_two_subjects_on_a_frame_by_hand():
    # 1 and 2 chase each other; a third relation is of no predicted pair.
    segments = np.stack([row(1, 2, 3)] * 2)
    record = video(segments, [(1, 2, 7, 0, 1), (2, 1, 8, 0, 0), (3, 1, 7, 0, 0)])
    tracks = {i: segments == i for i in (1, 2, 3)}
    one, other = (1, 2, (11, 12, 7), 0.5), (2, 1, (12, 11, 8), 0.4)
    surer = (2, 1, (12, 11, 7), 0.6)  # the wrong predicate of the same pair
    triplets = {0: [one, other, surer], 1: [one]}
    relations = [(*one, {0, 1}), (*other, {0}), (*surer, {0, 1})]
    truths = pvsg_official.true_relations(record)
    counts = score_all_ways(
        truths, *_swapped(predicted(triplets, relations, 2)), [1, 2],
        overlap_of(tracks, segments),
    )  # fmt: skip
    by_name = {w: counts[way_name(*w)] for w in WAYS}
    assert {w: total(c, "relations") for w, c in by_name.items()} == {
        ("frame", "one"): 4,
        ("frame", "all"): 4,
        ("whole relation", "one"): 3,
        ("whole relation", "all"): 3,
    }
    assert {w: total(c, "R@20") for w, c in by_name.items()} == {
        ("frame", "one"): 2,  # `surer` stands in the place of `other`
        ("frame", "all"): 3,
        ("whole relation", "one"): 1,
        ("whole relation", "all"): 2,
    }
    # Frames with a relation: two of subject 1, one each of 2 and 3; 3 is not found.
    assert counts[SUBJECTS] == {"subject frames": 4, "subjects found": 3}


def _swapped(both):
    return both[1], both[0]


def test_one_predicate_a_pair_takes_frames_from_the_less_sure():
    def claim(predicate, score, frames):
        span = np.isin(np.arange(6), frames)
        return PredictedRelation("s", "o", (11, 12, predicate), score, span)

    found = one_predicate(
        [claim(1, 0.2, [0, 1, 2]), claim(2, 0.9, [2, 3]), claim(3, 0.1, [2, 3])]
    )
    spans = {r.labels[2]: np.flatnonzero(r.span).tolist() for r in found}
    assert spans == {2: [2, 3], 1: [0, 1]}
    # Of equals the predicate that comes first in the vocabulary.
    equal = one_predicate([claim(5, 0.5, [0]), claim(4, 0.5, [0])])
    assert [r.labels[2] for r in equal] == [4]


def test_a_k_beyond_the_predictions_takes_all_of_them():
    segments = row(1, 2)[None]
    record = video(segments, [(1, 2, 7, 0, 0)])
    triplets = {0: [(1, 2, (11, 12, 7), 0.5)]}
    relations = [(1, 2, (11, 12, 7), 0.5, {0})]
    tracks = {i: segments == i for i in (1, 2)}
    truths = pvsg_official.true_relations(record)
    ours, spans = predicted(triplets, relations, 1)
    counts = score_all_ways(truths, spans, ours, [1], overlap_of(tracks, segments))
    for way in WAYS:
        found = pvsg_official.summary(counts[way_name(*way)], weak=False)
        names = [f"{kind}@{k}" for k in (20, 50, 100) for kind in ("R", "mR")]
        assert found == dict.fromkeys(names, 100.0)


@pytest.mark.parametrize("seed", range(60))
def test_agrees_with_the_slow_twin(seed):
    rng = np.random.default_rng(seed)
    length, num = int(rng.integers(1, 5)), 4
    segments = rng.integers(0, num + 1, (length, 3, 4)).astype(np.uint8)
    record = video(
        segments,
        [
            (*rng.integers(1, num + 1, 2), rng.integers(4),
             *sorted(rng.integers(-1, 5, 2)))
            for _ in range(6)
        ],
        num_objects=num,
    )  # fmt: skip
    about = {i: int(rng.integers(1, num + 1)) for i in range(1, 6)}
    tracks = {i: (segments == true) for i, true in about.items()}
    for masks in tracks.values():
        masks &= rng.random(masks.shape) < rng.choice([0.8, 1.0])
    pairs = [(s, o) for s in (1, 2, 3) for o in tracks if s != o]

    def labels(pair, predicate):
        return (*(10 + about[i] for i in pair), predicate)

    # Few values of confidence: many are equal.
    triplets = {
        t: [
            (*pair, labels(pair, p), float(rng.integers(1, 5)) / 4)
            for pair in pairs
            for p in rng.permutation(4).tolist()
            if rng.random() < 0.9
        ]
        for t in range(length)
    }
    relations = [
        (*pair, labels(pair, p), float(rng.integers(1, 5)) / 4,
         set(np.flatnonzero(rng.random(length) < 0.7).tolist()))
        for pair in pairs
        for p in rng.permutation(4).tolist()
    ]  # fmt: skip
    ours, spans = predicted(triplets, relations, length)
    truths = pvsg_official.true_relations(record)
    counts = score_all_ways(truths, spans, ours, [1], overlap_of(tracks, segments))
    theirs = twin.score_together(record, segments, tracks, triplets, relations)
    for way in WAYS:
        own, slow = counts[way_name(*way)], theirs[way]
        assert total(own, "relations") == slow["units"]
        for k in (20, 50, 100):
            assert total(own, f"R@{k} ") == slow[k], (way, k)
