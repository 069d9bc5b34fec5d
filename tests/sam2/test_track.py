"""The video step as a pure function."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.checkpoints.safetensors import fill_parameters, parameters
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import Sam2, abstract_sam2
from c2g_jax.sam2.prompts import Prompts, pad_points
from tests.small_sam2 import blinded

segment = jax.jit(track.segment)
step = jax.jit(track.track_step)

INSIDE = [(np.float32([[30, 60]]), np.int32([1]))]
PAIR = [
    (np.float32([[30, 60]]), np.int32([1])),
    (np.float32([[10, 20], [50, 90]]), np.int32([2, 3])),
]


def prompt(points, num_objects=None, num_slots=None):
    return Prompts(*pad_points(points, num_objects, num_slots))


def follow(model, features, prompts, count, slots=None):
    """Prompt all objects on frame 0 and track; answers of frames 1, 2, ..."""
    n = slots or count
    bank = memory.empty_bank(model.config, n)
    active = jnp.arange(n) < count
    bank, first = step(model, bank, features[0], jnp.int32(0), active, prompts)
    answers = [first]
    for t, frame in enumerate(features[1:], 1):
        bank, answer = step(model, bank, frame, jnp.int32(t), active)
        answers.append(answer)
    return bank, answers


def test_padding_points_changes_nothing(toy, features):
    short = segment(toy, features[0], prompt(INSIDE, num_slots=1))
    long = segment(toy, features[0], prompt(INSIDE, num_slots=8))
    np.testing.assert_allclose(long.mask_logits, short.mask_logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(long.obj_ptr, short.obj_ptr, atol=1e-5)


def test_objects_do_not_see_each_other(toy, features):
    """Each object of a batch gets the same result as alone, with or without padding."""
    _, together = follow(toy, features[:4], prompt(PAIR, 4), 2, slots=4)
    for row, points in enumerate(PAIR):
        _, alone = follow(toy, features[:4], prompt([points]), 1)
        for t in range(4):
            ours = together[t].mask_logits[row]
            differs = np.mean((ours > 0) != (alone[t].mask_logits[0] > 0))
            # Sums of another batch size round differently.
            assert differs <= 1e-3
            np.testing.assert_allclose(
                together[t].obj_ptr[row], alone[t].obj_ptr[0], atol=2e-4
            )


def test_inside_one_bucket_an_object_is_bit_equal(toy, features):
    _, two = follow(toy, features[:3], prompt(PAIR, 4), 2, slots=4)
    _, one = follow(toy, features[:3], prompt(PAIR[:1], 4), 1, slots=4)
    for t in range(3):
        np.testing.assert_array_equal(two[t].mask_logits[0], one[t].mask_logits[0])


def test_ten_frames_compile_two_programs(toy, features, count_compilations):
    fresh = jax.jit(functools.partial(track.track_step))

    def run():
        bank = memory.empty_bank(toy.config, 2)
        active = np.ones(2, bool)
        given = prompt(PAIR)
        bank, _ = fresh(toy, bank, features[0], np.int32(0), active, given)
        for t in range(1, 10):
            bank, answer = fresh(toy, bank, features[t], np.int32(t), active)
        jax.block_until_ready(answer)

    memory.empty_bank(toy.config, 2)  # its own small programs do not count
    assert count_compilations(run) == 2  # one with prompts, one without
    assert fresh._cache_size() == 2


def test_scan_gives_what_the_loop_gives(toy, features):
    bank, answers = follow(toy, features[:6], prompt(PAIR), 2)
    start = memory.empty_bank(toy.config, 2)
    active = jnp.ones(2, bool)
    start, _ = step(toy, start, features[0], jnp.int32(0), active, prompt(PAIR))

    @jax.jit
    def scan(model, start, stacked):
        def body(bank, inputs):
            frame, one = inputs
            bank, answer = track.track_step(model, bank, one, frame, active)
            return bank, (answer.mask_logits, answer.object_score, answer.obj_ptr)

        return jax.lax.scan(body, start, (jnp.arange(1, 6), stacked))

    stacked = jax.tree.map(lambda *x: jnp.stack(x), *features[1:6])
    last, (logits, scores, pointers) = scan(toy, start, stacked)
    for t in range(1, 6):
        np.testing.assert_allclose(
            logits[t - 1], answers[t].mask_logits, rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(scores[t - 1], answers[t].object_score, atol=1e-4)
        np.testing.assert_allclose(pointers[t - 1], answers[t].obj_ptr, atol=1e-4)
    np.testing.assert_array_equal(last.recent_frames, bank.recent_frames)
    np.testing.assert_allclose(last.recent, bank.recent, atol=1e-3)


def test_an_inactive_object_is_not_remembered(toy, features):
    bank = memory.empty_bank(toy.config, 2)
    active = jnp.array([True, False])
    bank, _ = step(toy, bank, features[0], jnp.int32(0), active, prompt(PAIR))
    bank, _ = step(toy, bank, features[1], jnp.int32(1), active)
    assert bank.conditioning_frames.tolist() == [[0], [memory.EMPTY]]
    assert (bank.recent_frames[1] == memory.EMPTY).all()
    assert bank.recent_frames[0].tolist().count(1) == 1


def test_a_late_object_leaves_the_others_as_they_were(toy, features):
    """Object 1 is prompted on frame 2; object 0 is as without it."""
    _, alone = follow(toy, features[:5], prompt(PAIR[:1], 2, 2), 1, slots=2)
    bank = memory.empty_bank(toy.config, 2)
    active = jnp.array([True, False])
    first = prompt(PAIR[:1], 2, 2)
    bank, _ = step(toy, bank, features[0], jnp.int32(0), active, first)
    bank, _ = step(toy, bank, features[1], jnp.int32(1), active)
    late = prompt([(np.zeros((0, 2)), np.zeros(0)), PAIR[1]], 2, 2)
    everyone = jnp.ones(2, bool)
    bank, answer = step(toy, bank, features[2], jnp.int32(2), everyone, late)
    np.testing.assert_allclose(
        answer.mask_logits[0], alone[2].mask_logits[0], rtol=1e-4, atol=1e-3
    )
    assert bank.conditioning_frames.tolist() == [[0], [2]]
    bank, answer = step(toy, bank, features[3], jnp.int32(3), everyone)
    np.testing.assert_allclose(
        answer.mask_logits[0], alone[3].mask_logits[0], rtol=1e-3, atol=2e-3
    )
    assert bank.recent_frames[1].tolist().count(3) == 1


def test_an_empty_mask_is_an_absent_object(toy, features):
    masks = np.zeros((2, 128, 128), bool)
    masks[1, 40:80, 40:80] = True
    answer = jax.jit(track.segment_mask)(toy, features[0], masks)
    np.testing.assert_allclose(answer.mask_logits[0], -10, atol=1e-5)
    assert answer.object_score.tolist() == [-10, 10]
    np.testing.assert_array_equal(answer.obj_ptr[0], toy.no_obj_ptr[...])
    inner = answer.mask_logits[1] > 0
    assert inner[10:20, 10:20].all()
    assert inner.sum() == 100


def test_an_absent_object_has_the_fixed_pointer_and_no_pixel(toy, features):
    answer = segment(blinded(toy), features[0], prompt(INSIDE))
    assert (answer.mask_logits == -1024).all()
    np.testing.assert_array_equal(answer.obj_ptr[0], toy.no_obj_ptr[...])


def test_one_click_takes_the_best_of_three_and_two_the_single_mask(toy, features):
    one = segment(toy, features[0], prompt(INSIDE))
    best = int(np.argmax(one.candidate_ious[0]))
    np.testing.assert_array_equal(one.mask_logits[0], one.candidates[0, best])
    assert one.iou[0] == one.candidate_ious[0, best]


def test_gradients_reach_the_point(toy, features):
    """Discovery is trained through the coordinates of its points."""

    def loss(coords):
        answer = track.segment(
            toy, features[0], Prompts(coords, jnp.ones((1, 1), jnp.int32))
        )
        return jnp.mean(jax.nn.sigmoid(answer.candidates))

    gradient = jax.jit(jax.grad(loss))(jnp.full((1, 1, 2), 40.0))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parameters_stay_float32(dtype):
    model = nnx.eval_shape(
        lambda: Sam2(sam2_config("toy", 64, dtype), rngs=nnx.Rngs(0))
    )
    leaves = jax.tree.leaves(nnx.state(model))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}


def test_bfloat16_segments_as_float32_does(toy, frames):
    from c2g_jax.media.images import resize_frame
    from c2g_jax.sam2.track import encode_frame

    config = sam2_config("toy", 128, "bfloat16")
    shapes = abstract_sam2(config)
    half = fill_parameters(shapes, parameters(toy), "the toy model")
    one = encode_frame(half, resize_frame(frames[0], 128))
    assert one.embed.dtype == jnp.bfloat16
    bank = memory.empty_bank(half.config, 1)
    assert bank.recent.dtype == jnp.bfloat16
    full = [encode_frame(toy, resize_frame(frame, 128)) for frame in frames[:3]]
    low = [encode_frame(half, resize_frame(frame, 128)) for frame in frames[:3]]
    _, wanted = follow(toy, full, prompt(INSIDE), 1)
    _, given = follow(half, low, prompt(INSIDE), 1)
    for ours, reference in zip(given, wanted, strict=True):
        assert ours.mask_logits.dtype == jnp.float32
        a, b = np.asarray(ours.mask_logits > 0), np.asarray(reference.mask_logits > 0)
        # Rounding to bfloat16 moves the edges of a random network's masks a little.
        assert np.mean(a != b) < 0.05
