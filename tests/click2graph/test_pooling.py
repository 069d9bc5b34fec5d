"""Pooling of features under masks, by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from c2g_jax.click2graph.pooling import area_matrix, pool_mask


def test_pooling_by_hand():
    # Cells of 2x2 pixels. The mask covers cell (0, 0) whole and a quarter of (0, 1).
    cells = np.array([[[[8.0], [4.0]], [[100.0], [100.0]]]])  # [1, 2, 2, 1]
    mask = np.zeros((1, 4, 4), bool)
    mask[0, 0:2, 0:2] = True
    mask[0, 1, 2] = True
    pooled = pool_mask(jnp.asarray(cells), jnp.asarray(mask))
    # (1 * 8 + 0.25 * 4) / 1.25
    np.testing.assert_allclose(pooled, [[7.2]], rtol=1e-6)


def test_pooling_of_soft_masks_and_of_a_map_each():
    cells = np.arange(8.0).reshape(2, 2, 2, 1)
    soft = np.zeros((2, 2, 2))
    soft[0] = [[0.5, 0.0], [0.0, 0.25]]  # (0.5 * 0 + 0.25 * 3) / 0.75 = 1
    soft[1] = [[0.0, 1.0], [1.0, 0.0]]  # (5 + 6) / 2 = 5.5
    pooled = pool_mask(jnp.asarray(cells), jnp.asarray(soft))
    np.testing.assert_allclose(pooled, [[1.0], [5.5]], rtol=1e-6)


def test_pooling_where_cells_and_pixels_do_not_align():
    # Three pixels over two cells: the middle one is shared, half in each.
    np.testing.assert_allclose(
        area_matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], rtol=1e-6
    )
    # One pixel over two cells covers both.
    np.testing.assert_allclose(area_matrix(1, 2), [[1], [1]])
    for pixels, cells in ((480, 64), (37, 5), (3, 7)):
        matrix = area_matrix(pixels, cells)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(
            matrix.sum(axis=0), cells / pixels, rtol=1e-4
        )  # no pixel counts more than another


def test_one_pixel_of_a_large_mask_pools_to_its_cell():
    cells = jax.random.normal(jax.random.key(0), (1, 4, 4, 5))
    mask = np.zeros((1, 1024, 1024), bool)
    mask[0, 700, 10] = True  # row 700 / 256 = 2, column 0
    pooled = pool_mask(cells, jnp.asarray(mask))
    np.testing.assert_allclose(pooled[0], cells[0, 2, 0], rtol=1e-4)


def test_an_empty_mask_pools_to_zero_and_has_finite_gradients():
    features = jax.random.normal(jax.random.key(1), (1, 4, 6, 16))

    def loss(features, mask):
        return jnp.sum(pool_mask(features, mask) ** 2 + pool_mask(features, mask))

    empty = jnp.zeros((2, 16, 24))
    np.testing.assert_array_equal(pool_mask(features, empty), np.zeros((2, 16)))
    for grad in jax.grad(loss, argnums=(0, 1))(features, empty):
        assert np.isfinite(grad).all()
