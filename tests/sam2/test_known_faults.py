"""What users of other SAM2 implementations ran into, one test each.

The numbers are threads of facebookresearch/sam2 unless they say otherwise. Where the
official predictor behaves otherwise than here, the test says why.
"""

import gc
import inspect
import itertools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import c2g_jax.sam2.video_tracker as tracker
from c2g_jax.sam2 import memory, track
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.image_predictor import Sam2ImagePredictor
from c2g_jax.sam2.model import Sam2
from c2g_jax.sam2.postprocess import fill_holes
from c2g_jax.sam2.prompts import Prompts, pad_points
from c2g_jax.sam2.track_history import WINDOW
from c2g_jax.sam2.video_predictor import Sam2VideoPredictor
from c2g_jax.types import InputError
from c2g_jax.weights import fill_parameters, parameters

POINT, BOX = [[25, 45]], [60, 20, 100, 70]


@pytest.fixture(scope="module")
def predictor(toy):
    return Sam2VideoPredictor(toy)


@pytest.fixture(scope="module")
def half(toy):
    """The toy model with bfloat16 computation."""
    config = sam2_config("toy", toy.config.image_size, "bfloat16")
    shapes = nnx.eval_shape(lambda: Sam2(config, rngs=nnx.Rngs(0)))
    return fill_parameters(shapes, parameters(toy), "the toy model")


def click(predictor, state, frame=0, obj_id=1, points=POINT):
    return predictor.add_new_points_or_box(
        state, frame, obj_id, points=points, labels=[1] * len(points)
    )


def follow(predictor, state, **options):
    results = predictor.propagate_in_video(state, **options)
    return {result.frame_idx: result for result in results}


def iou(a, b):
    a, b = np.asarray(a) > 0, np.asarray(b) > 0
    return (a & b).sum() / max((a | b).sum(), 1)


def test_a_click_on_a_tracked_frame_changes_what_follows(predictor, frames):
    """719, 154, 631. Upstream tracks over the correction and drops it, unless built
    with add_all_frames_to_correct_as_cond=True; here a corrected frame always counts
    as prompted, which is how SAM2 was trained."""
    state = predictor.init_state(frames[:6])
    click(predictor, state)
    first = follow(predictor, state)
    reply = click(predictor, state, frame=3, points=[[90, 45]])
    second = follow(predictor, state)
    np.testing.assert_array_equal(second[3].masks, reply.masks)
    for t in (4, 5):
        assert (second[t].masks != first[t].masks).any()


def test_objects_prompted_on_different_frames_do_not_disturb_each_other(
    predictor, frames
):
    """462, 356. Upstream raises in float32 (bfloat16 memory meets float32)."""
    alone = predictor.init_state(frames)
    click(predictor, alone, obj_id="a")
    alone.record("b")  # the same size of batch, so that rounding is the same
    expected = follow(predictor, alone)
    state = predictor.init_state(frames)
    click(predictor, state, obj_id="a")
    click(predictor, state, frame=3, obj_id="b", points=[[60, 45]])
    results = follow(predictor, state)
    for t, result in results.items():
        np.testing.assert_array_equal(result.masks[0], expected[t].masks[0])
        assert np.isfinite(result.object_scores[1]) == (t >= 3)


def test_an_object_joins_after_tracking_has_begun(predictor, frames):
    """185, 224, 509, 659."""
    state = predictor.init_state(frames)
    click(predictor, state, obj_id=7)
    state.record(2)
    before = follow(predictor, state)
    click(predictor, state, frame=4, obj_id=2, points=[[60, 45]])
    after = follow(predictor, state)
    assert after[9].obj_ids == [7, 2]
    for t in range(10):
        np.testing.assert_array_equal(after[t].masks[0], before[t].masks[0])


def test_memory_does_not_grow_with_the_video(predictor, frames):
    """264, 196, 288, 545: what is held, and the device's arrays, at 100 and 250."""
    state = predictor.init_state(itertools.cycle(frames))
    click(predictor, state)
    click(predictor, state, obj_id=2, points=[[60, 45]])
    held = {}
    for result in predictor.propagate_in_video(state):
        if result.frame_idx in (100, 250):
            gc.collect()
            arrays = sum(array.nbytes for array in jax.live_arrays())
            held[result.frame_idx] = (arrays, len(state.history.frames))
        if result.frame_idx == 250:
            break
    assert held[250] == held[100]
    assert held[100][1] == WINDOW
    state.close()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_late_prompt_alone_works_in_every_precision(toy, half, frames, reverse):
    """308, 577: bfloat16 and float32 clashed."""
    masks = []
    for model in (toy, half):
        predictor = Sam2VideoPredictor(model)
        state = predictor.init_state(frames[:5])
        click(predictor, state, frame=4 if reverse else 1)
        results = follow(predictor, state, reverse=reverse)
        masks.append(np.stack([results[t].masks for t in sorted(results)]))
        assert np.isfinite(masks[-1]).all()
    assert masks[0].shape == masks[1].shape
    assert iou(*masks) > 0.95


