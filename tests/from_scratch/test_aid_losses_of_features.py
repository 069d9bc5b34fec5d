"""Auxiliary losses of image features, against plain loops and sums by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.from_scratch.aid_losses import (
    AidWeights,
    body_loss,
    class_loss,
    feature_losses,
    link_loss,
)
from c2g_jax.sam2.model import FrameFeatures
from c2g_jax.types import NO_CLASS

NUM = 4


def class_directions(dim: int) -> np.ndarray:
    """Of the four classes, as the loss draws them."""
    codes = np.asarray(jax.random.normal(jax.random.key(0), (NUM, dim)))
    return codes / np.linalg.norm(codes, axis=1, keepdims=True)


def class_table(**classes: int) -> jax.Array:
    """Classes by id, as in i5=2."""
    categories = np.full(256, NO_CLASS, np.int32)
    for name, value in classes.items():
        categories[int(name[1:])] = value
    return jnp.asarray(categories)


def test_a_cell_of_two_objects_has_both_classes_and_each_object_weighs_the_same():
    rng = np.random.default_rng(0)
    embed = rng.normal(size=(1, 1, 2, 8)).astype(np.float32)
    segments = np.zeros((1, 16, 32), np.uint8)
    segments[:, :4, :16] = 5  # a quarter of the first cell, and the rest is 9
    segments[:, 4:, :16] = 9
    segments[:, :, 16:24] = 9  # half of the second, and the rest is nothing
    square = np.concatenate([segments, np.zeros_like(segments)], axis=1)
    embed = np.concatenate([embed, embed], axis=1)
    got = class_loss(embed, square, class_table(i5=2, i9=0), NUM)
    unit = embed[0, 0] / np.linalg.norm(embed[0, 0], axis=1, keepdims=True)
    logits = 16 * unit @ class_directions(8).T
    says = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    # 16 looks a cell: 4 and 12 in the first, 8 and none in the second. The small object
    # has 4 in all, the other 20; each has half of the weight.
    want = -(says[0, 2] + (12 * says[0, 0] + 8 * says[1, 0]) / 20) / 2
    assert float(got) == pytest.approx(want, rel=1e-5)


def test_only_the_direction_of_features_matters():
    codes = class_directions(128)
    segments = np.full((2, 8, 8), 7, np.uint8)
    embed = np.broadcast_to(codes[3], (2, 2, 2, 128))
    right = class_loss(0.01 * embed, segments, class_table(i7=3), NUM)
    assert float(right) < 1e-4
    assert float(class_loss(50.0 * embed, segments, class_table(i7=3), NUM)) < 1e-4
    assert float(class_loss(embed, segments, class_table(i7=1), NUM)) > 8.0


def test_without_classes_error_and_gradient_are_zero():
    embed = jnp.zeros((1, 2, 2, 8))
    segments = np.zeros((1, 8, 8), np.uint8)
    value, gradient = jax.value_and_grad(class_loss)(
        embed, segments, class_table(), NUM
    )
    assert float(value) == 0.0
    assert np.isfinite(np.asarray(gradient)).all()
    assert not np.asarray(gradient).any()


def test_classes_and_bodies_are_taught_where_masks_are_read():
    rng = np.random.default_rng(1)
    segments = rng.integers(5, 7, (1, 64, 64)).astype(np.uint8)
    embed, fine, middle, upscaled = (
        jnp.asarray(rng.normal(size=(1, side, side, dim)), jnp.float32)
        for side, dim in ((4, 32), (16, 4), (8, 8), (16, 4))
    )
    clip = dict(segments=segments, categories=class_table(i5=2, i6=1))
    terms = feature_losses(
        AidWeights(classes=1.0, bodies=1.0),
        FrameFeatures(embed, (fine, middle)),
        upscaled,
        clip,
        NUM,
    )
    known = segments, clip["categories"], NUM
    classes = [float(class_loss(x, *known)) for x in (embed, middle, upscaled)]
    assert float(terms["classes"]) == pytest.approx(sum(classes) / 3, rel=1e-6)
    bodies = [float(body_loss(x, segments)) for x in (embed, upscaled)]
    assert float(terms["bodies"]) == pytest.approx(sum(bodies) / 2, rel=1e-6)


def plain_body_loss(embedding: np.ndarray, ids: np.ndarray) -> float:
    """The definition, pair by pair: embedding [t, h, w, c], ids of cells [t, h, w]."""
    total = weight = 0.0
    for frame, bodies in zip(embedding, ids, strict=True):
        x = frame.reshape(-1, frame.shape[-1])
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        cells = [i for i, body in enumerate(bodies.ravel()) if body]
        for i in cells:
            costs = {}  # by object
            for j in cells:
                same = bodies.ravel()[i] == bodies.ravel()[j]
                logit = 10 * (x[i] @ x[j] - 0.5)
                cost = np.log1p(np.exp(-logit if same else logit))
                costs.setdefault(bodies.ravel()[j], []).append(cost)
            each = np.mean(costs.pop(bodies.ravel()[i]))
            own = np.sum(bodies == bodies.ravel()[i])
            each += np.mean([np.mean(x) for x in costs.values()]) if costs else 0.0
            total += each / own
            weight += 1 / own
    return total / weight


def test_the_body_error_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(2, 3, 3, 4)).astype(np.float32)
    ids = rng.integers(0, 4, (2, 3, 3)).astype(np.uint8)
    segments = np.zeros((2, 12, 12), np.uint8)
    segments[:, 2::4, 2::4] = ids  # what lies under the centres, and nothing else
    got = body_loss(jnp.asarray(embedding), jnp.asarray(segments))
    assert float(got) == pytest.approx(plain_body_loss(embedding, ids), rel=1e-5)


def test_of_many_cells_a_part_is_compared():
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(1, 24, 24, 4)).astype(np.float32)
    ids = rng.integers(0, 4, (1, 24, 24)).astype(np.uint8)
    got = body_loss(jnp.asarray(embedding), jnp.asarray(ids))
    want = plain_body_loss(embedding[:, ::3, ::3], ids[:, ::3, ::3])
    assert float(got) == pytest.approx(want, rel=1e-5)


def test_the_body_error_is_least_for_one_direction_per_object():
    bodies = np.repeat(np.array([[1, 1], [2, 3]], np.uint8), 4, 0).repeat(4, 1)[None]
    ways = jnp.eye(4)[jnp.array([[0, 0], [1, 2]])][None]
    assert float(body_loss(ways, bodies)) < 0.02
    assert float(body_loss(5.0 * ways, bodies)) < 0.02  # the length says nothing
    assert float(body_loss(jnp.ones((1, 2, 2, 4)), bodies)) > 4.0  # all are one


def test_without_objects_body_error_and_gradient_are_zero():
    value, gradient = jax.value_and_grad(body_loss)(
        jnp.zeros((1, 2, 2, 4)), jnp.zeros((1, 8, 8), jnp.uint8)
    )
    assert float(value) == 0.0
    assert not np.asarray(gradient).any()


IDS = np.array([3, 5, 8, 0], np.int32)


def plain_link_loss(
    embedding: np.ndarray, cells: np.ndarray, holds: np.ndarray
) -> float:
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


def drawn_link_case(seed: int):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(2, 4, 4, 16)).astype(np.float32)
    cells = rng.choice([0, 3, 5, 7, 8], (2, 4, 4)).astype(np.uint8)
    return embedding, cells, rng.random((4, 4, 2, 6)) < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_the_link_error_equals_a_plain_loop(seed):
    embedding, cells, holds = drawn_link_case(seed)
    segments = cells.repeat(2, axis=1).repeat(2, axis=2)
    got = link_loss(jnp.asarray(embedding), segments, IDS, holds)
    assert float(got) == pytest.approx(
        plain_link_loss(embedding, cells, holds), rel=1e-3
    )


def test_the_link_error_falls_as_cells_point_at_their_objects():
    cells = np.zeros((1, 4, 4), np.uint8)
    cells[0, 0], cells[0, 1], cells[0, 2] = 3, 5, 8
    holds = np.zeros((4, 4, 1, 6), bool)
    holds[0, 1, 0, 2] = True
    subject = np.random.default_rng(0).normal(size=64)
    embedding = np.random.default_rng(1).normal(size=(1, 4, 4, 64))
    embedding[cells == 3] = subject
    embedding[cells == 5] = np.roll(subject, -16)
    there = float(link_loss(jnp.asarray(embedding), cells, IDS, holds))
    backward = holds.swapaxes(0, 1)
    assert there < 0.01
    assert float(link_loss(jnp.asarray(embedding), cells, IDS, backward)) > 1


def test_without_relations_the_link_error_is_zero():
    embedding, cells, holds = drawn_link_case(0)
    assert float(link_loss(jnp.asarray(embedding), cells, IDS, holds & False)) == 0
    assert float(link_loss(jnp.asarray(embedding), cells * 0, IDS, holds)) == 0
