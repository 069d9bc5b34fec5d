"""The worked example of docs/results.md, "What counts as a hit", in all its ways."""

import numpy as np
import pytest

from c2g_jax.evaluation import pvsg_official
from c2g_jax.evaluation.all_subjects import PredictedTriplet, score_all_ways
from c2g_jax.evaluation.counting import ALL, ONE, WAYS, way_name
from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.metrics import score_subject
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.pvsg_official import PredictedRelation
from tests.evaluation.scenes import (
    PredictedFrame,
    Prediction,
    frame_predictions,
    row,
    video,
)

CHASING, NEAR = 7, 8
# A dog (1) and a cat (2) on four frames: chasing on all, near on the first two.
SEGMENTS = np.stack([row(1, 1, 2, 2)] * 4)
VIDEO = video(SEGMENTS, [(1, 2, CHASING, 0, 3), (1, 2, NEAR, 0, 1)])
SCORES = {CHASING: 0.6, NEAR: 0.5}
# Only the mask of the cat on the last frame is wrong.
RIGHT = (True, True, True, False)


@pytest.mark.parametrize(
    ("predicates", "hits", "tubes"), [((CHASING,), 3, 1), ((CHASING, NEAR), 5, 2)]
)
def test_by_frame_and_by_tube(predicates, hits, tubes):
    protocol = Protocol(multi_predicate=len(predicates) > 1)
    (truth,) = video_truth(VIDEO, protocol).subjects
    seen = {}
    for t, right in enumerate(RIGHT):
        mask = SEGMENTS[t] == (2 if right else 1)
        found = [Prediction(2, mask, (11, 12, p), SCORES[p]) for p in predicates]
        seen[t] = PredictedFrame(SEGMENTS[t] == 1, found)
    counts = score_subject(truth, frame_predictions(truth, SEGMENTS, seen), 0, protocol)
    assert (counts["units"], counts["R@3"]) == (6, hits)
    assert (counts["tubes"], counts["tube R@3"]) == (2, tubes)


@pytest.mark.parametrize(
    ("predicates", "hits"), [((CHASING,), 1), ((CHASING, NEAR), 2)]
)
def test_by_pvsg_s_whole_relations(predicates, hits):
    def overlap(track, object_id):
        right = np.ones(4) if track == 1 else np.array(RIGHT, float)
        return right * (track == object_id)

    found = [
        PredictedRelation(1, 2, (11, 12, p), SCORES[p], np.ones(4, bool))
        for p in predicates
    ]
    truths = pvsg_official.true_relations(VIDEO)
    assert pvsg_official.viou(truths[0], found[0], overlap) == 0.75
    counts = pvsg_official.score_video(truths, found, overlap)
    assert sum(counts[f"relations {p}"] for p in SCORES) == 2
    assert sum(counts[f"R@20 {p}"] for p in SCORES) == hits
    assert sum(counts[f"weak@20 {p}"] for p in SCORES) == hits


def test_all_subjects_together():
    def overlap(track, object_id):
        right = np.ones(4) if track == 1 else np.array(RIGHT, float)
        return right * (track == object_id)

    triplets = {
        t: [PredictedTriplet(1, 2, (11, 12, p), SCORES[p]) for p in SCORES]
        for t in range(4)
    }
    everywhere = np.ones(4, bool)
    relations = [
        PredictedRelation(1, 2, (11, 12, p), SCORES[p], everywhere) for p in SCORES
    ]
    truths = pvsg_official.true_relations(VIDEO)
    both = {ONE: relations, ALL: relations}
    counts = score_all_ways(truths, both, triplets, [1], overlap)
    found = {}
    for way in WAYS:
        own = counts[way_name(*way)]
        found[way] = tuple(
            sum(own[f"{kind} {p}"] for p in SCORES) for kind in ("R@20", "relations")
        )
    assert found == {
        ("frame", "one"): (3, 6),
        ("frame", "all"): (5, 6),
        ("whole relation", "one"): (1, 2),
        ("whole relation", "all"): (2, 2),
    }
