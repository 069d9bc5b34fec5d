"""R@K, SpIR and PLR on frames where the answer can be counted by hand."""

import itertools

import numpy as np
import pytest

from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.metrics import score_subject
from c2g_jax.evaluation.protocol import Protocol
from tests.evaluation import twin
from tests.evaluation.scenes import (
    PredictedFrame,
    Prediction,
    frame_predictions,
    random_case,
    row,
    video,
)

DEFAULT = Protocol()


def score(segments, relations, seen, protocol=DEFAULT, prompt=0, **options):
    record = video(segments, relations, **options)
    (truth,) = video_truth(record, protocol).subjects
    return score_subject(
        truth, frame_predictions(truth, segments, seen), prompt, protocol
    )


def prediction(frame, object_id, predicate, true_id=None, confidence=0.5):
    """A prediction with the very mask of an object, by the right names."""
    true_id = object_id if true_id is None else true_id
    return Prediction(
        object_id, frame == true_id, (11, 10 + true_id, predicate), confidence
    )


def test_one_pair_found_and_named():
    frame = row(1, 1, 2, 2)
    seen = {0: PredictedFrame(frame == 1, [prediction(frame, 2, 7)], [(2.5, 0.5)])}
    counts = score(frame[None], [(1, 2, 7, 0, 0)], seen)
    assert counts["units"] == counts["R@3"] == 1
    assert counts["pairs"] == counts["SpIR"] == counts["masks"] == 1
    assert counts["PLR pairs"] == counts["PLR"] == 1
    assert counts["points"] == counts["points inside"] == 1
    assert counts["tubes"] == counts["tube R@3"] == 1
    assert counts["subject IoU"] == counts["subject frames"] == 1
    assert counts["predicate 7"] == counts["R@3 predicate 7"] == 1
    assert counts["confusion 7 7"] == 1


@pytest.mark.parametrize("wrong", [(0, 12, 7), (11, 0, 7), (11, 12, 8)])
def test_a_wrong_name_costs_the_triplet_alone(wrong):
    frame = row(1, 1, 2, 2)
    seen = {0: PredictedFrame(frame == 1, [Prediction(5, frame == 2, wrong)])}
    counts = score(frame[None], [(1, 2, 7, 0, 0)], seen)
    assert counts["R@3"] == counts["pair_any@3"] == 0
    assert counts["SpIR"] == 1


def test_an_iou_of_exactly_a_half_is_a_hit():
    frame = row(1, 1, 2, 2, 0, 0)
    half = row(0, 0, 1, 0, 0, 0) > 0  # 1 of 2 pixels
    seen = {0: PredictedFrame(frame == 1, [Prediction(5, half, (11, 12, 7))])}
    counts = score(frame[None], [(1, 2, 7, 0, 0)], seen)
    assert counts["R@3"] == counts["SpIR"] == 1
    less = row(0, 0, 1, 0, 1, 0) > 0  # 1 of 3
    seen = {0: PredictedFrame(frame == 1, [Prediction(5, less, (11, 12, 7))])}
    assert score(frame[None], [(1, 2, 7, 0, 0)], seen)["SpIR"] == 0
    # The subject's mask has to be right as well, and a half is.
    for subject, hits in ((row(1, 0, 0, 0, 0, 0), 1), (row(1, 0, 0, 0, 0, 1), 0)):
        seen = {0: PredictedFrame(subject > 0, [prediction(frame, 2, 7)])}
        assert score(frame[None], [(1, 2, 7, 0, 0)], seen)["SpIR"] == hits


def test_empty_masks_hit_nothing():
    frame = row(1, 1, 2, 2)
    nothing = frame > 9
    seen = {0: PredictedFrame(nothing, [prediction(frame, 2, 7)])}
    counts = score(frame[None], [(1, 2, 7, 0, 0)], seen)
    assert (counts["R@3"], counts["SpIR"], counts["masks"]) == (0, 0, 1)
    seen = {0: PredictedFrame(frame == 1, [Prediction(2, nothing, (11, 12, 7))])}
    assert score(frame[None], [(1, 2, 7, 0, 0)], seen)["SpIR"] == 0
    counts = score(frame[None], [(1, 2, 7, 0, 0)], {})
    assert (counts["units"], counts["SpIR"], counts["masks"]) == (1, 0, 0)


def test_the_last_frame_of_a_span_counts_and_the_next_does_not():
    segments = np.stack([row(1, 2)] * 4)
    seen = {
        t: PredictedFrame(segments[t] == 1, [prediction(segments[t], 2, 7)])
        for t in range(4)
    }
    counts = score(segments, [(1, 2, 7, 1, 2)], seen, prompt=1)
    assert counts["units"] == counts["R@3"] == counts["masks"] == 2


