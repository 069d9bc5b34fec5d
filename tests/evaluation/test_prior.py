"""Scores of a prior by hand, and its weights against a slow literal twin."""

from dataclasses import replace

import numpy as np
import pytest

from c2g_jax.click2graph.prior import Prior, PriorWeights, count_relations
from c2g_jax.evaluation import prior as scoring
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary

NAMES = Vocabulary(("cat", "dog"), ("mat",), ("on", "chasing", "near"))
CAT, DOG, MAT = ON, CHASING, NEAR = range(3)
TRAINING = np.array(
    [[CAT, MAT, ON]] * 3 + [[CAT, MAT, NEAR]] + [[DOG, CAT, CHASING]] * 2
)
WEIGHTS = PriorWeights(pair=2, subject=1, object=1, name=2, share=0.5, tail=1)


def test_ranks_by_hand_and_ties_in_the_order_of_columns():
    scores = np.array([[0.2, 0.5, 0.3]] * 3 + [[0.4, 0.4, 0.4]] * 3)
    labels = np.array([0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(scoring.ranks(scores, labels), [2, 0, 1, 0, 1, 2])


def test_recalls_by_hand():
    found = scoring.recalls(np.array([0, 1, 2, 9, 10]), np.array([7, 7, 3, 3, 3]))
    want = {"R@1": 20, "R@3": 60, "R@5": 60, "R@10": 80}
    want |= {"mR@1": 25, "mR@3": (100 + 100 / 3) / 2, "mR@5": (100 + 100 / 3) / 2}
    assert found == pytest.approx(want | {"mR@10": (100 + 200 / 3) / 2})


def test_scores_by_hand():
    counts = count_relations(TRAINING, 3, 3)
    relations = np.array(
        [[CAT, MAT, NEAR], [DOG, MAT, ON], [DOG, MAT, CHASING], [MAT, DOG, NEAR]]
    )
    scores = scoring.score_prior(Prior(NAMES, counts, WEIGHTS), relations)
    # Places in the list: by frequency (on, chasing, near) 2, 0, 1, 2; by back-off (the
    # pair; twice the dog, where on and near are equal; all) 1, 1, 0, 2; interpolated
    # (tests/click2graph/test_prior.py has the probabilities) 1, 0, 1, 2; and its tail
    # (dog and mat: 0.90, 1.27, 0.79; cat and mat: 1.54, 0.07, 1.29; equal) 1, 1, 0, 2.
    third = 100 / 3
    for name, share, mean in (
        ("frequency", 25, third),
        ("back-off", 25, third),
        ("prior", 25, third),
        ("prior/tail", 25, third),
    ):
        assert scores[name]["R@1"] == share
        assert scores[name]["mR@1"] == pytest.approx(mean)
        assert scores[name]["R@3"] == scores[name]["mR@3"] == 100
    # Objects: of the cat the mat, first; of the dog the cat, then the mat by P(o),
    # twice; of the mat, which was no subject: mat, cat, dog.
    assert scores["objects"]["R@1"] == 25
    assert (scores["relations"], scores["predicates"], scores["pairs seen"]) == (
        4,
        3,
        25,
    )
    labels = relations[:, 2]
    for rows, want in (
        (scoring.back_off(counts, relations), [1, 1, 0, 2]),
        (counts.predicates(*relations[:, :2].T, WEIGHTS), [1, 0, 1, 2]),
        (counts.tail_scores(*relations[:, :2].T, WEIGHTS), [1, 1, 0, 2]),
    ):
        np.testing.assert_array_equal(scoring.ranks(rows, labels), want)


def literal_value(videos, weights, sizes, row, column, metric):
    """What `fit_prior` compares, one relation at a time."""
    hits = {}
    folds = min(10, len(videos))
    for i, video in enumerate(videos):
        others = [v for j, v in enumerate(videos) if j % folds != i % folds]
        counts = count_relations(np.concatenate(others), *sizes)
        for relation in video:
            scores = row(counts, relation, weights)
            label = relation[column]
            order = sorted(range(len(scores)), key=lambda c: (-scores[c], c))
            hits.setdefault(int(label), []).append(order.index(label))
    groups = (
        hits.values()
        if metric == "mR"
        else [[r for group in hits.values() for r in group]]
    )
    shares = [np.mean([r < k for r in g]) for k in scoring.KS for g in groups]
    return 100 * len(scoring.KS) * np.mean(shares)


def test_no_change_of_one_weight_is_better_by_a_slow_twin():
    random = np.random.default_rng(0)
    names = Vocabulary(tuple("abcd"), (), tuple("pqrstuv"))
    sizes = 4, 7
    videos = []
    for _ in range(6):
        pairs = random.integers(0, 4, (5, 2))
        labels = (pairs[:, :1] + 2 * pairs[:, 1:] + random.integers(0, 2, (5, 1))) % 7
        videos.append(np.c_[pairs, labels])
    found = scoring.fit_prior(videos, names, {}).weights
    parts = (
        (lambda c, r, w: c.predicates(r[:1], r[1:2], w)[0], 2, "R",
         {"pair": 6, "subject": 6, "object": 6, "share": 11}),
        (lambda c, r, w: c.objects(r[:1], w)[0], 1, "R", {"name": 6}),
        (lambda c, r, w: c.tail_scores(r[:1], r[1:2], w)[0], 2, "mR", {"tail": 11}),
    )  # fmt: skip
    for row, column, metric, tried in parts:
        best = literal_value(videos, found, sizes, row, column, metric)
        for name, count in tried.items():
            choices = scoring._COUNTS if count == 6 else scoring._SHARES
            assert len(choices) == count
            for choice in choices:
                other = replace(found, **{name: choice})
                value = literal_value(videos, other, sizes, row, column, metric)
                assert value <= best + 1e-9, (name, choice)  # float64 means


def test_a_video_is_never_judged_by_itself():
    """Each video has a pair of its own; held out, only the frequency is left."""
    names = Vocabulary(("a", "b", "c", "d"), (), ("p", "q"))
    videos = [np.array([[0, 1, 0]]), np.array([[2, 3, 1]])]
    fitted = scoring.fit_prior(videos, names, {"split": "train"})
    # Of either video only the other's predicate was seen: no weight changes that.
    assert fitted.weights == PriorWeights()
    assert fitted.origin == {"split": "train", "videos": 2, "relations": 2, "folds": 2}


def test_too_little_to_choose_by_and_nothing_at_all():
    one = [TRAINING, np.zeros((0, 3), int)]
    fitted = scoring.fit_prior(one, NAMES, {})
    assert fitted.weights == PriorWeights()
    assert (fitted.origin["folds"], fitted.origin["videos"]) == (0, 2)
    for none in ([], [np.zeros((0, 3), int)]):
        with pytest.raises(InputError, match="no relation in the training videos"):
            scoring.fit_prior(none, NAMES, {})
