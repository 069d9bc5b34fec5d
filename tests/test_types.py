import dataclasses

import numpy as np
import pytest

from c2g_jax.types import Frame, InputError, ObjectTrack, Prompt, SceneGraph, VideoInfo


def test_a_prompt_takes_lists_and_holds_arrays():
    prompt = Prompt(0, 1, [[3, 4], [5, 6.5]], [1, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(prompt.points, np.float32([[3, 4], [5, 6.5]]))
    np.testing.assert_array_equal(prompt.labels, np.int32([1, 0]))
    np.testing.assert_array_equal(prompt.box, np.float32([0, 1, 2, 3]))
    dtypes = prompt.points.dtype, prompt.labels.dtype, prompt.box.dtype
    assert dtypes == (np.float32, np.int32, np.float32)
    with pytest.raises(dataclasses.FrozenInstanceError):
        prompt.frame = 2


def test_one_point_needs_no_list_of_its_own():
    assert Prompt(0, 1, [3, 4]).points.tolist() == [[3, 4]]


def test_points_without_labels_lie_on_the_object():
    assert Prompt(0, 1, [[3, 4], [5, 6]]).labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(), "empty: give a point, a box or a mask"),
        (dict(points=[[1, 2]], labels=[1, 0]), "1 points but 2 labels"),
        (dict(points=[[1, 2]], labels=[0.7]), "labels [0.7]: use 1 (on it)"),
        (dict(points=[[1, 2]], labels=[[1], [0, 1]]), "labels [[1], [0, 1]]: give"),
        (dict(points=[[1, 2], [3]]), "points [[1, 2], [3]]: give numbers, in rows of"),
        (
            dict(points=[[1, 2, 3], [4, 5, 6]]),
            "points of shape (2, 3): give one (x, y)",
        ),
        (dict(points=[1, 2, 3]), "points of shape (3,)"),
        (dict(points="ab"), "points 'ab': give numbers"),
        (dict(box="abcd"), "a box 'abcd': give numbers"),
        (dict(points=[[1, 2]], labels=[2]), "labels [2]: use 1 (on it) or 0 (off it)"),
        (dict(box=[1, 2, 3]), "a box of 3 numbers: give 4"),
        (dict(mask=np.ones(3)), "mask of shape (3,)"),
        (dict(points=[[1, 2]], mask=np.ones((2, 2))), "mixes a mask with points"),
        (dict(box=[0, 0, 1, 1], mask=np.ones((2, 2))), "mixes a mask with points"),
    ],
)
def test_a_prompt_that_contradicts_itself(fields, words):
    with pytest.raises(InputError) as error:
        Prompt(7, 3, **fields)
    assert words in str(error.value)
    assert "the prompt for object 3 on frame 7" in str(error.value)


MASK = np.ones((10, 20), bool)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(4, 1, [[0, 0], [19.9, 9.9]]),
        Prompt(0, 1, box=[0, 0, 20, 10]),
        Prompt(0, 1, box=[-5, -1, 31, 12]),
        Prompt(0, 1, mask=MASK),
    ],
)
def test_prompts_that_fit(prompt):
    prompt.check(width=20, height=10, num_frames=5)
    prompt.check(width=20, height=10)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt(5, 1, [[1, 1]]), "has 5 sampled frames: use 0 to 4"),
        (Prompt(-1, 1, [[1, 1]]), "frames count from 0"),
        (
            Prompt(0, 1, [[20, 1]]),
            "point 20,1 lies outside the frame: the frame is 20x",
        ),
        (Prompt(0, 1, [[1, 10]]), "point 1,10 lies outside"),
        (Prompt(0, 1, [[-0.5, 1]]), "point -0.5,1 lies outside"),
        (Prompt(0, 1, [[np.nan, 1]]), "point nan,1 lies outside"),
        (Prompt(0, 1, box=[5, 1, 5, 3]), "box 5,1,5,3 has no area"),
        (Prompt(0, 1, box=[6, 1, 5, 3]), "box 6,1,5,3 has no area"),
        (Prompt(0, 1, box=[1, 3, 5, 3]), "box 1,3,5,3 has no area"),
        (Prompt(0, 1, box=[20, 1, 21, 3]), "box 20,1,21,3 lies outside"),
        (Prompt(0, 1, box=[1, -3, 5, 0]), "box 1,-3,5,0 lies outside"),
        (Prompt(0, 1, box=[1, 1, np.nan, 3]), "box 1,1,nan,3 has no area"),
        (Prompt(0, 1, mask=MASK[:5]), "the mask is 20x5 but the frame is 20x10"),
        (Prompt(0, 1, mask=~MASK), "the mask is empty"),
    ],
)
def test_prompts_that_do_not_fit(prompt, words):
    with pytest.raises(InputError) as error:
        prompt.check(width=20, height=10, num_frames=5)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_sizes_and_look_up():
    frame = Frame(0, 0.0, np.zeros((10, 20, 3), np.uint8))
    assert (frame.width, frame.height) == (20, 10)
    video = VideoInfo("a.mp4", 20, 10, 5.0, (0.0, 0.2))
    track = ObjectTrack(2, "cup", 1.0, None, {})
    graph = SceneGraph(video, (track,), ())
    assert video.num_frames == 2
    assert graph.object(2) is track
    with pytest.raises(KeyError):
        graph.object(1)