def test_a_prompt_in_the_middle_reaches_both_ends(predictor, frames):
    """418, 638: frames before the prompt had no masks, and asking raised KeyError."""
    state = predictor.init_state(frames[:6])
    click(predictor, state, frame=3)
    forward = follow(predictor, state)
    backward = follow(predictor, state, reverse=True)
    assert list(forward) == [3, 4, 5]
    assert list(backward) == [3, 2, 1, 0]
    everything = forward | backward
    assert all(np.isfinite(everything[t].object_scores).all() for t in range(6))


def test_any_number_of_objects_is_one_step_a_frame(predictor, frames, monkeypatch):
    """367, 382, 636: time grew with every object, for each ran by itself."""
    calls = []
    step = tracker.step

    def counted(*arguments):
        calls.append(arguments)
        return step(*arguments)

    monkeypatch.setattr(tracker, "step", counted)
    state = predictor.init_state(frames[:4])
    for obj_id in range(4):
        click(predictor, state, obj_id=obj_id, points=[[20 + 30 * obj_id, 45]])
    follow(predictor, state)
    assert len(calls) == 3  # one for each frame behind the prompted one


def test_points_and_frame_sizes_do_not_each_compile(predictor, frames):
    """517, 501."""
    for video in (frames, frames[:, :77, :133]):
        state = predictor.init_state(video)
        for count in (1, 2, 3, 5, 9):
            points = np.linspace(5, 70, 2 * count).reshape(count, 2)
            click(predictor, state, obj_id=count, points=points)
    before = tracker.segment._cache_size()
    state = predictor.init_state(frames[:, :50, :90])
    for count in (1, 4, 6, 12):
        points = np.linspace(5, 45, 2 * count).reshape(count, 2)
        click(predictor, state, obj_id=count, points=points)
    assert tracker.segment._cache_size() == before


def test_weights_that_lack_a_part_are_refused_by_its_name(toy):
    """337, 704, 89: 2.1 weights in a 2.0 model, or the reverse."""
    values = dict(parameters(toy))
    del values["no_obj_embed_spatial"]
    values["no_obj_embed_temporal"] = np.zeros(3, np.float32)
    with pytest.raises(InputError, match="no_obj_embed_spatial") as error:
        fill_parameters(toy, values, "the checkpoint")
    assert "no_obj_embed_temporal" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_box_is_followed_by_one_padding_token(toy):
    """huggingface/transformers 40787: without it masks of boxes are others."""
    encoder = toy.sam_prompt_encoder
    coords, labels = pad_points([(np.float32([[4, 6], [90, 80]]), np.int32([2, 3]))])
    tokens, valid = encoder.encode_points(coords, labels)
    np.testing.assert_array_equal(valid[0, [0, 1, -1]], True)
    assert valid.sum() == 3
    corner = encoder.pe_layer((np.float32([4, 6]) + 0.5) / encoder.image_size)
    kind = encoder.point_embeddings[2].embedding[0]
    np.testing.assert_allclose(tokens[0, 0], corner + kind, atol=1e-6)
    blank = encoder.not_a_point_embed.embedding[0]
    np.testing.assert_array_equal(tokens[0, -1], blank)


def test_two_objects_get_their_boxes_before_anything_runs(predictor, frames):
    """huggingface/transformers 40770."""
    state = predictor.init_state(frames[:3])
    predictor.add_new_points_or_box(state, 0, 1, box=BOX)
    reply = predictor.add_new_points_or_box(state, 0, 2, box=[10, 30, 40, 60])
    assert reply.masks.shape[0] == 2
    assert len(follow(predictor, state)) == 3


