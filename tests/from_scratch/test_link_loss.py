"""Which bodies a body has to do with, against a plain loop."""

import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.from_scratch.link_loss import link_error

IDS = np.array([3, 5, 8, 0], np.int32)


def plain(embedding: np.ndarray, cells: np.ndarray, holds: np.ndarray) -> float:
    """The definition, cell by cell: embedding [t, h, w, c], cells [t, h, w] of ids."""
    total, weights = 0.0, 0.0
    for t, (image, ids) in enumerate(zip(embedding, cells, strict=True)):
        x, ids = image.reshape(-1, image.shape[-1]), ids.ravel()
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        turned = np.roll(x, x.shape[1] // 4, axis=1)
        known = np.isin(ids, IDS[IDS > 0])
        for i in np.flatnonzero(known):
            row = IDS.tolist().index(ids[i])
            share = np.exp(20 * turned @ x[i]) * known
            share /= share.sum()
            related = [
                share[ids == IDS[j]].sum()
                for j in range(len(IDS))
                if holds[row, j, t].any() and (ids == IDS[j]).any() and IDS[j]
            ]
            if related:
                weight = 1 / (ids == ids[i]).sum()
                total += -weight * np.mean(np.log(related))
                weights += weight
    return total / weights


def drawn(seed: int):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(2, 4, 4, 16)).astype(np.float32)
    cells = rng.choice([0, 3, 5, 7, 8], (2, 4, 4)).astype(np.uint8)
    return embedding, cells, rng.random((4, 4, 2, 6)) < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_plain_loop_says(seed):
    embedding, cells, holds = drawn(seed)
    segments = cells.repeat(2, axis=1).repeat(2, axis=2)
    got = link_error(jnp.asarray(embedding), segments, IDS, holds)
    assert float(got) == pytest.approx(plain(embedding, cells, holds), rel=1e-3)


def test_an_error_falls_as_cells_point_at_their_objects():
    cells = np.zeros((1, 4, 4), np.uint8)
    cells[0, 0], cells[0, 1], cells[0, 2] = 3, 5, 8
    holds = np.zeros((4, 4, 1, 6), bool)
    holds[0, 1, 0, 2] = True
    subject = np.random.default_rng(0).normal(size=64)
    embedding = np.random.default_rng(1).normal(size=(1, 4, 4, 64))
    embedding[cells == 3] = subject
    embedding[cells == 5] = np.roll(subject, -16)
    there = float(link_error(jnp.asarray(embedding), cells, IDS, holds))
    backward = holds.swapaxes(0, 1)
    assert there < 0.01
    assert float(link_error(jnp.asarray(embedding), cells, IDS, backward)) > 1


def test_nothing_related_is_no_error():
    embedding, cells, holds = drawn(0)
    assert float(link_error(jnp.asarray(embedding), cells, IDS, holds & False)) == 0
    assert float(link_error(jnp.asarray(embedding), cells * 0, IDS, holds)) == 0
