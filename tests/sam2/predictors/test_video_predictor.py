"""The video predictor as its users call it, at the toy size."""

import itertools

import numpy as np
import pytest

import c2g_jax.sam2.predictors.video_tracker as module
from c2g_jax.sam2.predictors.track_history import WINDOW
from c2g_jax.sam2.predictors.video import Sam2VideoPredictor
from c2g_jax.types import InputError
from tests.clips import readers, write_clip
from tests.sam2.predictors.clicks import POINT, click

BOX = np.float32([60, 20, 100, 70])


def masks_of(results):
    return {result.frame_idx: result.masks for result in results}


@pytest.fixture(scope="module")
def single(predictor, frames):
    """Object 1 alone, clicked on frame 0: masks by frame."""
    state = predictor.init_state(frames)
    click(predictor, state)
    return masks_of(predictor.propagate_in_video(state))


def test_every_frame_is_given_in_order(predictor, frames, single):
    assert list(single) == list(range(10))
    assert all(mask.shape == (1, 1, 96, 160) for mask in single.values())
    assert 0 < np.mean([(mask > 0).mean() for mask in single.values()]) < 1


def test_a_result_unpacks_as_people_write_it(predictor, frames):
    state = predictor.init_state(frames)
    frame_idx, obj_ids, logits = click(predictor, state)
    assert (frame_idx, obj_ids, logits.shape) == (0, [1], (1, 1, 96, 160))
    for _, obj_ids, logits in predictor.propagate_in_video(state):
        assert obj_ids == [1]
        assert (logits[0] > 0.0).shape == (1, 96, 160)


def test_the_click_is_what_propagation_gives(predictor, frames, single):
    state = predictor.init_state(frames)
    np.testing.assert_array_equal(click(predictor, state).masks, single[0])


def test_again_is_bit_equal_and_frames_are_untouched(predictor, frames, single):
    before = frames.copy()
    state = predictor.init_state(frames)
    click(predictor, state)
    for _ in range(2):
        again = masks_of(predictor.propagate_in_video(state))
        for t, mask in single.items():
            np.testing.assert_array_equal(again[t], mask)
    np.testing.assert_array_equal(frames, before)


def test_a_file_a_folder_and_an_iterator_are_videos(
    predictor, frames, single, tmp_path
):
    from PIL import Image

    folder = tmp_path / "frames"
    folder.mkdir()
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{t}.png")
    clip = write_clip(tmp_path / "clip.mp4", frames)
    lengths = {}
    for name, source in (
        ("folder", folder),
        ("file", clip),
        ("iterator", iter(frames)),
    ):
        state = predictor.init_state(source)
        click(predictor, state)
        lengths[name] = masks_of(predictor.propagate_in_video(state))
        assert list(lengths[name]) == list(range(10)), name
    for t in range(10):
        np.testing.assert_array_equal(lengths["folder"][t], single[t])


def test_a_stream_without_end_is_followed_as_long_as_asked(predictor, frames):
    state = predictor.init_state(itertools.cycle(frames))
    assert state.num_frames is None
    click(predictor, state)
    results = predictor.propagate_in_video(state)
    assert [next(results).frame_idx for _ in range(25)] == list(range(25))
    results.close()
    state.close()
    assert not readers()


def test_objects_of_one_video_do_not_touch_each_other(predictor, frames, single):
    state = predictor.init_state(frames)
    click(predictor, state)
    predictor.add_new_points_or_box(state, 0, "box", box=BOX)
    square = np.zeros((96, 160), bool)
    square[30:60, 10:40] = True
    predictor.add_new_mask(state, 0, 7, square)
    for t, ids, masks in predictor.propagate_in_video(state):
        assert ids == [1, "box", 7]
        if t == 0:
            # A mask prompt is returned, up to its low resolution.
            assert np.mean((masks[2, 0] > 0) != square) < 0.02
        # Another bucket of objects rounds differently.
        assert np.mean((masks[0] > 0) != (single[t][0] > 0)) < 5e-3


def test_a_late_object_is_absent_before_its_prompt(predictor, frames, single):
    state = predictor.init_state(frames)
    click(predictor, state)
    click(predictor, state, frame=4, obj_id=2, points=POINT + np.float32([30, 0]))
    masks = masks_of(predictor.propagate_in_video(state))
    for t in range(10):
        assert (masks[t][1] == -1024).all() == (t < 4)
        assert np.mean((masks[t][0] > 0) != (single[t][0] > 0)) < 5e-3


