import colorsys
import dataclasses

import numpy as np

from c2g_jax.export.overlay import (
    FAINT,
    FILL,
    draw_frame,
    draw_graph,
    object_color,
    write_overlay,
)
from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import open_video
from c2g_jax.types import Frame, ObjectTrack, Relation, SceneGraph, VideoInfo

GREY = np.full((120, 160, 3), 128, np.uint8)


def square(top, left, side=40):
    mask = np.zeros(GREY.shape[:2], bool)
    mask[top : top + side, left : left + side] = True
    return mask


def graph(num_frames=3):
    times = tuple(t / 5 for t in range(num_frames))
    return SceneGraph(
        VideoInfo("a.mp4", 160, 120, 5.0, times),
        (
            ObjectTrack(1, "adult", 1.0, None, {0: encode_mask(square(40, 20))}),
            ObjectTrack(2, "cup", 1.0, 1, {0: encode_mask(square(40, 100))}),
        ),
        (Relation(1, 2, "holding", ((1, 1),), 0.5),),
    )


def test_colors_are_stable_and_far_apart():
    assert object_color(3) == object_color(3)
    hues = [colorsys.rgb_to_hsv(*object_color(i))[0] for i in range(1, 9)]
    gaps = [abs(a - b) for i, a in enumerate(hues) for b in hues[:i]]
    assert min(min(gap, 1 - gap) for gap in gaps) > 0.05


def test_masks_are_filled_and_outlined():
    mask = square(50, 60)
    drawn = draw_frame(GREY, {1: mask}, {1: ""})
    color = np.float32(object_color(1))
    np.testing.assert_array_equal(drawn[50, 70], object_color(1))  # on the border
    want = np.round(128 + FILL * (color - 128))
    np.testing.assert_array_equal(drawn[75, 80], want)
    np.testing.assert_array_equal(drawn[100, 20], GREY[100, 20])
    assert (GREY == 128).all()  # the input frame is not changed


def test_in_the_background_is_an_outline_alone():
    drawn = draw_frame(GREY, {1: square(50, 60)}, {1: "1 cup"}, quiet=[1])
    want = np.round(128 + FAINT * (np.float32(object_color(1)) - 128))
    np.testing.assert_array_equal(drawn[50, 70], want)
    changed = (drawn != GREY).any(-1)
    assert not changed[52:88, 62:98].any()
    assert not changed[:50].any()  # no name above it


def test_what_has_no_relation_on_a_frame_is_in_the_background():
    masks = {t: encode_mask(square(40, 100)) for t in (0, 1)}
    subject, found = graph().objects
    whole = dataclasses.replace(
        graph(), objects=(subject, dataclasses.replace(found, masks=masks))
    )
    frames = [Frame(t, 0.0, GREY) for t in (0, 1)]
    before, holding = (frame.rgb for frame in draw_graph(frames, whole))
    np.testing.assert_array_equal(before[60, 120], GREY[60, 120])
    assert (holding[60, 120] != GREY[60, 120]).any()
    assert (before[60, 40] != GREY[60, 40]).any()  # the subject is always filled


def test_a_small_mask_on_a_large_one_is_seen():
    masks = {1: square(50, 60, side=10), 2: square(30, 40, side=60)}
    drawn = draw_frame(GREY, masks, {})
    np.testing.assert_array_equal(drawn[50, 65], object_color(1))


def test_names_and_relations_stay_within_the_frame():
    masks = {1: square(0, 0), 2: square(0, 2), 3: square(80, 120)}
    names = {1: "1 adult", 2: "2 adult", 3: "3 a very long name of some thing"}
    many = [Relation(1, 2, f"predicate {i}", ((0, 0),), 0.5) for i in range(30)]
    drawn = draw_frame(GREY, masks, names, many)
    assert drawn.shape == GREY.shape
    dark = (drawn[:, 0] == 53).all(axis=1)  # 128 under the strip
    assert dark[-1]
    assert 5 < dark.sum() <= 60  # at most half of the frame
    tiny = draw_frame(GREY[:8, :8], {1: np.ones((8, 8), bool)}, names, many)
    assert tiny.shape == (8, 8, 3)


def test_an_empty_mask_draws_nothing():
    drawn = draw_frame(GREY, {1: np.zeros((120, 160), bool)}, {1: "1 adult"})
    np.testing.assert_array_equal(drawn, GREY)


def test_relations_show_while_they_hold():
    frames = [Frame(i, i / 5, GREY) for i in range(3)]
    drawn = [frame.rgb for frame in draw_graph(frames, graph())]
    assert (drawn[0][45, 40] != GREY[45, 40]).any()  # a mask, but no list of relations
    assert (drawn[0][118] == GREY[118]).all()
    assert (drawn[1][118] != GREY[118]).any()
    assert (drawn[1][45] == GREY[45]).all()
    np.testing.assert_array_equal(drawn[2], GREY)


def test_a_video_and_a_single_image(tmp_path):
    frames = [Frame(i, i / 5, GREY) for i in range(3)]
    write_overlay(tmp_path, iter(frames), graph())
    assert [path.name for path in tmp_path.iterdir()] == ["overlay.mp4"]
    back = list(open_video(tmp_path / "overlay.mp4", fps=None))
    assert [frame.time for frame in back] == [0.0, 0.2, 0.4]

    write_overlay(tmp_path, iter(frames[:1]), graph(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "overlay.mp4",
        "overlay.png",
    ]
