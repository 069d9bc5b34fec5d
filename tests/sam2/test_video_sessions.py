"""Long and winding use of the video predictor: going back, taking back, removing."""

import itertools
import random

import numpy as np
import pytest

import c2g_jax.sam2.video_tracker as tracker
from c2g_jax.sam2.track_history import WINDOW
from c2g_jax.sam2.video_predictor import Sam2VideoPredictor
from c2g_jax.types import InputError

POINT = np.float32([[25, 45]])
LENGTH = 2 * WINDOW + 22


@pytest.fixture(scope="module")
def predictor(toy):
    return Sam2VideoPredictor(toy)


@pytest.fixture(scope="module")
def long_video(frames):
    """The short video to and fro, long enough to leave the window behind."""
    order = itertools.cycle([*range(10), *range(8, 0, -1)])
    return frames[list(itertools.islice(order, LENGTH))]


def click(predictor, state, frame=0, obj_id=1, point=POINT, label=1):
    return predictor.add_new_points_or_box(
        state, frame, obj_id, points=point, labels=[label] * len(point)
    )


def track(predictor, state, **options):
    return {r.frame_idx: r for r in predictor.propagate_in_video(state, **options)}


@pytest.fixture(scope="module")
def tracked(predictor, long_video):
    """A state that was tracked to the end, and what that gave by frame."""
    state = predictor.init_state(long_video)
    click(predictor, state)
    return state, track(predictor, state)


def test_a_correction_far_back_equals_one_made_on_time(predictor, long_video, tracked):
    """Object 1 is corrected on frame 70: then, and when the window has moved on."""
    early = predictor.init_state(long_video)
    click(predictor, early)
    track(predictor, early, max_frame_num_to_track=75)
    on_time = click(predictor, early, frame=70, point=POINT + 20)

    late = predictor.init_state(long_video)
    click(predictor, late)
    everything = track(predictor, late)
    assert 70 not in late.history.frames
    afterwards = click(predictor, late, frame=70, point=POINT + 20)
    np.testing.assert_array_equal(afterwards.masks, on_time.masks)
    assert (afterwards.masks != everything[70].masks).any()
    np.testing.assert_array_equal(everything[70].masks, tracked[1][70].masks)
    late.close()


def test_going_on_far_back_equals_going_through(predictor, tracked):
    state, through = tracked
    again = track(predictor, state, start_frame_idx=40, max_frame_num_to_track=30)
    assert list(again) == list(range(40, 71))
    for t, result in again.items():
        np.testing.assert_array_equal(result.masks, through[t].masks)


def test_reverse_far_back_equals_going_through(predictor, long_video):
    state = predictor.init_state(long_video)
    click(predictor, state, frame=LENGTH - 1)
    through = track(predictor, state, reverse=True)
    again = track(
        predictor,
        state,
        start_frame_idx=100,
        max_frame_num_to_track=20,
        reverse=True,
    )
    assert list(again) == list(range(100, 79, -1))
    for t, result in again.items():
        np.testing.assert_array_equal(result.masks, through[t].masks)
    state.close()


def test_what_is_held_does_not_grow(predictor, tracked):
    state, _ = tracked
    assert len(state.history.frames) <= WINDOW + 16  # and what a snapshot brought back
    assert len(state.features) <= 2
    assert len(state.reader._held) <= 16


def test_closing_deletes_the_snapshots(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state)
    track(predictor, state)
    folder = state.history._path(0, 1).parent
    assert list(folder.iterdir())
    state.close()
    assert not folder.exists()


def test_taking_a_prompt_back_is_as_if_it_was_never_given(predictor, frames):
    plain = predictor.init_state(frames)
    click(predictor, plain)
    expected = track(predictor, plain)
    for tracked_between in (False, True):
        state = predictor.init_state(frames)
        click(predictor, state)
        track(predictor, state)
        corrected = click(predictor, state, frame=3, point=POINT + 20, label=0)
        assert (corrected.masks != expected[3].masks).any()
        if tracked_between:
            track(predictor, state)
        cleared = predictor.clear_all_prompts_in_frame(state, 3, 1)
        if not tracked_between:
            np.testing.assert_array_equal(cleared.masks, expected[3].masks)
        for t, result in track(predictor, state).items():
            np.testing.assert_array_equal(result.masks, expected[t].masks)


