"""Faults reported for other SAM2 implementations with videos, one test each.

The numbers are threads of facebookresearch/sam2 unless they say otherwise. Where the
official predictor differs from ours, the test says why.
"""

import gc
import inspect
import itertools

import jax
import numpy as np
import pytest
from PIL import Image

import c2g_jax.sam2.predictors.video_tracker as tracker
from c2g_jax.checkpoints.safetensors import fill_parameters, parameters
from c2g_jax.sam2.config import sam2_config
from c2g_jax.sam2.model import abstract_sam2
from c2g_jax.sam2.predictors.track_history import WINDOW
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from tests.clips import readers
from tests.sam2.predictors.clicks import click, follow

BOX = [60, 20, 100, 70]


@pytest.fixture(scope="module")
def half(toy):
    """The toy model with bfloat16 computation."""
    config = sam2_config("toy", toy.config.image_size, "bfloat16")
    shapes = abstract_sam2(config)
    return fill_parameters(shapes, parameters(toy), "the toy model")


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
    alone.get_or_add("b")  # the same size of batch, so that rounding is the same
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
    state.get_or_add(2)
    before = follow(predictor, state)
    click(predictor, state, frame=4, obj_id=2, points=[[60, 45]])
    after = follow(predictor, state)
    assert after[9].obj_ids == [7, 2]
    for t in range(10):
        np.testing.assert_array_equal(after[t].masks[0], before[t].masks[0])


def test_memory_does_not_grow_with_the_video(predictor, frames):
    """264, 196, 288, 545: size of the history and of device arrays, at 100 and 250."""
    state = predictor.init_state(itertools.cycle(frames))
    click(predictor, state)
    click(predictor, state, obj_id=2, points=[[60, 45]])
    held = {}
    for result in predictor.propagate_in_video(state):
        if result.frame_idx in (100, 250):
            gc.collect()
            arrays = sum(array.nbytes for array in jax.live_arrays())
            held[result.frame_idx] = (arrays, len(state.objects[1].history.held))
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
    """418, 638: frames before the prompt had no masks: KeyError."""
    state = predictor.init_state(frames[:6])
    click(predictor, state, frame=3)
    forward = follow(predictor, state)
    backward = follow(predictor, state, reverse=True)
    assert list(forward) == [3, 4, 5]
    assert list(backward) == [3, 2, 1, 0]
    everything = forward | backward
    assert all(np.isfinite(everything[t].object_scores).all() for t in range(6))


def test_any_number_of_objects_is_one_step_a_frame(predictor, frames, monkeypatch):
    """367, 382, 636: time grew with every object, as each was tracked separately."""
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


def test_two_objects_get_their_boxes_before_anything_runs(predictor, frames):
    """huggingface/transformers 40770."""
    state = predictor.init_state(frames[:3])
    predictor.add_new_points_or_box(state, 0, 1, box=BOX)
    reply = predictor.add_new_points_or_box(state, 0, 2, box=[10, 30, 40, 60])
    assert reply.masks.shape[0] == 2
    assert len(follow(predictor, state)) == 3


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
    for tracked in state.objects[1].history.held.values():
        assert type(tracked.memory) is type(tracked.mask_logits) is np.ndarray
    assert type(state.objects[1].conditioning_frames[0].memory) is np.ndarray


def test_the_thread_that_decodes_ends_with_its_state(predictor, frames):
    """623, 653."""
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
