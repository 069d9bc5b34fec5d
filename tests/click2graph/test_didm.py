"""DIDM: a literal twin, where its queries start, and what must not matter to it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.click2graph.didm import (
    EVERYWHERE,
    KEYS,
    POINTED,
    Didm,
    DidmConfig,
    discover,
    near_cells,
)
from c2g_jax.click2graph.dropout import dropout
from c2g_jax.sam2.position import sine_position_encoding

CONFIG = DidmConfig(d_model=16, num_layers=2, num_heads=4, ffn=24, num_queries=3)


@pytest.fixture(scope="module")
def didm() -> Didm:
    return Didm(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def features() -> jax.Array:
    return jax.random.normal(jax.random.key(1), (1, 4, 6, 16))


def masks(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Bool [b, 16, 24] with a filled box (y0, y1, x0, x1) each."""
    out = np.zeros((len(boxes), 16, 24), bool)
    for mask, (y0, y1, x0, x1) in zip(out, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return out


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


def twin(didm: Didm, features: np.ndarray, subject: np.ndarray) -> list[np.ndarray]:
    """One subject's points after each layer, head by head and token by token."""
    c, heads = CONFIG.d_model, CONFIG.num_heads
    d = c // heads

    def linear(layer, x):
        return x @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])

    def norm(layer, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * np.asarray(layer.scale[...]) + np.asarray(layer.bias[...])

    def attention(layer, q, k, v):
        q, k = linear(layer.q_proj, q), linear(layer.k_proj, k)
        v, out = linear(layer.v_proj, v), np.zeros_like(q)
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            for i in range(len(q)):
                scores = np.array([q[i, part] @ key for key in k[:, part]]) / d**0.5
                weights = np.exp(scores - scores.max())
                out[i, part] = weights @ v[:, part] / weights.sum()
        return linear(layer.out_proj, out)

    h, w = features.shape[:2]
    image, place = features.reshape(-1, c), sine_position_encoding(h, w, c)
    place = place.reshape(-1, c)
    values = image + place if didm.config.positions == EVERYWHERE else image
    learned = np.concatenate(
        [np.asarray(didm.subject_embed[...])[None], np.asarray(didm.query_embed[...])]
    )
    tokens = learned.copy()
    tokens[0] += linear(didm.subject_proj, subject)
    points = []
    for layer in didm.layers:
        q = tokens + learned
        tokens = norm(layer.norm1, tokens + attention(layer.self_attn, q, q, tokens))
        q = tokens + learned
        seen = attention(layer.cross_attn, q, image + place, values)
        tokens = norm(layer.norm2, tokens + seen)
        hidden = np.maximum(linear(layer.linear1, tokens), 0)
        tokens = norm(layer.norm3, tokens + linear(layer.linear2, hidden))
        x = norm(didm.norm, tokens[1:])
        first, second, last = didm.point_head.layers
        x = np.maximum(linear(first, x), 0)
        x = np.maximum(linear(second, x), 0)
        points.append(1 / (1 + np.exp(-linear(last, x))))
    return points


@pytest.mark.parametrize("positions", [KEYS, EVERYWHERE])
def test_equals_a_literal_twin(positions, features):
    config = dataclasses.replace(CONFIG, positions=positions)
    didm = Didm(config, rngs=nnx.Rngs(0))
    subjects = np.asarray(jax.random.normal(jax.random.key(2), (2, 16)))
    out = didm(features, jnp.asarray(subjects))
    assert out.points.shape == (2, 3, 2)
    assert out.layer_points.shape == (2, 2, 3, 2)
    for i in range(2):
        for layer, points in enumerate(
            twin(didm, np.asarray(features[0]), subjects[i])
        ):
            np.testing.assert_allclose(out.layer_points[layer, i], points, atol=2e-5)
    np.testing.assert_array_equal(out.points, out.layer_points[-1])
    assert ((out.points > 0) & (out.points < 1)).all()


def test_a_subject_says_where_it_is_only_with_positions_everywhere():
    same = jnp.ones((1, 4, 6, 16))  # nothing but the place tells cells apart
    boxes = jnp.asarray(masks((0, 8, 0, 8), (8, 16, 16, 24)))
    place = np.asarray(sine_position_encoding(4, 6, 16))
    corners = [place[:2, :2].mean((0, 1)), place[2:, 4:].mean((0, 1))]
    for positions, told in ((KEYS, np.zeros((2, 16))), (EVERYWHERE, corners)):
        config = dataclasses.replace(CONFIG, positions=positions)
        didm = Didm(config, rngs=nnx.Rngs(0))
        described = didm.describe(same, boxes)
        np.testing.assert_allclose(described, 1.0 + np.array(told), atol=1e-6)
        first, second = discover(didm, same, boxes).points
        assert bool(np.abs(first - second).max() > 1e-4) == (positions == EVERYWHERE)


def pointed() -> Didm:
    return Didm(dataclasses.replace(CONFIG, queries=POINTED), rngs=nnx.Rngs(0))


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
    out = discover(didm, jnp.asarray(features), mask)
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
        out = discover(didm, features, mask, jax.random.key(0))
        return jnp.sum(out.layer_points**2) - jax.nn.log_softmax(out.heat)[0, 7]

    grads = jax.tree.leaves_with_path(nnx.state(jax.grad(loss)(didm)))
    still = {jax.tree_util.keystr(path) for path, g in grads if not np.any(g)}
    # The last layer starts at zero, so all before it learns from the second step on.
    assert not any("aim_" in name for name in still)
    assert not any("point_head']['layers'][2]" in name for name in still)
    plain = discover(didm, features, mask)
    for name, each in zip(plain._fields, plain, strict=True):
        assert np.isfinite(each).all(), name
    empty = discover(didm, features, jnp.asarray(masks((0, 0, 0, 0))))
    assert np.isfinite(empty.points).all()


def test_subjects_do_not_see_each_other_where_queries_are_pointed(features):
    boxes, didm = jnp.asarray(masks((0, 8, 0, 8), (4, 16, 12, 24))), pointed()
    together = discover(didm, features, boxes).points
    each = jnp.broadcast_to(features, (2, *features.shape[1:]))
    np.testing.assert_allclose(discover(didm, each, boxes).points, together, atol=1e-5)
    for i in range(2):
        alone = discover(didm, features, boxes[i : i + 1]).points
        np.testing.assert_allclose(together[i], alone[0], atol=1e-6)


def test_queries_are_a_set(didm, features):
    subject = jax.random.normal(jax.random.key(2), (1, 16))
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
    together = discover(didm, features, jnp.asarray(boxes)).points
    for i in range(3):
        alone = discover(didm, features, jnp.asarray(boxes[i : i + 1])).points
        np.testing.assert_allclose(together[i], alone[0], atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-4  # the subject matters
    each = jnp.broadcast_to(features, (3, *features.shape[1:]))
    apart = discover(didm, each, jnp.asarray(boxes)).points
    np.testing.assert_allclose(apart, together, atol=1e-5)


def test_gradients_are_finite_also_of_an_absent_subject(didm, features):
    def loss(didm, features, mask):
        out = discover(didm, features, mask)
        return jnp.sum((out.layer_points - 0.3) ** 2)

    for box in ((0, 8, 0, 8), (0, 0, 0, 0)):
        mask = jnp.asarray(masks(box), jnp.float32)
        grads = jax.grad(loss, argnums=(0, 1, 2))(didm, features, mask)
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
        assert np.abs(grads[1]).max() > 0


def test_dropout_needs_a_key_and_follows_it(didm, features):
    mask = jnp.asarray(masks((0, 8, 0, 8)))
    plain = discover(didm, features, mask).points
    np.testing.assert_array_equal(plain, discover(didm, features, mask).points)
    one = discover(didm, features, mask, jax.random.key(1)).points
    np.testing.assert_array_equal(
        one, discover(didm, features, mask, jax.random.key(1)).points
    )
    other = discover(didm, features, mask, jax.random.key(2)).points
    assert np.abs(one - plain).max() > 1e-4
    assert np.abs(one - other).max() > 1e-4


def test_dropout_keeps_the_mean_and_scales_what_stays():
    x = jnp.full((100, 100), 3.0)
    y = np.asarray(dropout(x, 0.25, jax.random.key(0)))
    np.testing.assert_allclose(np.unique(y), [0, 4])
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert dropout(x, 0.25, None) is x
    assert dropout(x, 0.0, jax.random.key(0)) is x


def test_half_precision_features_are_taken(didm, features):
    mask = jnp.asarray(masks((0, 8, 0, 8)))
    half = discover(didm, features.astype(jnp.bfloat16), mask).points
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, discover(didm, features, mask).points, atol=0.02)