def test_boxes_and_points_of_objects_go_in_pairs(toy, frames):
    """235, 234, 262: a shape error, or nonsense. Corners in the wrong order, which
    upstream accepts in silence, are refused."""
    predictor = Sam2ImagePredictor(toy)
    predictor.set_image(frames[0])
    boxes = np.array([[10, 30, 40, 60], [60, 20, 100, 70]])
    points = np.array([[[25, 45]], [[80, 45]]])
    labels = np.ones((2, 1))
    masks, _, _ = predictor.predict(points, labels, boxes, multimask_output=False)
    for row in range(2):
        alone, _, _ = predictor.predict(
            points[row], labels[row], boxes[row], multimask_output=False
        )
        assert np.mean(masks[row] != alone) < 1e-3
    with pytest.raises(InputError, match="2 boxes stand beside 1"):
        predictor.predict(points[:1], labels[:1], boxes)
    with pytest.raises(InputError, match="x1 < x2"):
        predictor.predict(box=[40, 30, 10, 60])


def test_frames_of_a_folder_come_in_the_order_of_their_numbers(
    predictor, frames, tmp_path
):
    """170, 236: names had to be integers, and files JPEG."""
    for name, t in (("frame_2.jpg", 0), ("frame_10.jpg", 1), ("frame_11.png", 2)):
        Image.fromarray(frames[t]).save(tmp_path / name)
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "notes.txt").write_text("not a frame")
    state = predictor.init_state(tmp_path)
    assert state.num_frames == 3
    click(predictor, state)
    assert len(follow(predictor, state)) == 3


def test_a_mask_alone_is_a_prompt_of_any_size(predictor, frames):
    """595, 147."""
    mask = np.zeros((48, 80), bool)
    mask[15:30, 5:20] = True
    state = predictor.init_state(frames[:2])
    reply = predictor.add_new_mask(state, 0, 1, mask)
    full = np.kron(mask, np.ones((2, 2), bool))
    assert iou(reply.masks[0, 0], full) > 0.85  # on a grid of 32 x 32
    empty = predictor.add_new_mask(state, 0, 2, np.zeros((48, 80), bool))
    assert not (empty.masks[1] > 0).any()
    assert all(np.isfinite(r.masks).all() for r in follow(predictor, state).values())


def test_images_of_every_kind_are_converted_or_refused(toy, frames):
    """751; segment-anything 413: they crashed in a convolution."""
    predictor = Sam2ImagePredictor(toy)
    grey = frames[0][..., 0]
    alpha = np.dstack([frames[0], np.full(grey.shape, 255, np.uint8)])
    deep = grey.astype(np.uint16) * 257
    answers = []
    for image in (grey, grey[..., None], np.dstack([grey] * 3), deep):
        predictor.set_image(image)
        answers.append(predictor.predict(POINT, [1], return_logits=True)[0])
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])
    predictor.set_image(alpha)
    predictor.set_image(Image.fromarray(alpha))
    for bad in (frames[0] / 255.0, np.zeros((4, 4, 7), np.uint8), frames[0][:0]):
        with pytest.raises(InputError, match="uint8"):
            predictor.set_image(bad)


