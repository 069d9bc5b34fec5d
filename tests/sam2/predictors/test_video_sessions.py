"""Sequences of actions on the video predictor: add, clear, remove; its options."""

import random

import numpy as np
import pytest

import c2g_jax.sam2.predictors.video_tracker as tracker
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from c2g_jax.types import InputError
from tests.sam2.predictors.clicks import POINT, click, follow


def test_taking_a_prompt_back_is_as_if_it_was_never_given(predictor, frames):
    plain = predictor.init_state(frames)
    click(predictor, plain)
    expected = follow(predictor, plain)
    for tracked_between in (False, True):
        state = predictor.init_state(frames)
        click(predictor, state)
        follow(predictor, state)
        corrected = click(predictor, state, frame=3, points=POINT + 20, label=0)
        assert (corrected.masks != expected[3].masks).any()
        if tracked_between:
            follow(predictor, state)
        cleared = predictor.clear_all_prompts_in_frame(state, 3, 1)
        if not tracked_between:
            np.testing.assert_array_equal(cleared.masks, expected[3].masks)
        for t, result in follow(predictor, state).items():
            np.testing.assert_array_equal(result.masks, expected[t].masks)


def test_an_object_without_a_prompt_left_is_nowhere(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state)
    click(predictor, state, obj_id=2, points=POINT + 30)
    follow(predictor, state)
    cleared = predictor.clear_all_prompts_in_frame(state, 0, 2)
    assert cleared.obj_ids == [1, 2]
    assert (cleared.masks[1] == -1024).all()
    for result in follow(predictor, state).values():
        assert (result.masks[1] == -1024).all()
        assert np.isnan(result.object_scores[1])


def test_a_removed_object_leaves_the_others_bit_equal(predictor, frames):
    expected = {}
    for with_third in (False, True):
        state = predictor.init_state(frames)
        click(predictor, state)
        click(predictor, state, obj_id=2, points=POINT + 30)
        if with_third:
            click(predictor, state, obj_id=3, points=POINT + 10)
            follow(predictor, state)
            ids, updated = predictor.remove_object(state, 3)
            assert ids == [1, 2]
            assert [result.frame_idx for result in updated] == [0]
            assert updated[0].masks.shape[0] == 2
        expected[with_third] = follow(predictor, state)
    for t in range(10):
        np.testing.assert_array_equal(expected[True][t].masks, expected[False][t].masks)


def test_an_object_that_takes_a_freed_slot_knows_nothing_of_the_old(predictor, frames):
    fresh = predictor.init_state(frames)
    click(predictor, fresh)
    click(predictor, fresh, obj_id="b", points=POINT + 30)
    expected = follow(predictor, fresh)
    state = predictor.init_state(frames)
    click(predictor, state)
    click(predictor, state, obj_id="a", frame=2, points=POINT + 5)
    follow(predictor, state)
    predictor.remove_object(state, "a")
    click(predictor, state, obj_id="b", points=POINT + 30)
    assert [r.slot for r in state.objects.values()] == [0, 1]
    for t, result in follow(predictor, state).items():
        np.testing.assert_array_equal(result.masks, expected[t].masks)


def test_removing_the_last_object_and_unknown_ones(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state)
    assert predictor.remove_object(state, 9) == ([1], [])
    with pytest.raises(InputError, match="no object 9"):
        predictor.remove_object(state, 9, strict=True)
    with pytest.raises(InputError, match="no object 9"):
        predictor.clear_all_prompts_in_frame(state, 0, 9)
    assert predictor.remove_object(state, 1) == ([], [])
    with pytest.raises(InputError, match="no object is prompted"):
        follow(predictor, state)


def test_an_object_added_after_tracking_leaves_the_others(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state, obj_id=7)
    before = follow(predictor, state)
    reply = click(predictor, state, frame=4, obj_id=2, points=POINT + 30)
    assert reply.obj_ids == [7, 2]
    after = follow(predictor, state)
    for t in range(10):
        assert after[t].obj_ids == [7, 2]
        # One object and two are batches of different size, which round differently.
        same = (after[t].masks[0] > 0) == (before[t].masks[0] > 0)
        assert np.mean(~same) < 5e-3
        assert np.isnan(after[t].object_scores[1]) == (t < 4)


def test_a_prompt_while_tracking_counts_from_the_next_frame(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state)
    seen = {}
    for result in predictor.propagate_in_video(state):
        seen[result.frame_idx] = result
        if result.frame_idx == 3:
            reply = click(predictor, state, frame=3, obj_id=2, points=POINT + 30)
    assert [len(seen[t].obj_ids) for t in (3, 4)] == [1, 2]
    assert np.isfinite(seen[4].object_scores).all()
    waited = predictor.init_state(frames)
    click(predictor, waited)
    follow(predictor, waited, max_frame_num_to_track=3)
    same = click(predictor, waited, frame=3, obj_id=2, points=POINT + 30)
    np.testing.assert_array_equal(reply.masks, same.masks)
    rest = follow(predictor, waited, start_frame_idx=4)
    for t, result in rest.items():
        np.testing.assert_array_equal(result.masks, seen[t].masks)


