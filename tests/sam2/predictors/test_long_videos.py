"""Videos longer than the window of the history: going back in them."""

import itertools

import numpy as np
import pytest

from c2g_jax.sam2.predictors import track_history
from c2g_jax.sam2.predictors.track_history import WINDOW
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from c2g_jax.types import InputError
from tests.sam2.predictors.clicks import POINT, click, follow

LENGTH = 2 * WINDOW + 22


@pytest.fixture(scope="module")
def long_video(frames):
    """The short video back and forth, longer than two windows."""
    order = itertools.cycle([*range(10), *range(8, 0, -1)])
    return frames[list(itertools.islice(order, LENGTH))]


@pytest.fixture(scope="module")
def tracked(predictor, long_video):
    """A state tracked to the end, and its results by frame."""
    state = predictor.init_state(long_video)
    click(predictor, state)
    return state, follow(predictor, state)


def test_a_correction_far_back_equals_one_made_on_time(predictor, long_video, tracked):
    """Object 1 is corrected on frame 70: at once, and after the window has moved on."""
    early = predictor.init_state(long_video)
    click(predictor, early)
    follow(predictor, early, max_frame_num_to_track=75)
    on_time = click(predictor, early, frame=70, points=POINT + 20)

    late = predictor.init_state(long_video)
    click(predictor, late)
    everything = follow(predictor, late)
    assert 70 not in late.objects[1].history.held
    afterwards = click(predictor, late, frame=70, points=POINT + 20)
    np.testing.assert_array_equal(afterwards.masks, on_time.masks)
    assert (afterwards.masks != everything[70].masks).any()
    np.testing.assert_array_equal(everything[70].masks, tracked[1][70].masks)
    late.close()


def test_going_on_far_back_equals_going_through(predictor, tracked):
    state, through = tracked
    again = follow(predictor, state, start_frame_idx=40, max_frame_num_to_track=30)
    assert list(again) == list(range(40, 71))
    for t, result in again.items():
        np.testing.assert_array_equal(result.masks, through[t].masks)


def test_reverse_far_back_equals_going_through(predictor, long_video):
    state = predictor.init_state(long_video)
    click(predictor, state, frame=LENGTH - 1)
    through = follow(predictor, state, reverse=True)
    again = follow(
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


@pytest.mark.parametrize("stride", [1, 3])
def test_what_is_held_does_not_matter(toy, long_video, monkeypatch, stride):
    """Passes of both directions, two objects, a correction, a prompt taken back."""
    predictor = Sam2VideoPredictor(toy, memory_temporal_stride=stride)
    results = []
    for window in (8, 64, 1000):
        monkeypatch.setattr(track_history, "WINDOW", window)
        state = predictor.init_state(long_video[:78])
        click(predictor, state, frame=10)
        click(predictor, state, frame=30, obj_id=2, points=POINT + 20)
        passes = [follow(predictor, state, max_frame_num_to_track=60)]
        passes.append(follow(predictor, state, start_frame_idx=40, reverse=True))
        reply = click(predictor, state, frame=20, points=POINT + 5, label=0)
        passes.append({20: reply})
        options = dict(start_frame_idx=12, max_frame_num_to_track=14)
        passes.append(follow(predictor, state, **options))
        cleared = predictor.clear_all_prompts_in_frame(state, 30, 2)
        passes.append({30: cleared})
        passes.append(follow(predictor, state, start_frame_idx=5, reverse=True))
        assert len(state.objects[1].history.held) <= window
        results.append(passes)
        state.close()
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert one.keys() == two.keys()
            for t in one:
                np.testing.assert_array_equal(one[t].masks, two[t].masks)
                np.testing.assert_array_equal(one[t].ious, two[t].ious)


def test_a_pass_attends_to_what_the_other_direction_left(predictor, long_video):
    """Also where it begins before the prompt, at a frame without the object."""
    results = []
    for reverse, start in ((True, 5), (True, 0), (False, 5)):
        state = predictor.init_state(long_video[:12])
        click(predictor, state, frame=5)
        if reverse:
            follow(predictor, state, reverse=True)
        results.append(follow(predictor, state, start_frame_idx=start))
    from_the_prompt, from_before, never_reversed = results
    assert sorted(from_before) == list(range(12))
    for t in range(5, 12):
        same = from_before[t].masks == from_the_prompt[t].masks
        assert same.all()
    assert (never_reversed[6].masks != from_before[6].masks).any()


def test_what_is_held_does_not_grow(predictor, tracked):
    state, _ = tracked
    assert len(state.objects[1].history.held) <= WINDOW
    assert len(state.features) <= 2
    assert len(state.reader._held) <= 16


def test_closing_deletes_what_was_spilled(predictor, long_video):
    state = predictor.init_state(long_video)
    click(predictor, state)
    follow(predictor, state, max_frame_num_to_track=WINDOW + 3)
    held = state.objects[1].history.held[WINDOW]
    assert state._spill.nbytes == 3 * (sum(x.nbytes for x in held[:3]) + 3 * 8)
    state.close()
    assert state._spill.nbytes == 0


def test_a_stream_cannot_go_back_behind_what_is_held(predictor, frames):
    state = predictor.init_state(itertools.cycle(frames))
    click(predictor, state)
    list(itertools.islice(predictor.propagate_in_video(state), 40))
    recent = click(predictor, state, frame=35, points=POINT + 20)
    assert recent.frame_idx == 35
    with pytest.raises(InputError, match="frame 3 of a stream is gone"):
        click(predictor, state, frame=3, points=POINT + 20)
    assert list(state.objects[1].outputs) == [0, 35]
    state.close()


def test_more_prompted_frames_than_the_bank_holds(predictor, long_video):
    state = predictor.init_state(long_video)
    for t in range(0, 80, 4):  # 20 frames; the 16 closest are attended to
        click(predictor, state, frame=t, points=POINT + t % 10)
    results = follow(predictor, state, max_frame_num_to_track=90)
    assert all(np.isfinite(result.masks).all() for result in results.values())
    assert state.objects[1].select_conditioning(0) == list(range(0, 64, 4))
    assert state.objects[1].select_conditioning(90) == list(range(16, 80, 4))
    state.close()