@pytest.mark.parametrize(
    "options",
    [
        dict(fill_hole_area=0),
        dict(fill_hole_area=50),
        dict(non_overlap_masks=True),
        dict(memory_temporal_stride=4),
        dict(max_cond_frames_in_attn=2),
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option_runs(toy, frames, options):
    """625: clear_non_cond_mem_around_input called a method that did not exist."""
    predictor = Sam2VideoPredictor(toy, **options)
    state = predictor.init_state(frames[:6])
    for t in (0, 2, 3):
        click(predictor, state, frame=t)
    click(predictor, state, obj_id=2, points=[[60, 45]])
    assert len(follow(predictor, state)) == 6
    assert len(follow(predictor, state, reverse=True)) == 4


def test_no_option_is_missing_from_the_test_above():
    known = {"self", "model", "fill_hole_area", "non_overlap_masks"}
    known |= {"memory_temporal_stride", "max_cond_frames_in_attn"}
    assert set(inspect.signature(Sam2VideoPredictor.__init__).parameters) == known


def test_what_lasts_is_kept_on_the_host(predictor, frames):
    """489, 487: offloading gave tensors on two devices. There is no such option: the
    device holds the bank of the running step, and the host what was tracked."""
    state = predictor.init_state(frames[:3])
    click(predictor, state)
    follow(predictor, state)
    for tracked in state.history.frames.values():
        assert type(tracked.memory) is type(tracked.mask_logits) is np.ndarray
    assert type(state.objects[1].committed[0].memory) is np.ndarray


def test_holes_are_filled_without_a_compiled_extension():
    """564, 311, 243: upstream fills them on CUDA alone, and is silent elsewhere."""
    logits = np.ones((256, 256), np.float32)
    logits[10:12, 10:14] = -1  # 8 pixels
    logits[50:53, 50:53] = -1  # 9 pixels
    logits[99, 99] = logits[100, 100] = -1  # linked by a corner
    filled = fill_holes(logits, 8)
    assert (filled <= 0).sum() == 9
    assert (filled[50:53, 50:53] == -1).all()


def test_the_thread_that_decodes_ends_with_its_state(predictor, frames):
    """623, 653."""

    def readers():
        return [t for t in threading.enumerate() if t.name == "read_ahead"]

    gc.collect()
    before = len(readers())
    state = predictor.init_state(itertools.cycle(frames))
    click(predictor, state)
    assert len(readers()) == before + 1
    state.close()
    assert len(readers()) == before
    forgotten = predictor.init_state(itertools.cycle(frames))
    click(predictor, forgotten)
    del forgotten
    gc.collect()
    assert len(readers()) == before


def test_sessions_leave_nothing_on_the_device(predictor, frames):
    """258."""

    def session():
        state = predictor.init_state(frames[:3])
        click(predictor, state)
        follow(predictor, state)

    session()
    gc.collect()
    before = sum(array.nbytes for array in jax.live_arrays())
    for _ in range(5):
        session()
    gc.collect()
    assert sum(array.nbytes for array in jax.live_arrays()) == before


def test_a_lost_object_is_absent_and_can_come_back(toy, features):
    """242, 379, 334: its mask spread over the whole frame. The network is made blind
    for two frames, as if the object had left."""
    head = toy.sam_mask_decoder.pred_obj_score_head.layers[-1]
    graph, state = nnx.split(toy)
    blind = nnx.merge(graph, state)
    blind.sam_mask_decoder.pred_obj_score_head.layers[-1].bias = nnx.Param(
        head.bias[...] - 30
    )
    step = jax.jit(track.track_step)
    bank, active = memory.empty_bank(toy.config, 1), jnp.ones(1, bool)
    prompt = Prompts(*pad_points([(np.float32([[20, 60]]), np.int32([1]))]))
    bank, _ = step(toy, bank, features[0], np.int32(0), active, prompt)
    seen = []
    for t in range(1, 6):
        model = blind if t in (2, 3) else toy
        bank, answer = step(model, bank, features[t], np.int32(t), active)
        seen.append((bool(answer.object_score[0] > 0), (answer.mask_logits > 0).any()))
    assert seen == [(True, True), (False, False), (False, False)] + [(True, True)] * 2


@pytest.mark.parametrize("size", [64, 96, 160])
def test_other_image_sizes_work(size, frames):
    """138, 332: the image predictor knew 1024 alone."""
    from c2g_jax.weights import initialise

    config = sam2_config("toy", size)
    model = initialise(nnx.eval_shape(lambda: Sam2(config, rngs=nnx.Rngs(0))), 0)
    predictor = Sam2ImagePredictor(model)
    predictor.set_image(frames[0])
    masks, _, logits = predictor.predict(POINT, [1])
    assert masks.shape == (3, 96, 160)
    assert logits.shape == (3, size // 4, size // 4)


@pytest.mark.parametrize("size", [0, -32, 100, 1000])
def test_image_sizes_that_do_not_fit_are_refused(size):
    with pytest.raises(InputError, match="multiple of 32"):
        sam2_config("tiny", size)


def test_training_survives_a_mask_without_a_pixel(toy, features):
    """716, 591: empty masks spoiled the loss. A few steps on the decoder, with one
    object that has a mask and one that has none, go down and stay finite."""
    targets = np.zeros((2, 32, 32), np.float32)
    targets[0, 8:20, 4:16] = 1
    points = [(np.float32([[40, 56]]), np.int32([1]))] * 2
    prompts = Prompts(*pad_points(points))
    graph, decoder = nnx.split(toy.sam_mask_decoder)

    def loss(decoder):
        whole = nnx.merge(*nnx.split(toy))
        whole.sam_mask_decoder = nnx.merge(graph, decoder)
        decoded = whole.decode(whole.without_memory(features[0]), features[0], prompts)
        logits = decoded.logits[:, 0]
        bce = jnp.logaddexp(0, logits) - logits * targets
        chance = jax.nn.sigmoid(logits)
        overlap = 2 * jnp.sum(chance * targets, axis=(1, 2)) + 1
        dice = 1 - overlap / (jnp.sum(chance + targets, axis=(1, 2)) + 1)
        return jnp.mean(bce) + jnp.mean(dice)

    step = jax.jit(jax.value_and_grad(loss))
    losses = []
    for _ in range(6):
        value, gradient = step(decoder)
        losses.append(float(value))
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient)))
        decoder = jax.tree.map(lambda p, g, n=norm: p - 0.3 * g / n, decoder, gradient)
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]
