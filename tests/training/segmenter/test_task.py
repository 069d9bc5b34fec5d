"""The segmenter's task: plans, memories, losses, and trainable parts."""

import dataclasses
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from c2g_jax.checkpoints.safetensors import initialise, parameters
from c2g_jax.sam2 import fused_attention, memory
from c2g_jax.sam2.mask_decoder import DecodedMasks
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.training.segmenter.clip_memory import ClipMemory, clip_memories
from c2g_jax.training.segmenter.loss import SegmentLoss, frame_targets, mask_loss_sums
from c2g_jax.training.segmenter.recipe import Recipe, draw_plan
from c2g_jax.training.segmenter.task import TRAINABLE, segmenter_task
from c2g_jax.types import InputError
from tests.training.segmenter.toy_segmenter import small_sam2, two_squares


@pytest.fixture(scope="module")
def model():
    return small_sam2()


def test_plans_cover_all_cases_of_a_step():
    recipe = Recipe(mask_prompts=0.5, corrections=2, corrected_frames=2)
    draw = jax.jit(jax.vmap(lambda key: draw_plan(key, recipe, 4)))
    plan = draw(jax.random.split(jax.random.key(0), 400))
    masks, corrected = np.asarray(plan.from_masks), np.asarray(plan.corrected)
    assert 0.4 < masks.mean() < 0.6
    assert not corrected[masks].any()  # upstream: masks are never corrected
    assert corrected[~masks, 0].all()  # the first frame always is
    assert set(corrected[~masks].sum(axis=1)) == {1, 2}
    assert corrected[~masks, 1:].any(axis=0).all()
    images = jax.vmap(lambda key: draw_plan(key, recipe, 1))(
        jax.random.split(jax.random.key(0), 20)
    )
    assert not images.from_masks.any()
    assert images.corrected.all()


def test_memories_of_a_clip_are_those_of_the_bank(model):
    config = model.config
    n, count, side = 2, 9, config.feature_size
    keys = jax.random.split(jax.random.key(0), 2)
    spatial = jax.random.normal(keys[0], (count, n, side, side, config.mem_dim))
    pointers = jax.random.normal(keys[1], (count, n, config.d_model))
    conditioning = jnp.array([True] + 3 * [False] + [True] + 5 * [False])
    bank = memory.empty_bank(config, n, 2)
    everyone = jnp.ones(n, bool)
    for t in range(count):
        push = memory.push_conditioning if conditioning[t] else memory.push_recent
        bank = push(bank, spatial[t], pointers[t], jnp.int32(t), everyone)
    features = jax.random.normal(keys[0], (1, side, side, config.d_model))
    features = types.SimpleNamespace(embed=features)

    def slots(x):
        # Three slots that are not filled yet; what they hold counts for nothing.
        empty = jnp.full((n, 3, *x.shape[2:]), 1e6)
        return jnp.concatenate([x.swapaxes(0, 1), empty], axis=1)

    clip = ClipMemory(slots(spatial), slots(pointers))
    conditioning = jnp.append(conditioning, jnp.array([False, True]))
    ours = clip_memories(clip, count, conditioning, config.max_obj_ptrs)
    banks = memory.gather(bank, jnp.int32(count), 1)
    assert int(ours.spatial_valid[0].sum()) == int(banks.spatial_valid[0].sum()) == 7
    see = jax.jit(lambda memories: model.with_memory(features, memories, 16))
    np.testing.assert_allclose(see(ours), see(banks), atol=1e-5)


def test_the_best_candidate_has_the_mask_loss_and_all_have_the_iou_loss():
    """Four masks of 4 x 4 cells: the target is the left half of the image."""
    config = SegmentLoss(mask_size=8)
    masks = jnp.zeros((2, 16, 16), bool).at[0, :, :8].set(True)
    targets = frame_targets(masks, 8, 4)
    left = jnp.where(jnp.arange(4) < 2, 20.0, -20.0) * jnp.ones((4, 4))
    logits = jnp.stack([-left, -left, left, jnp.full((4, 4), 20.0)])
    decoded = DecodedMasks(
        jnp.stack([logits, logits]),
        jnp.full((2, 4), 0.75),
        jnp.zeros((2, 4, 1)),
        jnp.zeros(2),
    )
    many, single = jnp.ones(2, bool), jnp.zeros(2, bool)

    def sums(multimask, where=many):
        return mask_loss_sums(config, decoded, multimask, targets, where)

    best = sums(many)
    # The second object is not in view: its masks do not count, its score does.
    assert float(best.masks) == 1.0
    assert float(best.scores) == 2.0
    assert float(best.score) == pytest.approx(2 * np.log(2.0))
    assert float(best.dice) < 0.15
    assert float(best.focal) < 0.1
    # IoUs of the three are 0, 1 and 1/2, against 3/4 predicted each.
    assert float(best.iou) == pytest.approx((0.75 + 0.25 + 0.25) / 3, abs=0.02)
    first = sums(single)
    assert float(first.dice) > 0.85
    assert float(first.iou) == pytest.approx(0.75)
    nobody = sums(many, single)
    assert float(nobody.masks) == float(nobody.scores) == float(nobody.score) == 0.0


