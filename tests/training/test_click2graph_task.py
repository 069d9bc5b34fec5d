"""Click2Graph in training: as in use, with gradients where they belong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from c2g_jax.click2graph import click2graph_config, follow, segment_points
from c2g_jax.data.clips import ClipConfig
from c2g_jax.data.loader import clip_loader
from c2g_jax.didm import discover, pool_mask
from c2g_jax.pretrained import seeded_click2graph
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.prompts import Prompts
from c2g_jax.training.click2graph_task import Click2GraphTask
from c2g_jax.training.relation_loss import RelationLoss, clip_targets
from c2g_jax.training.relations import encode_clip, follow_subjects, predict_clip
from tests.data.fake import fake_dataset

SIZE, FRAMES = 64, 2
HEADS = nnx.Any(nnx.PathContains("didm"), nnx.PathContains("sch"))


@pytest.fixture(scope="module")
def model():
    model = seeded_click2graph(click2graph_config(sam2_config("toy", SIZE)), seed=0)
    # Everything is in view: where nothing is there is nothing to learn.
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
    by_points = track.segment(model.sam2, frames[0], prompts)
    by_mask = track.segment_mask(model.sam2, frames[0], masks.astype(jnp.float32))
    first = jax.tree.map(lambda a, b: jnp.stack([a[0], b[1]]), by_points, by_mask)
    everyone = np.ones(2, bool)
    bank = memory.empty_bank(model.config.sam2, 2)
    bank = track.remember(
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
    here = jax.tree.map(lambda x: x[t][None], features)
    seen = subjects.mask_logits[t] > 0
    points = discover(model.didm, here.embed, seen).points
    np.testing.assert_allclose(prediction.found.points[t], points, atol=1e-5)
    rows = segment_points(model.sam2, here, points.reshape(-1, 2))
    got = prediction.found.mask_logits[t].reshape(2 * q, *rows.mask_logits.shape[1:])
    np.testing.assert_allclose(got, rows.mask_logits, rtol=1e-3, atol=1e-3)
    feature = pool_mask(here.embed, seen)
    names = model.sch(
        jnp.repeat(feature, q, axis=0),
        pool_mask(here.embed, rows.mask_logits > 0),
        jnp.repeat(subjects.obj_ptr[t], q, axis=0),
        rows.obj_ptr,
    )
    for mine, theirs in zip(prediction.found.names, names, strict=True):
        np.testing.assert_allclose(
            mine[t].reshape(theirs.shape), theirs, rtol=1e-3, atol=1e-4
        )
    true = clip_targets(clip, SIZE // 4).points
    np.testing.assert_array_equal(prediction.shown.points, true)


def gradients(model, batch, terms: tuple[str, ...], **options) -> list[set[str]]:
    """For each term the parameters of DIDM and SCH that it has a gradient for."""
    task = Click2GraphTask(model, RelationLoss(**options))
    graph, trained, frozen = nnx.split(model, HEADS, ...)

    @jax.jit
    def run(trained):
        def values(trained):
            whole = nnx.merge(graph, trained, frozen)
            every = task.loss(whole, batch, jax.random.key(0), 0, train=False)[1]
            return jnp.stack([every[name] for name in terms])

        _, pull = jax.vjp(values, trained)
        return [pull(row)[0] for row in jnp.eye(len(terms))]

    return [
        {
            ".".join(map(str, path))
            for path, value in nnx.to_flat_state(found)
            if np.abs(value[...]).max() > 0
        }
        for found in run(trained)
    ]


def test_gradients_go_where_they_belong(model, batch):
    dice, predicate = gradients(model, batch, ("dice", "predicate"))
    # Masks of objects reach DIDM through the coordinates of its points.
    assert {name.split(".")[0] for name in dice} == {"didm"}
    assert {n for n in predicate if n.startswith("sch.predicate.")}
    assert not {n for n in predicate if n.startswith(("sch.object.", "sch.subject."))}
    (detached,) = gradients(model, batch, ("dice",), detach_points=True)
    assert detached == set()


def test_loss_falls_on_one_clip(model, batch):
    task = Click2GraphTask(model, RelationLoss(true_points=1.0, soft_predicates=True))
    graph, trained, frozen = nnx.split(model, HEADS, ...)
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(trained, moments, key):
        def value(trained):
            whole = nnx.merge(graph, trained, frozen)
            return task.loss(whole, batch, key, 0, train=False)

        (loss, terms), grads = jax.value_and_grad(value, has_aux=True)(trained)
        updates, moments = optimizer.update(grads, moments, trained)
        return optax.apply_updates(trained, updates), moments, loss, terms

    moments, losses = optimizer.init(trained), []
    for i in range(30):
        trained, moments, loss, terms = step(trained, moments, jax.random.key(i))
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.4 * losses[0]
    assert float(terms["shown_object"]) < 1.0
