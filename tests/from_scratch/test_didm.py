"""DIDM for models trained from scratch: positions everywhere, and pointed queries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.click2graph.didm import Didm, DidmConfig
from c2g_jax.from_scratch.didm import (
    EVERYWHERE,
    KEYS,
    LEARNED,
    POINTED,
    FromScratchDidm,
    FromScratchDidmConfig,
    didm_config,
    near_cells,
)
from tests.click2graph.didm_twin import SHAPE, masks, twin


def build(positions: str = KEYS, queries: str = LEARNED) -> FromScratchDidm:
    config = FromScratchDidmConfig(**SHAPE, positions=positions, queries=queries)
    return config.build(rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def features() -> jax.Array:
    return jax.random.normal(jax.random.key(1), (1, 4, 6, 16))


@pytest.mark.parametrize("positions", [KEYS, EVERYWHERE])
def test_equals_a_literal_twin(positions, features):
    didm, boxes = build(positions), masks((0, 8, 0, 8), (4, 16, 12, 24))
    out = didm(features, jnp.asarray(boxes))
    for i in range(2):
        wanted = twin(didm, np.asarray(features[0]), boxes[i], positions == EVERYWHERE)
        for layer, points in enumerate(wanted):
            np.testing.assert_allclose(out.layer_points[layer, i], points, atol=2e-5)
    np.testing.assert_array_equal(out.points, out.layer_points[-1])


def test_the_papers_choices_are_the_papers_module(features):
    paper = didm_config(**SHAPE, positions=KEYS, queries=LEARNED)
    assert type(paper) is DidmConfig
    assert type(paper.build(rngs=nnx.Rngs(0))) is Didm
    ours, mask = build(), jnp.asarray(masks((0, 8, 0, 8)))
    wanted = paper.build(rngs=nnx.Rngs(0))(features, mask).points
    np.testing.assert_array_equal(ours(features, mask).points, wanted)
    for fields in ({"positions": EVERYWHERE}, {"queries": POINTED}):
        assert type(didm_config(**SHAPE, **fields)) is FromScratchDidmConfig


def test_a_subject_says_where_it_is_only_with_positions_everywhere():
    same = jnp.ones((1, 4, 6, 16))  # nothing but the place tells cells apart
    boxes = jnp.asarray(masks((0, 8, 0, 8), (8, 16, 16, 24)))
    for positions in (KEYS, EVERYWHERE):
        didm = build(positions=positions)
        first, second = didm(same, boxes).points
        assert bool(np.abs(first - second).max() > 1e-4) == (positions == EVERYWHERE)


def pointed() -> FromScratchDidm:
    return build(queries=POINTED)


def test_pointed_queries_start_at_what_the_subject_points_at():
    """Three bodies of a direction each: the first points at the second, then the third.

    Pointing is by channels turned by a quarter, 4 of 16: what the first has in channel
    4 is what it looks for in channel 0 of others.
    """
    features = np.zeros((1, 4, 6, 16), np.float32)
    features[0, :, :, 15] = 1.0  # all else
    features[0, :2, :2] = np.eye(16)[4] + 0.5 * np.eye(16)[5]
    features[0, 0, 5] = np.eye(16)[0]  # by 4, fully
    features[0, 3, 2:4] = np.eye(16)[1]  # by 5, half as much
    mask = jnp.asarray(masks((0, 8, 0, 8)))
    didm = pointed()
    heat = didm.aim(jnp.asarray(features), mask)[0].reshape(4, 6)
    cosine = 1 / np.sqrt(1.25)
    assert float(heat[0, 5]) == pytest.approx(cosine, abs=1e-4)
    assert float(heat[3, 2]) == pytest.approx(cosine / 2, abs=1e-4)
    np.testing.assert_allclose(heat[:2, :2], -3.0, atol=1e-4)  # itself, by no means
    out = didm(jnp.asarray(features), mask)
    # Cells of 1/6 x 1/4; the head starts with no offset but its bias, which is zero.
    np.testing.assert_allclose(out.points[0, 0], [5.5 / 6, 0.5 / 4], atol=1e-6)
    np.testing.assert_allclose(out.points[0, 1], [2.5 / 6, 3.5 / 4], atol=1e-6)
    other = features[0][tuple((np.array(out.points[0, 2]) * [6, 4]).astype(int)[::-1])]
    np.testing.assert_array_equal(other, np.eye(16)[15])  # not the third's other cell


def test_offsets_stay_within_reach_and_inside_the_image():
    cells, far = jnp.array([[0, 8, 23]]), jnp.full((1, 3, 2), 100.0)
    points = near_cells(cells, far, 4, 6)
    np.testing.assert_allclose(
        points[0], [[1.5 / 6, 1.5 / 4], [3.5 / 6, 2.5 / 4], [1, 1]]
    )
    points = near_cells(cells, -far, 4, 6)
    np.testing.assert_allclose(points[0, :2], [[0, 0], [1.5 / 6, 0.5 / 4]])


def test_pointed_queries_learn_where_to_aim_and_what_to_add(features):
    didm, mask = pointed(), jnp.asarray(masks((0, 8, 0, 8)))

    def loss(didm):
        out = didm(features, mask, jax.random.key(0))
        return jnp.sum(out.layer_points**2) - jax.nn.log_softmax(out.heat)[0, 7]

    grads = jax.tree.leaves_with_path(nnx.state(jax.grad(loss)(didm)))
    still = {jax.tree_util.keystr(path) for path, g in grads if not np.any(g)}
    # The last layer starts at zero, so all before it learns from the second step on.
    assert not any("aim_" in name for name in still)
    assert not any("point_head']['layers'][2]" in name for name in still)
    plain = didm(features, mask)
    for name, each in vars(plain).items():
        assert np.isfinite(each).all(), name
    empty = didm(features, jnp.asarray(masks((0, 0, 0, 0))))
    assert np.isfinite(empty.points).all()


def test_subjects_do_not_see_each_other_where_queries_are_pointed(features):
    boxes, didm = jnp.asarray(masks((0, 8, 0, 8), (4, 16, 12, 24))), pointed()
    together = didm(features, boxes).points
    each = jnp.broadcast_to(features, (2, *features.shape[1:]))
    np.testing.assert_allclose(didm(each, boxes).points, together, atol=1e-5)
    for i in range(2):
        alone = didm(features, boxes[i : i + 1]).points
        np.testing.assert_allclose(together[i], alone[0], atol=1e-6)
