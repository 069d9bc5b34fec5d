"""The class of each cell, against sums by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.from_scratch.class_loss import class_error, level_error
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.types import NO_CLASS

NUM = 4


def directions(dim: int) -> np.ndarray:
    """Of the four classes, as the loss draws them."""
    codes = np.asarray(jax.random.normal(jax.random.key(0), (NUM, dim)))
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


def table(**classes: int) -> jax.Array:
    """Classes by id, as in i5=2."""
    categories = np.full(256, NO_CLASS, np.int32)
    for name, value in classes.items():
        categories[int(name[1:])] = value
    return jnp.asarray(categories)


def test_a_cell_of_two_classes_is_to_look_like_each_by_its_share():
    rng = np.random.default_rng(0)
    embed = rng.normal(size=(1, 1, 2, 8)).astype(np.float32)
    segments = np.zeros((1, 16, 32), np.uint8)
    segments[:, :4, :16] = 5  # a quarter of the first cell, and the rest is 9
    segments[:, 4:, :16] = 9
    segments[:, :, 16:24] = 9  # half of the second, and the rest is nothing
    square = np.concatenate([segments, np.zeros_like(segments)], axis=1)
    embed = np.concatenate([embed, embed], axis=1)
    got = level_error(embed, square, table(i5=2, i9=0), NUM)
    unit = embed[0, 0] / np.linalg.norm(embed[0, 0], axis=1, keepdims=True)
    logits = 16 * unit @ directions(8).T
    says = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    # 16 looks a cell: 4 and 12 in the first, 8 and none in the second.
    want = -(4 * says[0, 2] + 12 * says[0, 0] + 8 * says[1, 0]) / 24
    assert float(got) == pytest.approx(want, rel=1e-5)


def test_the_length_of_features_does_not_matter_and_their_direction_does():
    codes = directions(128)
    segments = np.full((2, 8, 8), 7, np.uint8)
    embed = np.broadcast_to(codes[3], (2, 2, 2, 128))
    right = level_error(0.01 * embed, segments, table(i7=3), NUM)
    assert float(right) < 1e-4
    assert float(level_error(50.0 * embed, segments, table(i7=3), NUM)) < 1e-4
    assert float(level_error(embed, segments, table(i7=1), NUM)) > 8.0


def test_nothing_known_costs_nothing_and_has_no_gradient():
    embed = jnp.zeros((1, 2, 2, 8))
    segments = np.zeros((1, 8, 8), np.uint8)
    value, slope = jax.value_and_grad(level_error)(embed, segments, table(), NUM)
    assert float(value) == 0.0
    assert np.isfinite(np.asarray(slope)).all()
    assert not np.asarray(slope).any()


def test_all_levels_count_alike():
    rng = np.random.default_rng(1)
    segments = rng.integers(5, 7, (1, 64, 64)).astype(np.uint8)
    embed, fine, middle = (
        jnp.asarray(rng.normal(size=(1, side, side, dim)), jnp.float32)
        for side, dim in ((4, 32), (16, 4), (8, 8))
    )
    known = table(i5=2, i6=1)
    each = [level_error(x, segments, known, NUM) for x in (embed, fine, middle)]
    got = class_error(FrameFeatures(embed, (fine, middle)), segments, known, NUM)
    assert float(got) == pytest.approx(sum(map(float, each)) / 3, rel=1e-6)
