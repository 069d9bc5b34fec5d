"""Who points at whom, by hand and by a literal twin."""

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.from_scratch.pointing import peaks, pointing, unit


def test_pointing_goes_one_way():
    # The second has in channel 0 what the first has in channel 1, a quarter of four on.
    x = jnp.array([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(pointing(x, x), [[0, 1], [0, 0]])


def test_a_direction_of_nothing_is_nothing_and_has_finite_gradients():
    np.testing.assert_array_equal(unit(jnp.zeros((1, 3))), np.zeros((1, 3)))
    grad = jax.grad(lambda x: jnp.sum(unit(x)))(jnp.zeros((1, 3)))
    assert np.isfinite(grad).all()


def literal_peaks(heat: np.ndarray, features: np.ndarray, count: int) -> list[int]:
    taken, cells = np.zeros(len(heat), int), []
    lengths = np.linalg.norm(features, axis=-1)
    for _ in range(count):
        order = sorted(range(len(heat)), key=lambda i: (taken[i], -heat[i], i))
        cells.append(order[0])
        for i in range(len(heat)):
            cosine = features[i] @ features[order[0]] / lengths[i] / lengths[order[0]]
            taken[i] += cosine > 0.7
    return cells


def test_peaks_equal_a_literal_twin():
    rng = np.random.default_rng(0)
    bodies = rng.normal(size=(5, 8))
    for trial in range(20):
        member = rng.integers(0, 1 + trial % 5, 30)
        features = (bodies[member] + 0.1 * rng.normal(size=(30, 8))).astype(np.float32)
        heat = rng.uniform(-1, 1, (2, 30)).astype(np.float32)
        cells = peaks(jnp.asarray(heat), jnp.asarray(features)[None], 4)
        for row in range(2):
            assert cells[row].tolist() == literal_peaks(heat[row], features, 4)