def test_three_masks_a_frame_cannot_find_more_than_three_objects():
    frame = row(1, 2, 3, 4, 5)
    relations = [(1, i, 7, 0, 0) for i in (2, 3, 4, 5)]
    predictions = [prediction(frame, i, 7, confidence=1 / i) for i in (2, 3, 4, 5)]
    points = [(i - 0.5, 0.5) for i in (2, 3, 4)]
    counts = score(
        frame[None], relations, {0: PredictedFrame(frame == 1, predictions, points)}
    )
    assert (counts["units"], counts["R@3"]) == (4, 3)
    assert (counts["pairs"], counts["SpIR"], counts["masks"]) == (4, 3, 3)
    assert (counts["PLR pairs"], counts["PLR"]) == (4, 3)
    more = Protocol(ks=(1, 4), queries=4)
    counts = score(
        frame[None], relations, {0: PredictedFrame(frame == 1, predictions)}, more
    )
    assert (counts["R@1"], counts["R@4"], counts["SpIR"]) == (1, 4, 4)


def test_the_surest_predictions_are_the_first_k():
    frame = row(1, 2, 3)
    predictions = [
        prediction(frame, 3, 8, confidence=0.2),
        prediction(frame, 2, 7, confidence=0.9),
    ]
    seen = {0: PredictedFrame(frame == 1, predictions)}
    counts = score(frame[None], [(1, 2, 7, 0, 0)], seen, Protocol(ks=(1,)))
    assert counts["R@1"] == 1
    predictions = [
        prediction(frame, 3, 8, confidence=0.9),
        prediction(frame, 2, 7, confidence=0.2),
    ]
    seen = {0: PredictedFrame(frame == 1, predictions)}
    counts = score(frame[None], [(1, 2, 7, 0, 0)], seen, Protocol(ks=(1, 2)))
    assert (counts["R@1"], counts["R@2"]) == (0, 1)


def test_duplicates_hit_once_and_cost_precision():
    frame = row(1, 2, 2, 3)
    predictions = [prediction(frame, i, 7, true_id=2) for i in (20, 21, 22)]
    seen = {0: PredictedFrame(frame == 1, predictions)}
    counts = score(frame[None], [(1, 2, 7, 0, 0), (1, 3, 7, 0, 0)], seen)
    assert (counts["R@3"], counts["SpIR"], counts["masks"]) == (1, 1, 3)
    # Suppressed by their overlap, or known to be one object, they cost nothing.
    counts = score(
        frame[None], [(1, 2, 7, 0, 0)], seen, Protocol(mask_nms=0.8, ks=(3,))
    )
    assert (counts["SpIR"], counts["masks"]) == (1, 1)
    same = [g._replace(object_id=20) for g in predictions]
    counts = score(
        frame[None], [(1, 2, 7, 0, 0)], {0: PredictedFrame(frame == 1, same)}
    )
    assert (counts["SpIR"], counts["masks"]) == (1, 1)


def test_one_mask_over_two_objects_hits_one():
    # Half of the mask is one object, half the other: both overlaps are 0.5.
    frame = row(1, 2, 3)
    both = Prediction(5, row(0, 1, 1) > 0, (11, 12, 7))
    relations = [(1, 2, 7, 0, 0), (1, 3, 7, 0, 0)]
    seen = {0: PredictedFrame(frame == 1, [both])}
    assert score(frame[None], relations, seen)["SpIR"] == 1
    assert score(frame[None], relations, seen, Protocol(one_to_one=False))["SpIR"] == 2
    # A second mask takes the object that the first leaves, whichever comes first.
    for predictions in itertools.permutations([both, prediction(frame, 3, 7)]):
        counts = score(
            frame[None], relations, {0: PredictedFrame(frame == 1, predictions)}
        )
        assert counts["SpIR"] == 2


def test_a_pair_with_two_predicates_is_two_units():
    frame = row(1, 2)
    relations = [(1, 2, 7, 0, 0), (1, 2, 8, 0, 0)]
    seen = {0: PredictedFrame(frame == 1, [prediction(frame, 2, 8)])}
    counts = score(frame[None], relations, seen)
    assert (counts["units"], counts["R@3"]) == (2, 1)
    assert (counts["pairs"], counts["pair_any@3"], counts["SpIR"]) == (1, 1, 1)
    assert counts["confusion 8 8"] == 1
    assert not counts["confusion 7 8"]
    # With several words for one object all can be right.
    both = [prediction(frame, 2, 8), prediction(frame, 2, 7, confidence=0.4)]
    counts = score(frame[None], relations, {0: PredictedFrame(frame == 1, both)})
    assert (counts["R@3"], counts["SpIR"], counts["masks"]) == (2, 1, 1)


