"""The video predictor on streams: iterators, which are read once and in order."""

import itertools

import jax
import numpy as np
import pytest
from PIL import Image

from c2g_jax.media.video import open_video
from c2g_jax.sam2.predictors import video_tracker
from c2g_jax.sam2.predictors.frame_reader import HELD, EndOfVideo, FrameReader
from c2g_jax.types import InputError
from tests.sam2.predictors.clicks import POINT, click, follow


@pytest.fixture
def reader():
    """A function: a reader of a stream, whose frames are as bright as their index."""
    made = []

    def make(count):
        frames = (np.full((4, 4, 3), t, np.uint8) for t in range(count))
        made.append(FrameReader(open_video(frames), None))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_frames_that_were_skipped_are_held(reader):
    stream = reader(40)
    assert stream.read(HELD - 1).max() == HELD - 1
    assert [stream.read(t).max() for t in range(HELD)] == list(range(HELD))
    stream.read(HELD)
    assert list(stream.held) == list(range(1, HELD + 1))
    with pytest.raises(InputError, match="frame 0 of a stream is gone, it holds 1 to"):
        stream.read(0)
    stream.read(39)  # however far
    assert list(stream.held) == list(range(24, 40))


def test_reading_past_the_end_loses_nothing(reader):
    stream = reader(10)
    with pytest.raises(EndOfVideo, match=r"frame 12 .* has 10 frames: use 0 to 9"):
        stream.read(12)
    assert [stream.read(t).max() for t in range(10)] == list(range(10))


def test_a_prompt_on_a_frame_that_has_not_come_leaves_the_stream(predictor, frames):
    plain = predictor.init_state(frames)
    click(predictor, plain)
    expected = follow(predictor, plain)
    state = predictor.init_state(iter(frames))
    with pytest.raises(InputError, match="frame 500 of the stream has not come"):
        click(predictor, state, frame=500)
    with pytest.raises(InputError, match="has 10 frames: use 0 to 9"):
        click(predictor, state, frame=12)
    assert state.obj_ids == []
    click(predictor, state)
    results = follow(predictor, state)
    assert list(results) == list(range(10))
    assert all(np.isfinite(result.masks).all() for result in results.values())
    assert (results[0].masks == expected[0].masks).all()


def test_a_prompt_ahead_leaves_the_frames_before_it(predictor, frames):
    """The memories of earlier prompts are encoded before their frames are gone."""
    state = predictor.init_state(itertools.cycle(frames))
    click(predictor, state, frame=5)
    click(predictor, state, frame=2)
    click(predictor, state, frame=20, obj_id=2, points=POINT + 20)
    assert list(state.reader.held) == list(range(5, 21))
    with pytest.raises(InputError, match="frame 2 of a stream is gone"):
        follow(predictor, state)
    results = follow(predictor, state, start_frame_idx=5, max_frame_num_to_track=20)
    assert list(results) == list(range(5, 26))
    assert np.isfinite(results[25].object_scores).all()
    state.close()


def test_a_start_past_the_end_is_named(predictor, frames):
    state = predictor.init_state(iter(frames))
    click(predictor, state)
    with pytest.raises(InputError, match=r"frame 50 .* has 10 frames: use 0 to 9"):
        follow(predictor, state, start_frame_idx=50)
    assert list(follow(predictor, state)) == list(range(10))


def test_a_stream_is_reversed_over_what_it_holds(predictor, frames):
    """The same as over a file, which holds all: the memories are the same."""
    long = frames[[*range(10), *range(8, -1, -1), *range(1, 10), *range(8, 0, -1)]]
    results = []
    for source in (long, iter(long)):
        state = predictor.init_state(source)
        state.num_frames = None  # the length scales the time of pointers
        click(predictor, state)
        steps = predictor.propagate_in_video(state)
        for _ in range(34):
            next(steps)
        click(predictor, state, frame=30, points=POINT + 20)
        options = dict(start_frame_idx=30, max_frame_num_to_track=10, reverse=True)
        results.append(follow(predictor, state, **options))
    assert list(results[1]) == list(range(30, 19, -1))
    for t, result in results[1].items():
        np.testing.assert_array_equal(result.masks, results[0][t].masks)
    words = (
        "a stream cannot be tracked in reverse from frame 30 to 0: it holds 18 to 33; "
        "pass max_frame_num_to_track=12, or give a file"
    )
    with pytest.raises(InputError, match=words):
        follow(predictor, state, reverse=True)
    with pytest.raises(
        InputError, match="from frame 40 to 30: it holds 18 to 33; give"
    ):
        follow(
            predictor,
            state,
            start_frame_idx=40,
            max_frame_num_to_track=10,
            reverse=True,
        )
    state.close()


def test_a_short_stream_is_reversed_to_its_first_frame(predictor, frames):
    state = predictor.init_state(iter(frames))
    click(predictor, state, frame=6)
    assert list(follow(predictor, state)) == [6, 7, 8, 9]
    assert list(follow(predictor, state, reverse=True)) == [6, 5, 4, 3, 2, 1, 0]


def test_a_damaged_frame_is_named_each_time_it_is_read(tmp_path):
    for t in range(3):
        Image.fromarray(np.full((8, 8, 3), t, np.uint8)).save(tmp_path / f"{t}.png")
    reader = FrameReader(open_video(tmp_path), None)
    (tmp_path / "1.png").write_bytes(b"no image")
    assert reader.read(0).max() == 0
    for _ in range(2):
        with pytest.raises(InputError, match=r"1\.png"):
            reader.read(1)
    assert reader.read(2).max() == 2
    reader.close()


def test_the_next_frame_is_encoded_before_one_is_waited_for(
    predictor, frames, monkeypatch
):
    encoded, events = video_tracker.encode_frame, []

    def encode(model, frame):
        events.append("encode")
        return encoded(model, frame)

    fetch = jax.device_get
    monkeypatch.setattr(video_tracker, "encode_frame", encode)
    monkeypatch.setattr(jax, "device_get", lambda x: events.append("wait") or fetch(x))
    for given, expected in (
        (frames[:4], ["encode", "encode", "wait", "encode", "wait", "wait"]),
        # The next frame of a stream may not have come.
        (iter(frames[:4]), ["encode", "wait"] * 3),
    ):
        state = predictor.init_state(given)
        click(predictor, state)
        events.clear()
        follow(predictor, state)
        # First the memory of the prompted frame is fetched.
        assert events == ["wait", *expected]