def test_the_shown_candidate_may_have_a_share_of_the_mask_loss():
    """Of three candidates, the second fits; the third has the highest IoU score."""
    targets = frame_targets(jnp.zeros((1, 16, 16), bool).at[0, :, :8].set(True), 8, 4)
    left = jnp.where(jnp.arange(4) < 2, 20.0, -20.0) * jnp.ones((4, 4))
    decoded = DecodedMasks(
        jnp.stack([-left, -left, left, -left])[None],
        jnp.array([[0.0, 0.1, 0.2, 0.9]]),
        jnp.zeros((1, 4, 1)),
        jnp.zeros(1),
    )
    here = jnp.ones(1, bool)

    def dice(shown: float) -> float:
        config = SegmentLoss(mask_size=8, shown=shown)
        return float(mask_loss_sums(config, decoded, here, targets, here).dice)

    assert dice(0.0) < 0.15
    assert dice(1.0) > 0.85
    assert dice(0.25) == pytest.approx(0.75 * dice(0.0) + 0.25 * dice(1.0))


def test_shares_of_cells():
    targets = frame_targets(jnp.zeros((1, 4, 4), bool).at[0, 0, :3].set(True), 2, 1)
    assert targets.shares.tolist() == [[[0.5, 0.25], [0.0, 0.0]]]
    assert targets.coarse.tolist() == [[[0.1875]]]
    assert targets.present.tolist() == [True]


def test_names_of_the_trainable_parts(model):
    names = set(parameters(model))
    sets = {
        key: {n for n in names if any(re.fullmatch(p, n) for p in patterns)}
        for key, patterns in TRAINABLE.items()
    }
    fixed = {
        "no_mem_pos_enc",
        "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    }
    assert sets["all"] == names - fixed
    assert not sets["decoder"] & sets["memory"]
    assert sets["decoder"] | sets["memory"] | sets["encoder"] == sets["all"]
    assert sets["tracking"] == sets["decoder"] | sets["memory"]
    shared = sets["encoder"] & sets["decoder"]  # they make the features for the decoder
    assert {n.rpartition(".")[0] for n in shared} == {
        "sam_mask_decoder.conv_s0",
        "sam_mask_decoder.conv_s1",
        "sam_mask_decoder.upscale1",
        "sam_mask_decoder.upscale2",
        "sam_mask_decoder.upscale_norm",
    }


def test_the_encoder_alone_has_the_losses_of_its_features_and_no_others(model):
    recipe = Recipe(SegmentLoss(mask_size=32, classes=1.0, bodies=0.5), num_classes=8)
    task = segmenter_task(model, recipe, "encoder")
    batch = {name: jnp.asarray(x[:, :1]) if name in ("frames", "segments") else
             jnp.asarray(x) for name, x in two_squares().items()}  # fmt: skip
    batch["holds"] = batch["holds"][:, :, :, :1]
    keys = jax.random.split(jax.random.key(0), 1)

    def loss(model):
        return task.loss(model, batch, keys[0], keys)

    total, terms = jax.jit(loss)(model)
    assert {name for name, value in terms.items() if value} == {
        "features",
        "classes",
        "bodies",
    }
    assert float(total) == pytest.approx(
        float(terms["classes"] + 0.5 * terms["bodies"]), rel=1e-5
    )


def test_frames_as_a_loop_have_the_same_losses(model, monkeypatch):
    """On a GPU the tracked frames are one compiled step, with slots for all frames."""
    pytest.importorskip("tokamax", reason="fused attention comes with the extra cuda")
    monkeypatch.setattr(fused_attention, "_IMPLEMENTATION", "xla")
    config = dataclasses.replace(model.config, attention="fused")
    fused = initialise(abstract_sam2(config), seed=0)
    recipe = Recipe(
        SegmentLoss(mask_size=32, places=0.3, relations=0.5),
        num_classes=8,
        corrections=1,
        mask_prompts=0.0,
        reverse=0.0,
    )
    clip = two_squares()
    for name, axis in (("frames", 1), ("segments", 1), ("holds", 3)):
        clip[name] = np.concatenate([clip[name], clip[name]], axis)
    batch = {name: jnp.asarray(x) for name, x in clip.items()}
    key = jax.random.key(0)

    def terms(model):
        task = segmenter_task(model, recipe, "all")
        return task.loss(model, batch, key, jax.random.split(key, 1))[1]

    unrolled, looped = jax.jit(terms)(model), jax.jit(terms)(fused)
    assert unrolled["tracked_iou"] > 0
    for name, value in unrolled.items():
        assert float(looped[name]) == pytest.approx(float(value), rel=1e-4), name


def test_a_part_may_train_alone(model):
    recipe = Recipe(SegmentLoss(mask_size=32))
    task = segmenter_task(model, recipe, "memory")
    assert task.trainable == TRAINABLE["memory"]


@pytest.mark.parametrize(
    ("train", "mask_size", "words"),
    [
        ("neck", 32, "use one of all, encoder, decoder, memory"),
        ("all", 24, "a multiple of 16 that divides 64"),
        ("all", 0, "a multiple of 16 that divides 64"),
    ],
)
def test_invalid_settings_are_refused(model, train, mask_size, words):
    with pytest.raises(InputError, match=words):
        segmenter_task(model, Recipe(SegmentLoss(mask_size=mask_size)), train)
