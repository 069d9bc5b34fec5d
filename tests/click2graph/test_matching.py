"""The assignment against scipy's, with ties, too few objects and too few queries."""

import jax
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from c2g_jax.click2graph.matching import match

matching = jax.jit(match)


@pytest.mark.parametrize("shape", [(3, 8), (3, 2), (3, 3), (1, 4)])
def test_equals_scipy(shape):
    rng = np.random.default_rng(sum(shape))
    for turn in range(100):
        cost = (rng.random(shape) * 28).astype(np.float32)
        cost = np.round(cost) if turn % 3 == 0 else cost  # with ties
        valid = rng.random(shape[1]) < rng.random()
        got = matching(cost, valid)
        queries = np.flatnonzero(got.matched)
        objects = np.asarray(got.objects)[queries]
        assert len(queries) == min(shape[0], valid.sum())
        assert len(set(objects)) == len(objects)
        assert valid[objects].all()
        rows, columns = linear_sum_assignment(cost[:, valid])
        best = cost[:, valid][rows, columns].sum()
        assert cost[queries, objects].sum() == pytest.approx(best, abs=1e-4)


def test_by_hand():
    # Greedy would give query 0 its best object and pay 1 + 9 in all.
    cost = np.array([[1.0, 2.0], [3.0, 9.0]], np.float32)
    got = matching(cost, np.array([True, True]))
    assert got.objects.tolist() == [1, 0]
    got = matching(cost, np.array([False, True]))
    assert got.matched.tolist() == [True, False]
    assert got.objects.tolist() == [1, 0]


def test_nothing_to_match():
    got = matching(np.ones((3, 4), np.float32), np.zeros(4, bool))
    assert not got.matched.any()
    assert not got.objects.any()