def test_reverse_reaches_the_frames_before_a_prompt(predictor, frames):
    state = predictor.init_state(frames)
    click(predictor, state, frame=6)
    forward = masks_of(predictor.propagate_in_video(state))
    backward = masks_of(predictor.propagate_in_video(state, reverse=True))
    assert list(forward) == [6, 7, 8, 9]
    assert list(backward) == [6, 5, 4, 3, 2, 1, 0]
    np.testing.assert_array_equal(forward[6], backward[6])


@pytest.mark.parametrize("reverse", [False, True])
def test_bounds_mean_the_same_in_both_directions(predictor, frames, reverse):
    state = predictor.init_state(frames)
    click(predictor, state, frame=5)
    results = predictor.propagate_in_video(
        state, max_frame_num_to_track=2, reverse=reverse
    )
    assert list(masks_of(results)) == ([5, 4, 3] if reverse else [5, 6, 7])


def test_going_on_from_the_middle_equals_going_through(predictor, frames, single):
    state = predictor.init_state(frames)
    click(predictor, state)
    first = masks_of(predictor.propagate_in_video(state, max_frame_num_to_track=4))
    rest = masks_of(predictor.propagate_in_video(state, start_frame_idx=5))
    for t, mask in (first | rest).items():
        np.testing.assert_array_equal(mask, single[t])


def test_a_correction_of_a_tracked_frame_holds(predictor, frames, single):
    state = predictor.init_state(frames)
    click(predictor, state)
    list(predictor.propagate_in_video(state))
    reply = predictor.add_new_points_or_box(
        state, 3, 1, points=[[90, 45], [20, 20]], labels=[1, 0]
    )
    assert (reply.masks != single[3]).any()
    again = masks_of(predictor.propagate_in_video(state))
    np.testing.assert_array_equal(again[3], reply.masks)
    assert (again[4] != single[4]).any()
    assert (again[5] != single[5]).any()


def test_points_join_or_replace_earlier_ones(predictor, frames):
    joined, replaced = (predictor.init_state(frames) for _ in range(2))
    for state in (joined, replaced):
        click(predictor, state)
    predictor.add_new_points_or_box(
        joined, 0, 1, points=[[90, 45]], labels=[0], clear_old_points=False
    )
    predictor.add_new_points_or_box(replaced, 0, 1, points=[[90, 45]], labels=[0])
    coords, labels = joined.objects[1].points[0]
    assert labels.tolist() == [1, 0]
    np.testing.assert_allclose(coords, [[20, 60], [72, 60]])
    assert replaced.objects[1].points[0][1].tolist() == [0]


def test_no_two_objects_share_a_pixel_on_request(toy, frames):
    predictor = Sam2VideoPredictor(toy, non_overlap_masks=True)
    state = predictor.init_state(frames)
    click(predictor, state)
    click(predictor, state, obj_id=2, points=POINT + 5)
    for result in predictor.propagate_in_video(state, max_frame_num_to_track=2):
        assert ((result.masks > 0).sum(axis=0) <= 1).all()


def test_reset_forgets_all_but_the_video(predictor, frames, single):
    state = predictor.init_state(frames)
    click(predictor, state, obj_id=9, points=POINT + 40)
    list(predictor.propagate_in_video(state, max_frame_num_to_track=3))
    predictor.reset_state(state)
    assert state.obj_ids == []
    click(predictor, state)
    for result in predictor.propagate_in_video(state):
        np.testing.assert_array_equal(result.masks, single[result.frame_idx])


def test_one_frame_is_a_video(predictor, frames):
    state = predictor.init_state(frames[:1])
    click(predictor, state)
    (only,) = predictor.propagate_in_video(state)
    assert np.isfinite(only.masks).all()


def test_what_is_kept_does_not_grow_with_the_video(predictor, frames):
    state = predictor.init_state(itertools.cycle(frames))
    click(predictor, state)
    for result in predictor.propagate_in_video(state):
        if result.frame_idx == 100:
            break
    assert len(state.objects[1].history.held) <= WINDOW
    assert len(state.features) <= 2
    assert len(state.reader._held) <= 16
    state.close()


