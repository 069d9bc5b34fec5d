"""The demo's comparison of a graph with the ground truth."""

import importlib.util

import numpy as np
import pytest

from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import open_video
from c2g_jax.types import ObjectTrack, Relation, SceneGraph, VideoInfo
from tests.commands import ROOT

DEMO = ROOT / "tools" / "demo.py"


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def square(left: int, frames: int = 4) -> dict:
    mask = np.zeros((8, 16), bool)
    mask[2:6, left : left + 4] = True
    return {t: encode_mask(mask) for t in range(frames)}


def graph(objects, relations) -> SceneGraph:
    return SceneGraph(
        VideoInfo("clip.mp4", 16, 8, 5.0, (0.0, 0.2, 0.4, 0.6)),
        tuple(ObjectTrack(i, name, 1.0, None, square(x)) for i, name, x in objects),
        tuple(Relation(*r, 1.0) for r in relations),
    )


TRUTH = graph(
    [(1, "child", 0), (2, "ball", 8), (3, "sofa", 12)],
    [(1, 2, "holding", ((0, 1),)), (1, 3, "sitting on", ((2, 3),))],
)


def test_found_missed_and_untrue(demo):
    # The ball is shifted by half its size and has another id; the sofa is elsewhere.
    found = graph(
        [(1, "adult", 0), (4, "cup", 9), (5, "sofa", 0)],
        [
            (1, 4, "holding", ((1, 3),)),
            (1, 5, "sitting on", ((2, 3),)),
        ],
    )
    assert demo.compare(TRUTH, found, [1]) == [
        "child 1: predicted adult, mask IoU 1.00",
        "  found   holding ball, frames 0 to 1: as holding cup, frames 1 to 3, "
        "mask IoU 0.60",
        "  missed  sitting on sofa, frames 2 to 3",
        "false: adult 1 sitting on sofa 5, frames 2 to 3",
    ]


def test_counts_of_all_clips(demo):
    found = graph(
        [(1, "child", 0), (2, "ball", 8)],
        [(1, 2, "holding", ((0, 1),)), (1, 2, "kicking", ((0, 1),))],
    )
    lines = demo.compare(TRUTH, found, [1])
    assert demo.summary(lines + lines) == "2 of 4 relations found, 2 false"


def test_every_clip_has_its_truth(demo):
    assert len(demo.CLIPS) == 3
    for clip in demo.CLIPS:
        truth = demo.read_scene_graph(clip.with_suffix(".json"))
        assert len(list(open_video(clip))) == truth.video.num_frames
        assert truth.relations
    assert sum(file.stat().st_size for file in clip.parent.iterdir()) < 1.5e6


def test_a_relation_at_another_time_is_not_the_one(demo):
    found = graph([(1, "child", 0), (2, "ball", 8)], [(1, 2, "holding", ((2, 3),))])
    assert demo.compare(TRUTH, found, [1])[1:3] == [
        "  missed  holding ball, frames 0 to 1",
        "  missed  sitting on sofa, frames 2 to 3",
    ]


def test_the_click_lies_in_the_middle(demo):
    prompt = demo.click(TRUTH.objects[1])
    assert (prompt.frame, prompt.object_id) == (0, 2)
    x, y = prompt.points[0]
    assert 9 <= x <= 10
    assert 3 <= y <= 4