def test_scores_come_with_the_masks(predictor, frames):
    state = predictor.init_state(frames)
    reply = click(predictor, state)
    assert reply.ious.shape == reply.object_scores.shape == (1,)
    assert 0 <= reply.ious[0] <= 1
    assert reply.object_scores[0] > 0
    given = predictor.add_new_mask(state, 0, 2, np.zeros((96, 160), bool))
    assert given.object_scores[1] == -10
    for result in predictor.propagate_in_video(state, max_frame_num_to_track=2):
        assert np.isfinite(result.ious).all()


@pytest.mark.parametrize(
    "options",
    [
        dict(memory_temporal_stride=3),
        dict(max_cond_frames_in_attn=2),
        dict(memory_temporal_stride=2, max_cond_frames_in_attn=3),
    ],
    ids=["stride", "limit", "both"],
)
def test_options_matter_and_keep_their_state(toy, frames, options):
    predictor = Sam2VideoPredictor(toy, **options)
    plain = Sam2VideoPredictor(toy)
    results = {}
    for one in (predictor, plain):
        state = one.init_state(frames)
        for t in (0, 2, 3, 4):
            click(one, state, frame=t)
        first = follow(one, state, max_frame_num_to_track=7)
        rest = follow(one, state, start_frame_idx=8)
        results[one] = first | rest
    through = predictor.init_state(frames)
    for t in (0, 2, 3, 4):
        click(predictor, through, frame=t)
    for t, result in follow(predictor, through).items():
        np.testing.assert_array_equal(result.masks, results[predictor][t].masks)
    assert (results[predictor][9].masks != results[plain][9].masks).any()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (dict(memory_temporal_stride=0), "1 to 9"),
        (dict(memory_temporal_stride=10), "1 to 9"),
        (dict(max_cond_frames_in_attn=1), "2 or more"),
        (dict(max_cond_frames_in_attn=0), "2 or more"),
    ],
)
def test_options_out_of_range_are_named(toy, options, word):
    with pytest.raises(InputError, match=word):
        Sam2VideoPredictor(toy, **options)


def test_two_hundred_mixed_actions_compile_a_bounded_number(predictor, frames, capsys):
    functions = dict(
        segment=tracker.segment,
        segment_mask=tracker.segment_mask,
        correct=tracker.correct,
        step=tracker.step,
        encode_memory=tracker.encode_memory,
        encode_frame=tracker.encode_frame,
    )
    before = {name: f._cache_size() for name, f in functions.items()}
    rng = random.Random(0)
    states = [predictor.init_state(v) for v in (frames, frames[:, :80, :120])]
    for _ in range(200):
        state = rng.choice(states)
        obj_id, t = rng.randrange(6), rng.randrange(10)
        kind = rng.choice(["points", "points", "box", "mask", "track", "clear"])
        if kind == "points":
            count = rng.randint(1, 9)
            points = [[rng.randrange(120), rng.randrange(80)] for _ in range(count)]
            predictor.add_new_points_or_box(
                state, t, obj_id, points=points, labels=[1] * count
            )
        elif kind == "box":
            predictor.add_new_points_or_box(state, t, obj_id, box=[10, 10, 90, 70])
        elif kind == "mask":
            mask = np.zeros((state.height, state.width), bool)
            mask[20:50, 10:60] = True
            predictor.add_new_mask(state, t, obj_id, mask)
        elif kind == "track" and any(r.outputs for r in state.objects.values()):
            start = rng.randrange(10)
            predictor_options = dict(
                start_frame_idx=start,
                max_frame_num_to_track=2,
                reverse=rng.random() < 0.3,
            )
            for result in predictor.propagate_in_video(state, **predictor_options):
                assert np.isfinite(result.masks).all()
        elif kind == "clear" and obj_id in state.objects:
            predictor.clear_all_prompts_in_frame(state, t, obj_id)
    new = {name: f._cache_size() - before[name] for name, f in functions.items()}
    with capsys.disabled():
        print(f"\nnew compilations in 200 actions: {new}")
    # Points come in 3 buckets, objects in 4 (up to 8), prompted frames in 5 (up to 16).
    assert new["segment"] <= 3
    assert new["segment_mask"] <= 1
    assert new["encode_memory"] <= 1
    assert new["encode_frame"] <= 1
    assert new["correct"] <= 3 * 5
    assert new["step"] <= 4 * 5
