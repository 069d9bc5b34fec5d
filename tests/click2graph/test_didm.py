"""DIDM: its size, a literal twin, and invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.click2graph.didm import Didm, DidmConfig
from tests.click2graph.didm_twin import SHAPE, masks, twin

CONFIG = DidmConfig(**SHAPE)


@pytest.fixture(scope="module")
def didm() -> Didm:
    return Didm(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def features() -> jax.Array:
    return jax.random.normal(jax.random.key(1), (1, 4, 6, 16))


def test_parameters_by_hand():
    config = DidmConfig()
    attention = 4 * (256 * 256 + 256)
    ffn = 256 * 1024 + 1024 + 1024 * 256 + 256
    layer = 2 * attention + ffn + 3 * 2 * 256
    assert layer == 1_053_440
    point_head = 2 * (256 * 256 + 256) + 256 * 2 + 2
    subject, queries, last_norm = 256 * 256 + 256 + 256, 3 * 256, 2 * 256
    shapes = nnx.eval_shape(lambda: Didm(config, rngs=nnx.Rngs(0)))
    count = sum(x.size for x in jax.tree.leaves(nnx.state(shapes)))
    assert count == 3 * layer + subject + queries + last_norm + point_head == 3_359_746


BOXES = masks((0, 8, 0, 8), (4, 16, 12, 24))  # of whole cells


def test_equals_a_literal_twin(didm, features):
    out = didm(features, jnp.asarray(BOXES))
    assert out.points.shape == (2, 3, 2)
    assert out.layer_points.shape == (2, 2, 3, 2)
    for i in range(2):
        wanted = twin(didm, np.asarray(features[0]), BOXES[i])
        for layer, points in enumerate(wanted):
            np.testing.assert_allclose(out.layer_points[layer, i], points, atol=2e-5)
    np.testing.assert_array_equal(out.points, out.layer_points[-1])
    assert ((out.points > 0) & (out.points < 1)).all()


def test_where_a_subject_is_does_not_matter_only_how_it_looks(didm):
    same = jnp.ones((1, 4, 6, 16))  # only the position tells cells apart
    boxes = jnp.asarray(masks((0, 8, 0, 8), (8, 16, 16, 24)))
    first, second = didm(same, boxes).points
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_queries_are_a_set(didm, features):
    subject = jnp.asarray(BOXES[:1])
    points = didm(features, subject).points
    graph, state = nnx.split(didm)
    state = jax.tree.map(lambda x: x, state)
    order = jnp.array([2, 0, 1])
    state["query_embed"] = jax.tree.map(lambda x: x[order], state["query_embed"])
    turned = nnx.merge(graph, state)(features, subject).points
    np.testing.assert_allclose(turned, points[:, order], atol=1e-6)
    assert np.abs(points[0, 0] - points[0, 1]).max() > 1e-4  # queries do differ


def test_subjects_do_not_see_each_other(didm, features):
    boxes = masks((0, 8, 0, 8), (4, 16, 12, 24), (0, 0, 0, 0))
    together = didm(features, jnp.asarray(boxes)).points
    for i in range(3):
        alone = didm(features, jnp.asarray(boxes[i : i + 1])).points
        np.testing.assert_allclose(together[i], alone[0], atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-4  # the subject matters
    each = jnp.broadcast_to(features, (3, *features.shape[1:]))
    apart = didm(each, jnp.asarray(boxes)).points
    np.testing.assert_allclose(apart, together, atol=1e-5)


def test_gradients_are_finite_also_of_an_absent_subject(didm, features):
    def loss(didm, features, mask):
        out = didm(features, mask)
        return jnp.sum((out.layer_points - 0.3) ** 2)

    for box in ((0, 8, 0, 8), (0, 0, 0, 0)):
        mask = jnp.asarray(masks(box), jnp.float32)
        grads = jax.grad(loss, argnums=(0, 1, 2))(didm, features, mask)
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
        assert np.abs(grads[1]).max() > 0


def test_dropout_needs_a_key_and_follows_it(didm, features):
    mask = jnp.asarray(masks((0, 8, 0, 8)))
    plain = didm(features, mask).points
    np.testing.assert_array_equal(plain, didm(features, mask).points)
    one = didm(features, mask, jax.random.key(1)).points
    np.testing.assert_array_equal(one, didm(features, mask, jax.random.key(1)).points)
    other = didm(features, mask, jax.random.key(2)).points
    assert np.abs(one - plain).max() > 1e-4
    assert np.abs(one - other).max() > 1e-4


def test_half_precision_features_are_taken(didm, features):
    mask = jnp.asarray(masks((0, 8, 0, 8)))
    half = didm(features.astype(jnp.bfloat16), mask).points
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, didm(features, mask).points, atol=0.02)
