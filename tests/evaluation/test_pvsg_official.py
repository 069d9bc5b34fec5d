"""PVSG's own metric, its oddities included, on overlaps written by hand."""

import numpy as np
import pytest

from c2g_jax.evaluation.pvsg_official import (
    PredictedRelation,
    ranked,
    score_video,
    summary,
    true_relations,
    viou,
)
from tests.evaluation.scenes import row, video

LABELS = (11, 12, 7)
TOTAL = 10


def record(first=2, last=5, labels=LABELS):
    """1 and 2 on ten frames, related from first to last."""
    relations = [(1, 2, labels[2], first, last)]
    (truth,) = true_relations(video(np.stack([row(1, 2)] * TOTAL), relations))
    return truth


def claim(first, last, score=0.5, labels=LABELS, subject="s", other="o", length=TOTAL):
    span = np.zeros(length, bool)
    span[first : last + 1] = True
    return PredictedRelation(subject, other, labels, score, span)


def overlaps(**tracks):
    """overlap(track, id): a track with its own object, s with 1, o with 2."""

    def overlap(track, object_id):
        values = tracks.get(track, np.ones(TOTAL))
        own = {"s": 1, "o": 2}.get(track[0])
        return np.asarray(values) * (own == object_id)

    return overlap


PERFECT = overlaps()


def test_true_frames_are_inclusive_and_need_both_masks():
    segments = np.stack([row(1, 2), row(1, 0), row(1, 2), row(1, 2)])
    relations = [(1, 2, 7, 0, 2), (1, 2, 7, 3, 3), (1, 1, 7, 0, 3), (2, 1, 8, 1, 1)]
    one, other = true_relations(video(segments, relations))
    assert one.frames.tolist() == [0, 2, 3]  # spans of one triple are one relation
    assert one.labels == (11, 12, 7)
    assert (other.labels, other.frames.tolist()) == ((12, 11, 8), [])


def test_vioU_is_the_share_of_true_frames():
    truth = record(2, 5)
    assert viou(truth, claim(2, 5), PERFECT) == 1
    assert viou(truth, claim(4, 5), PERFECT) == 0.5
    assert viou(truth, claim(6, 9), PERFECT) == 0
    half = np.full(TOTAL, 0.5)
    assert viou(truth, claim(2, 5), overlaps(s=half, o=half)) == 1
    assert viou(truth, claim(2, 5), overlaps(o=half - 0.01)) == 0
    partly = np.ones(TOTAL)
    partly[2] = 0.4
    assert viou(truth, claim(2, 5), overlaps(s=partly)) == 0.75


def test_spans_that_are_too_long_cost_nothing():
    assert viou(record(2, 5), claim(0, 9), PERFECT) == 1


def test_frames_past_the_predicted_span_are_passed_over():
    assert viou(record(2, 5), claim(2, 3, length=4), PERFECT) == 1
    assert viou(record(2, 5), claim(0, 1, length=2), PERFECT) == 0


def test_all_three_names_count():
    for labels in ((0, 12, 7), (11, 0, 7), (11, 12, 8)):
        counts = score_video([record()], [claim(2, 5, labels=labels)], PERFECT)
        assert counts["R@20 7"] == counts["weak@100 7"] == 0
        assert counts["relations 7"] == 1


def test_a_truth_that_is_never_in_view_counts_and_cannot_be_hit():
    truth = true_relations(video(np.stack([row(1, 0)] * TOTAL), [(1, 2, 7, 2, 5)]))
    counts = score_video(truth, [claim(0, 9)], PERFECT)
    assert (counts["relations 7"], counts["R@100 7"]) == (1, 0)


def test_the_rank_decides_and_predictions_without_masks_take_a_place():
    nothing = np.zeros(TOTAL)
    lost = [claim(2, 5, 0.9, subject=f"s{i}") for i in range(20)]
    tracks = {f"s{i}": nothing for i in range(20)}
    claims = ranked([*lost, claim(2, 5, 0.1)])
    counts = score_video([record()], claims, overlaps(**tracks))
    assert (counts["R@20 7"], counts["R@50 7"], counts["R@100 7"]) == (0, 1, 1)
    counts = score_video([record()], claims[1:], overlaps(**tracks))
    assert counts["R@20 7"] == 1


def test_only_the_first_hundred_pairs_are_ranked():
    claims = [claim(2, 5, 1 - i / 1000, subject=f"s{i}") for i in range(101)]
    again = claim(0, 0, 0.0, subject="s0")  # of a pair that is in
    kept = ranked([*claims, again])
    assert [c.subject for c in kept] == [f"s{i}" for i in range(100)] + ["s0"]
    equal = [claim(2, 5, 0.5, subject=f"s{i}") for i in range(3)]
    assert [c.subject for c in ranked(equal, max_pairs=2)] == ["s0", "s1"]


def test_weak_hits_are_counted_without_a_cap_as_released_and_with_one():
    few = np.zeros(TOTAL)
    few[2] = 1  # one of four frames: 0.25
    weak = {f"s{i}": few for i in range(3)}
    claims = [claim(2, 5, 0.9 - i / 10, subject=f"s{i}") for i in range(3)]
    claims += [claim(2, 5, 0.3), claim(2, 5, 0.2, subject="s9")]
    counts = score_video([record()], ranked(claims), overlaps(**weak))
    # Five match; the fourth is good enough and ends the search.
    assert counts["weak (released)@20 7"] == 4
    assert counts["weak@20 7"] == 1
    assert counts["R@20 7"] == 1


def test_a_tenth_is_a_weak_hit():
    truth = record(0, 9)
    one = np.zeros(TOTAL)
    one[3] = 1
    counts = score_video([truth], [claim(0, 9)], overlaps(s=one))
    assert (counts["weak@20 7"], counts["R@20 7"]) == (1, 0)


def test_recall_is_pooled_and_mean_recall_is_over_predicates():
    truths = [record(), record(1, 4), record(labels=(11, 12, 8))]
    counts = score_video(truths, [claim(0, 9, labels=(11, 12, 8))], PERFECT)
    numbers = summary(counts)
    assert numbers["R@20"] == pytest.approx(100 / 3)
    assert numbers["mR@20"] == pytest.approx(50)
    assert numbers["weak mR@100 (released)"] == pytest.approx(50)
    assert summary(score_video([], [], PERFECT)) == {}
