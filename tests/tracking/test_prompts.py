"""Prompts in a video: corrections, errors, and their pixels in the model's image."""

import numpy as np
import pytest

from c2g_jax.tracking.inputs import prompt_arrays
from c2g_jax.tracking.state import TrackingState
from c2g_jax.types import InputError, Prompt
from tests.scripted import World, column, model, prompt, step, track


def test_a_second_prompt_corrects_the_subject(monkeypatch):
    world = World(column, lambda subject, frame: [9, -1, -1])
    world.install(monkeypatch)
    state = TrackingState(16, 16, next_id=2)
    for frame in range(5):
        told = {0: 3, 2: 4}.get(frame)
        prompts = [] if told is None else [prompt(frame, 1, told)]
        state, result = step(model(), state, frame, prompts)
    assert len(state.subjects) == 1
    slot = state.slot_of()[1]
    assert state.bank.things[slot] == 4
    assert state.bank.prompted[slot] == (0, 2)
    np.testing.assert_array_equal(result.masks[1], column(4))


def test_an_object_can_be_corrected_too(monkeypatch):
    world = World(column, lambda subject, frame: [9, -1, -1])
    world.install(monkeypatch)
    state, _ = step(
        model(), TrackingState(16, 16, next_id=2), 0, [prompt(0, 1, thing=3)]
    )
    state, result = step(model(), state, 1, [prompt(1, 2, thing=10)])
    assert [s.object_id for s in state.subjects] == [1]
    assert state.bank.prompted[state.slot_of()[2]] == (0, 1)
    np.testing.assert_array_equal(result.masks[2], column(10))


def test_bad_prompts_are_named(monkeypatch):
    world = World(column, lambda subject, frame: [-1, -1, -1])
    twice = [prompt(0, 1, 3), prompt(0, 1, 4)]
    with pytest.raises(InputError, match="object 1 on frame 0 is given twice"):
        track(world, twice, 2, monkeypatch)
    with pytest.raises(InputError, match="the video has 2 sampled frames"):
        track(world, [prompt(5, 1, 3)], 2, monkeypatch, num_frames=2)
    with pytest.raises(InputError, match="on frame 5: the video ends after 2 frames"):
        track(world, [prompt(5, 1, 3)], 2, monkeypatch)
    with pytest.raises(InputError, match="no frames"):
        track(world, [prompt(0, 1, 3)], 0, monkeypatch)
    with pytest.raises(InputError, match="outside the frame"):
        track(world, [prompt(0, 1, 99)], 1, monkeypatch)


def test_prompts_become_pixels_of_the_model_image():
    mask = np.zeros((16, 32), bool)
    mask[:, 8:24] = True
    prompts = [
        Prompt(0, 5, points=[[8, 4], [30, 2]], labels=[1, 0], box=[2, 1, 20, 12]),
        Prompt(0, 6, mask=mask),
    ]
    state = TrackingState(16, 32, None, 0, slots=(None, 5, 6, None))
    arrays, masks, by_points, by_mask = prompt_arrays(state, prompts, 64)
    # 64 / 32 = 2 across, 64 / 16 = 4 down; the box's corners come first.
    np.testing.assert_array_equal(
        arrays.point_coords[1], [[4, 4], [40, 48], [16, 16], [60, 8]]
    )
    np.testing.assert_array_equal(arrays.point_labels[1], [2, 3, 1, 0])
    assert (arrays.point_labels[[0, 2, 3]] < 0).all()
    assert by_points.tolist() == [False, True, False, False]
    assert by_mask.tolist() == [False, False, True, False]
    assert masks.shape == (4, 64, 64)
    np.testing.assert_array_equal(masks[2].any(axis=0).nonzero()[0], np.arange(16, 48))
    assert masks[[0, 1, 3]].sum() == 0


def test_a_video_without_prompts_is_empty(monkeypatch):
    world = World(column, lambda subject, frame: [-1, -1, -1])
    results = track(world, [], 2, monkeypatch)
    assert [len(r.masks) for r in results] == [0, 0]
    assert world.encoded == 0
