"""What the loss for models trained from scratch adds to the paper's, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.click2graph.loss import RelationLoss
from c2g_jax.click2graph.matching import assign
from c2g_jax.from_scratch.didm import PointedOutput
from c2g_jax.from_scratch.pointing import SHARPNESS
from c2g_jax.from_scratch.relation_loss import FromScratchRelationLoss, pointing_error
from tests.click2graph.by_hand import prediction, queries, targets


def test_a_point_beyond_the_cap_is_measured_by_it_and_not_pulled():
    found = queries([(0.1, 0.1), (0.9, 0.9), (0.5, 0.5)])
    true = targets([(0.8, 0.9), (0.2, 0.2)], [[1, 0], [0, 1]])
    config = FromScratchRelationLoss(point_cap=0.015)
    assigned = assign(config, found, true)

    def error(points):
        return config.point_error(points, true, *assigned)

    assert float(error(found.points)) == pytest.approx((0.015 + 0.01) / 2, abs=1e-6)
    pull = jax.grad(error)(found.points)[0, 0]
    np.testing.assert_allclose(pull, [[0, 0], [0.1, 0], [0, 0]], atol=1e-6)


def test_pointing_by_hand():
    true = targets([(0.2, 0.2), (0.8, 0.8)], [[1, 0], [0, 0]])  # the first alone holds
    seen = jnp.ones((1, 1), bool)
    heat = jnp.log(jnp.array([[[0.5, 0.2, 0.2, 0.1]]])) / SHARPNESS  # of 2 x 2 cells
    error = pointing_error(heat, true, seen)
    assert float(error) == pytest.approx(-np.log(0.5), abs=1e-4)
    half = true._replace(object_masks=0.5 * true.object_masks)  # of the cell's area
    error = pointing_error(heat, half, seen)
    assert float(error) == pytest.approx(-np.log(0.25), abs=1e-4)
    assert float(pointing_error(heat, true, ~seen)) == 0.0


def test_the_total_is_the_papers_and_the_weighted_pointing_error():
    true = targets([(0.2, 0.2), (0.8, 0.8)], [[1, 0], [0, 0]])
    clip, key = prediction(queries([(0.1, 0.1), (0.9, 0.9)])), jax.random.key(0)
    config = FromScratchRelationLoss(pointing=5.0)
    paper, terms = RelationLoss()(clip, true, key)
    total, same = config(clip, true, key)  # of learned queries: no heat
    assert (float(total), same.keys()) == (float(paper), terms.keys())
    points = clip.discovered.points, clip.discovered.layer_points
    heat = jnp.log(jnp.array([[[0.5, 0.2, 0.2, 0.1]]])) / SHARPNESS
    pointed = clip._replace(discovered=PointedOutput(*points, heat))
    total, more = config(pointed, true, key)
    assert more.keys() - terms.keys() == {"pointing"}
    assert float(more["pointing"]) == pytest.approx(-np.log(0.5), abs=1e-4)
    assert float(total - paper) == pytest.approx(-5 * np.log(0.5), abs=1e-3)
    assert config.weights() == RelationLoss().weights() | {"pointing": 5.0}
