"""Click2Graph in training: as in use, with gradients where they belong."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from c2g_jax.checkpoints.pretrained import seeded_click2graph
from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.click2graph.clip import encode_clip, follow_subjects, predict_clip
from c2g_jax.click2graph.loss import RelationLoss
from c2g_jax.click2graph.model import click2graph_config, follow, segment_points
from c2g_jax.click2graph.pooling import pool_mask
from c2g_jax.click2graph.targets import clip_targets
from c2g_jax.click2graph.task import Click2GraphTask
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.loader import clip_loader
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.training.optim import Group, OptimConfig, make_optimizer
from c2g_jax.training.state import split_params
from tests.data.fake import fake_dataset
from tests.small_sam2 import one_block_config

SIZE, FRAMES = 64, 2
LOSS = RelationLoss(true_points=1.0, soft_predicates=True)


@pytest.fixture(scope="module")
def model():
    """One block a stage and two layers of DIDM, quick to compile; the toy's widths."""
    config = click2graph_config(one_block_config(SIZE))
    didm = dataclasses.replace(config.didm, num_layers=2)
    model = seeded_click2graph(dataclasses.replace(config, didm=didm), seed=0)
    # Everything is in view, as absent objects teach nothing.
    score = model.sam2.sam_mask_decoder.pred_obj_score_head.layers[-1]
    score.bias[...] += 100.0
    return model


@pytest.fixture(scope="module")
def batch() -> dict[str, np.ndarray]:
    dataset, _ = fake_dataset()
    config = ClipConfig(
        "relations",
        num_frames=FRAMES,
        image_size=SIZE,
        max_subjects=2,
        max_objects=4,
    )
    iterator = iter(clip_loader(dataset, "train", config, 2, seed=3))
    batch = next(iterator)
    batch["prompt_kind"][:] = [[0, 2], [2, 0]]
    return batch


@pytest.fixture(scope="module")
def clip(batch) -> dict[str, np.ndarray]:
    return {name: value[0] for name, value in batch.items()}


