"""Which cells are one body, against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.from_scratch.body_loss import body_error


def plain(embedding: np.ndarray, ids: np.ndarray) -> float:
    """The definition, pair by pair: embedding [t, h, w, c], ids of cells [t, h, w]."""
    total = weight = 0.0
    for frame, bodies in zip(embedding, ids, strict=True):
        x = frame.reshape(-1, frame.shape[-1])
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        cells = [i for i, body in enumerate(bodies.ravel()) if body]
        for i in cells:
            costs = {True: [], False: []}
            for j in cells:
                same = bodies.ravel()[i] == bodies.ravel()[j]
                logit = 10 * (x[i] @ x[j] - 0.5)
                costs[bool(same)].append(np.log1p(np.exp(-logit if same else logit)))
            each = np.mean(costs[True])
            each += np.mean(costs[False]) if costs[False] else 0.0
            total += each / len(costs[True])
            weight += 1 / len(costs[True])
    return total / weight


def test_all_pairs_of_a_frame_count_by_their_bodies():
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(2, 3, 3, 4)).astype(np.float32)
    ids = rng.integers(0, 4, (2, 3, 3)).astype(np.uint8)
    segments = np.zeros((2, 12, 12), np.uint8)
    segments[:, 2::4, 2::4] = ids  # what lies under the centres, and nothing else
    got = body_error(jnp.asarray(embedding), jnp.asarray(segments))
    assert float(got) == pytest.approx(plain(embedding, ids), rel=1e-5)


def test_one_way_for_a_body_and_another_for_the_next_is_best():
    bodies = np.repeat(np.array([[1, 1], [2, 3]], np.uint8), 4, 0).repeat(4, 1)[None]
    ways = jnp.eye(4)[jnp.array([[0, 0], [1, 2]])][None]
    assert float(body_error(ways, bodies)) < 0.02
    assert float(body_error(5.0 * ways, bodies)) < 0.02  # the length says nothing
    assert float(body_error(jnp.ones((1, 2, 2, 4)), bodies)) > 4.0  # all are one


def test_without_objects_there_is_neither_error_nor_slope():
    value, slope = jax.value_and_grad(body_error)(
        jnp.zeros((1, 2, 2, 4)), jnp.zeros((1, 8, 8), jnp.uint8)
    )
    assert float(value) == 0.0
    assert not np.asarray(slope).any()