def test_points_are_counted_by_object_and_by_point():
    frame = row(1, 2, 2, 3, 0)
    relations = [(1, 2, 7, 0, 0), (1, 3, 7, 0, 0)]
    points = [(1.0, 0.2), (2.99, 0.9), (4.5, 0.5)]  # two in object 2, one in none
    counts = score(frame[None], relations, {0: PredictedFrame(frame == 1, [], points)})
    assert (counts["PLR pairs"], counts["PLR"]) == (2, 1)
    assert (counts["points"], counts["points inside"]) == (3, 2)
    # A point on the far border belongs to the last pixel.
    counts = score(
        row(1, 2)[None],
        [(1, 2, 7, 0, 0)],
        {0: PredictedFrame(row(1, 0) > 0, [], [(2.0, 1.0)])},
    )
    assert counts["PLR"] == 1


def test_an_object_that_is_no_partner_at_the_time_has_no_claim_on_points():
    segments = np.stack([row(1, 2, 3)] * 2)
    relations = [(1, 2, 7, 0, 0), (1, 3, 7, 1, 1)]
    seen = {t: PredictedFrame(segments[t] == 1, [], [(2.5, 0.5)]) for t in range(2)}
    counts = score(segments, relations, seen)
    assert (counts["PLR"], counts["points inside"], counts["points"]) == (1, 1, 2)


def test_points_count_on_frames_where_the_model_looks():
    segments = np.stack([row(1, 2)] * 5)
    seen = {t: PredictedFrame(segments[t] == 1, [], [(1.5, 0.5)]) for t in range(5)}
    for every, pairs in ((1, 5), (2, 3), (0, 1)):
        protocol = Protocol(discover_every=every)
        counts = score(segments, [(1, 2, 7, 0, 4)], seen, protocol)
        assert counts["PLR pairs"] == counts["PLR"] == counts["points"] == pairs
        assert counts["pairs"] == 5


def test_a_tube_is_hit_on_half_of_its_frames():
    segments = np.stack([row(1, 2)] * 4)
    for hits, tubes in ((1, 0), (2, 1)):
        seen = {
            t: PredictedFrame(segments[t] == 1, [prediction(segments[t], 2, 7)])
            for t in range(hits)
        }
        counts = score(segments, [(1, 2, 7, 0, 3)], seen)
        assert counts["R@3"] == hits
        assert (counts["tubes"], counts["tube R@3"], counts["tube SpIR"]) == (
            1,
            tubes,
            tubes,
        )


def test_the_name_of_a_subject_by_frame_or_by_vote():
    segments = np.stack([row(1, 2)] * 3)
    names = (11, 11, 99)
    seen = {
        t: PredictedFrame(
            segments[t] == 1, [Prediction(2, segments[t] == 2, (name, 12, 7))]
        )
        for t, name in enumerate(names)
    }
    relations = [(1, 2, 7, 0, 2)]
    assert score(segments, relations, seen)["R@3"] == 2
    vote = Protocol(subject_label="tube_vote")
    assert score(segments, relations, seen, vote)["R@3"] == 3


OPTIONS = [
    Protocol(ks=(1, 3, 20)),
    Protocol(ks=(2, 3), tau=0.3),
    Protocol(ks=(3,), one_to_one=False, queries=2),
    Protocol(ks=(3,), mask_nms=0.6, tube_share=0.7),
    Protocol(ks=(3,), subject_label="tube_vote", discover_every=2),
    Protocol(ks=(3,), tau=0.25, discover_every=0),
]


@pytest.mark.parametrize("seed", range(200))
def test_agrees_with_the_slow_twin(seed):
    rng = np.random.default_rng(seed)
    protocol = OPTIONS[seed % len(OPTIONS)]
    record, segments, seen = random_case(rng)
    subjects = [t for t in video_truth(record, protocol).subjects if t.subject_id == 1]
    if not subjects:
        assert not twin.score(record, segments, seen, 0, protocol)["units"]
        return
    (truth,) = subjects
    prompt = int(truth.frames[0])
    seen = {t: frame for t, frame in seen.items() if t >= prompt}
    ours = score_subject(
        truth, frame_predictions(truth, segments, seen), prompt, protocol
    )
    theirs = twin.score(record, segments, seen, prompt, protocol)
    names = {n for n in ours | theirs if not n.startswith("confusion")}
    for name in sorted(names):
        assert ours[name] == pytest.approx(theirs[name]), name