@pytest.fixture(scope="module")
def parts(model, clip):
    """Features, subjects and prediction of one clip, with true points."""
    targets = clip_targets(clip, SIZE // 4)
    masks = clip["segments"][0] == clip["subjects"][:, None, None]
    prompts = Prompts(clip["prompt_coords"], clip["prompt_labels"])

    @jax.jit
    def run(model):
        features = encode_clip(model, clip["frames"])
        subjects = follow_subjects(
            model, features, prompts, masks, clip["prompt_kind"] == 2
        )
        return (
            features,
            subjects,
            predict_clip(model, features, subjects, true_points=targets.points),
        )

    return run(model)


def test_subjects_are_followed_as_in_use(model, clip, parts):
    features, subjects, _ = parts
    masks = clip["segments"][0] == clip["subjects"][:, None, None]
    frames = [jax.tree.map(lambda x, t=t: x[t][None], features) for t in range(FRAMES)]
    prompts = Prompts(clip["prompt_coords"], clip["prompt_labels"])
    by_points = jax.jit(track.segment)(model.sam2, frames[0], prompts)
    by_mask = jax.jit(track.segment_mask)(
        model.sam2, frames[0], masks.astype(jnp.float32)
    )
    first = jax.tree.map(lambda a, b: jnp.stack([a[0], b[1]]), by_points, by_mask)
    everyone = np.ones(2, bool)
    bank = memory.empty_bank(model.config.sam2, 2)
    bank = jax.jit(track.remember)(
        model.sam2, bank, frames[0], first, np.int32(0), everyone, everyone
    )
    np.testing.assert_allclose(
        subjects.mask_logits[0], first.mask_logits, rtol=1e-4, atol=1e-4
    )
    for t in range(1, FRAMES):
        bank, answer = follow(
            model.sam2, bank, frames[t], np.int32(t), everyone, np.int32(track.LONG)
        )
        # Two programs compiled apart round apart.
        np.testing.assert_allclose(
            subjects.mask_logits[t], answer.mask_logits, rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(
            subjects.obj_ptr[t], answer.obj_ptr, rtol=1e-3, atol=1e-4
        )


def test_every_frame_is_looked_at_as_in_use(model, clip, parts):
    features, subjects, prediction = parts
    t, q = 1, model.config.didm.num_queries

    @jax.jit
    def as_in_use(model, features, subjects):
        here = jax.tree.map(lambda x: x[t][None], features)
        masks = subjects.mask_logits[t] > 0
        points = model.didm(here.embed, masks).points
        rows = segment_points(model.sam2, here, points.reshape(-1, 2))
        logits = model.sch(
            jnp.repeat(pool_mask(here.embed, masks), q, axis=0),
            pool_mask(here.embed, rows.mask_logits > 0),
            jnp.repeat(subjects.obj_ptr[t], q, axis=0),
            rows.obj_ptr,
        )
        return points, rows, logits

    points, rows, logits = as_in_use(model, features, subjects)
    np.testing.assert_allclose(prediction.found.points[t], points, atol=1e-5)
    got = prediction.found.mask_logits[t].reshape(2 * q, *rows.mask_logits.shape[1:])
    np.testing.assert_allclose(got, rows.mask_logits, rtol=1e-3, atol=1e-3)
    for mine, theirs in zip(prediction.found.class_logits, logits, strict=True):
        np.testing.assert_allclose(
            mine[t].reshape(theirs.shape), theirs, rtol=1e-3, atol=1e-4
        )
    true = clip_targets(clip, SIZE // 4).points
    np.testing.assert_array_equal(prediction.at_truth.points, true)


@pytest.fixture(scope="module")
def learning(model, batch):
    """`step(params, moments, weights)` on one batch, and what it begins with.

    The loss is the sum of the terms by their weights. The step returns new parameters
    and moments, the loss, the terms, and which parameters the gradient reaches.
    """
    task = Click2GraphTask(model, LOSS)
    parts = split_params(task)
    config = OptimConfig(30, {"all": Group(".*", 1e-3)}, weight_decay=0.0)
    optimizer = make_optimizer(config, parts.trained)

    @jax.jit
    def step(params, moments, weights):
        def value(params):
            keys = jax.random.split(jax.random.key(0), len(batch["frames"]))
            terms = task.loss(parts.whole(params), batch, None, keys, False)[1]
            taken = sorted(weights.keys() & terms.keys())
            return sum(weights[name] * terms[name] for name in taken), terms

        (loss, terms), grads = jax.value_and_grad(value, has_aux=True)(params)
        updates, moments = optimizer.update(grads, moments, params)
        reached = jax.tree.map(lambda x: jnp.any(x != 0), grads)
        return optax.apply_updates(params, updates), moments, loss, terms, reached

    return step, parts, optimizer.init(parts.trained)


def only(*terms: str) -> dict[str, float]:
    return {name: float(name in terms) for name in LOSS.weights()}


def names_of(reached) -> set[str]:
    return {name for name, value in reached.items() if value}


def test_gradients_go_where_they_belong(learning):
    step, parts, moments = learning
    dice = names_of(step(parts.trained, moments, only("dice"))[-1])
    # Masks of objects reach DIDM through the coordinates of its points.
    assert {name.split(".")[0] for name in dice} == {"didm"}
    predicate = names_of(step(parts.trained, moments, only("predicate"))[-1])
    assert {n for n in predicate if n.startswith("sch.predicate.")}
    assert not {n for n in predicate if n.startswith(("sch.object.", "sch.subject."))}


@pytest.mark.parametrize(
    ("detached", "reached"),
    [
        ({}, {"dice": {"didm"}, "predicate": {"didm", "sch"}}),
        ({"detach_pointers": True}, {"dice": {"didm"}, "predicate": {"sch"}}),
        ({"detach_points": True}, {"dice": set(), "predicate": {"sch"}}),
    ],
)
def test_what_moves_points(model, batch, detached, reached):
    task = Click2GraphTask(model, RelationLoss(**detached))
    parts = split_params(task)

    @jax.jit
    @jax.jacrev
    def gradients(params):
        keys = jax.random.split(jax.random.key(0), len(batch["frames"]))
        terms = task.loss(parts.whole(params), batch, None, keys, False)[1]
        return {name: terms[name] for name in reached}

    for term, by_name in gradients(parts.trained).items():
        found = {name.split(".")[0] for name, x in by_name.items() if np.any(x)}
        assert found == reached[term], term


def test_all_that_trains_learns_one_clip_and_nothing_else(learning, model):
    step, parts, moments = learning
    assert {name.split(".")[0] for name in parts.trained} == {"didm", "sch"}
    assert {name.split(".")[0] for name in parts.frozen} == {"sam2"}
    before = {k: np.array(v) for k, v in parameters(model).items()}
    held = [jax.tree_util.keystr(p) for p, _ in jax.tree.leaves_with_path(moments)]
    assert not [name for name in held if "sam2." in name]
    for name in parts.trained:
        assert len([key for key in held if f"'{name}'" in key]) == 2, name
    params, losses, met = parts.trained, [], set()
    for _ in range(30):
        params, moments, loss, terms, reached = step(params, moments, LOSS.weights())
        losses.append(float(loss))
        met |= names_of(reached)
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.4 * losses[0]
    assert float(terms["shown_object"]) < 1.0
    assert met == set(params)
    after = parameters(parts.whole(params))
    assert after.keys() == before.keys()
    for name in before:
        kept = np.array_equal(after[name], before[name])
        assert kept == name.startswith("sam2."), name