def test_a_session_compiles_by_bucket_not_by_prompt(predictor, frames):
    functions = (module.segment, module.step, module.correct, module.segment_mask)

    def session():
        state = predictor.init_state(frames)
        for count in (1, 2, 3, 4):
            points = np.linspace(5, 90, 2 * count).reshape(count, 2)
            predictor.add_new_points_or_box(
                state, 0, count, points=points, labels=np.ones(count)
            )
        list(predictor.propagate_in_video(state))

    session()
    before = [function._cache_size() for function in functions]
    session()
    assert [function._cache_size() for function in functions] == before


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (dict(frame_idx=10, points=POINT, labels=[1]), "0 to 9"),
        (dict(frame_idx=-1, points=POINT, labels=[1]), "0 to 9"),
        (dict(frame_idx=0, points=POINT), "together"),
        (dict(frame_idx=0), "no prompt"),
        (dict(frame_idx=0, points=[[500, 4]], labels=[1]), "160x96"),
        (dict(frame_idx=0, points=[[np.nan, 4]], labels=[1]), "160x96"),
        (dict(frame_idx=0, points=POINT, labels=[2]), "inside"),
        (dict(frame_idx=0, box=[50, 50, 40, 60]), "empty"),
        (dict(frame_idx=0, box=BOX, clear_old_points=False), "replaces"),
        (dict(frame_idx=0, box=[BOX, BOX]), "one object's"),
        (dict(frame_idx=2.0, points=POINT, labels=[1]), "frame_idx is 2.0: give a"),
        (dict(frame_idx="2", points=POINT, labels=[1]), "frame_idx is '2'"),
    ],
)
def test_a_bad_prompt_is_named_and_leaves_no_trace(predictor, frames, call, word):
    state = predictor.init_state(frames)
    with pytest.raises(InputError, match=word):
        predictor.add_new_points_or_box(state, obj_id=1, **call)
    assert state.obj_ids == []
    with pytest.raises(InputError, match="no object is prompted"):
        list(predictor.propagate_in_video(state))
    click(predictor, state)
    assert len(masks_of(predictor.propagate_in_video(state))) == 10


def test_what_else_is_no_frame_no_id_and_no_limit(predictor, frames):
    state = predictor.init_state(frames)
    for call, words in (
        (
            lambda: click(predictor, state, obj_id=[1]),
            r"obj_id is \[1\]: give a number",
        ),
        (lambda: predictor.remove_object(state, {}), "obj_id is {}"),
        (lambda: predictor.add_new_mask(state, 0.5, 1, np.ones((9, 9))), "frame_idx"),
        (lambda: predictor.clear_all_prompts_in_frame(state, 0, []), "obj_id"),
    ):
        with pytest.raises(InputError, match=words):
            call()
    click(predictor, state)
    for options, words in (
        (dict(start_frame_idx=50), "start_frame_idx 50 is not in the video: use 0 to"),
        (dict(start_frame_idx=1.0), "start_frame_idx is 1.0"),
        (dict(max_frame_num_to_track=-1), "max_frame_num_to_track is -1: give"),
        (dict(max_frame_num_to_track=1.5), "max_frame_num_to_track is 1.5"),
    ):
        with pytest.raises(InputError, match=words):
            list(predictor.propagate_in_video(state, **options))


def test_the_old_name_adds_points(predictor, frames, single):
    state = predictor.init_state(frames)
    reply = predictor.add_new_points(state, 0, 1, POINT, [1])
    np.testing.assert_array_equal(reply.masks, single[0])


def test_a_bad_mask_is_named_and_leaves_no_trace(predictor, frames):
    state = predictor.init_state(frames)
    for mask in (np.zeros((2, 3, 4)), np.zeros((0, 5))):
        with pytest.raises(InputError, match="HxW"):
            predictor.add_new_mask(state, 0, 1, mask)
    assert state.obj_ids == []


def test_a_mask_of_another_size_shows_the_whole_frame(predictor, frames):
    half = np.zeros((48, 80), bool)
    half[15:30, 5:20] = True
    state = predictor.init_state(frames)
    reply = predictor.add_new_mask(state, 0, 1, half)
    inside = reply.masks[0, 0] > 0
    assert inside[34:56, 14:36].all()
    assert not inside[:, 60:].any()


def test_an_empty_mask_is_an_object_out_of_view(predictor, frames):
    state = predictor.init_state(frames)
    reply = predictor.add_new_mask(state, 0, 1, np.zeros((96, 160), bool))
    assert not (reply.masks > 0).any()
    for result in predictor.propagate_in_video(state, max_frame_num_to_track=2):
        assert np.isfinite(result.masks).all()