def test_an_object_without_a_prompt_left_is_nowhere(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state)
    click(predictor, state, obj_id=2, point=POINT + 30)
    track(predictor, state)
    cleared = predictor.clear_all_prompts_in_frame(state, 0, 2)
    assert cleared.obj_ids == [1, 2]
    assert (cleared.masks[1] == -1024).all()
    for result in track(predictor, state).values():
        assert (result.masks[1] == -1024).all()
        assert np.isnan(result.object_scores[1])


def test_a_removed_object_leaves_the_others_bit_equal(predictor, frames):
    expected = {}
    for with_third in (False, True):
        state = predictor.init_state(frames)
        click(predictor, state)
        click(predictor, state, obj_id=2, point=POINT + 30)
        if with_third:
            click(predictor, state, obj_id=3, point=POINT + 10)
            track(predictor, state)
            ids, updated = predictor.remove_object(state, 3)
            assert ids == [1, 2]
            assert [result.frame_idx for result in updated] == [0]
            assert updated[0].masks.shape[0] == 2
        expected[with_third] = track(predictor, state)
    for t in range(10):
        np.testing.assert_array_equal(expected[True][t].masks, expected[False][t].masks)


def test_an_object_that_takes_a_freed_slot_knows_nothing_of_the_old(predictor, frames):
    fresh = predictor.init_state(frames)
    click(predictor, fresh)
    click(predictor, fresh, obj_id="b", point=POINT + 30)
    expected = track(predictor, fresh)
    state = predictor.init_state(frames)
    click(predictor, state)
    click(predictor, state, obj_id="a", frame=2, point=POINT + 5)
    track(predictor, state)
    predictor.remove_object(state, "a")
    click(predictor, state, obj_id="b", point=POINT + 30)
    assert [r.slot for r in state.objects.values()] == [0, 1]
    for t, result in track(predictor, state).items():
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
        track(predictor, state)


def test_an_object_added_after_tracking_leaves_the_others(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state, obj_id=7)
    before = track(predictor, state)
    reply = click(predictor, state, frame=4, obj_id=2, point=POINT + 30)
    assert reply.obj_ids == [7, 2]
    after = track(predictor, state)
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
            reply = click(predictor, state, frame=3, obj_id=2, point=POINT + 30)
    assert [len(seen[t].obj_ids) for t in (3, 4)] == [1, 2]
    assert np.isfinite(seen[4].object_scores).all()
    waited = predictor.init_state(frames)
    click(predictor, waited)
    track(predictor, waited, max_frame_num_to_track=3)
    same = click(predictor, waited, frame=3, obj_id=2, point=POINT + 30)
    np.testing.assert_array_equal(reply.masks, same.masks)
    rest = track(predictor, waited, start_frame_idx=4)
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


def test_a_stream_cannot_go_back_behind_what_is_held(predictor, frames):
    state = predictor.init_state(itertools.cycle(frames))
    click(predictor, state)
    list(itertools.islice(predictor.propagate_in_video(state), 40))
    recent = click(predictor, state, frame=35, point=POINT + 20)
    assert recent.frame_idx == 35
    with pytest.raises(InputError, match="frame 3 of a stream is gone"):
        click(predictor, state, frame=3, point=POINT + 20)
    assert list(state.objects[1].answers) == [0, 35]
    state.close()


def test_more_prompted_frames_than_the_bank_holds(predictor, long_video):
    state = predictor.init_state(long_video)
    for t in range(0, 80, 4):  # 20 frames; the 16 closest are attended to
        click(predictor, state, frame=t, point=POINT + t % 10)
    results = track(predictor, state, max_frame_num_to_track=90)
    assert all(np.isfinite(result.masks).all() for result in results.values())
    assert state.objects[1].conditioning(0) == list(range(0, 64, 4))
    assert state.objects[1].conditioning(90) == list(range(16, 80, 4))
    state.close()


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
        first = track(one, state, max_frame_num_to_track=7)
        rest = track(one, state, start_frame_idx=8)
        results[one] = first | rest
    through = predictor.init_state(frames)
    for t in (0, 2, 3, 4):
        click(predictor, through, frame=t)
    for t, result in track(predictor, through).items():
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
        encode_prompted=tracker.encode_prompted,
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
        elif kind == "track" and any(r.answers for r in state.objects.values()):
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
    assert new["encode_prompted"] <= 1
    assert new["encode_frame"] <= 1
    assert new["correct"] <= 3 * 5
    assert new["step"] <= 4 * 5
