"""The prompts of runs: where they lie, and that they are the same always."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.trials import Trial, draw_prompt
from tests.evaluation.scripted_model import Drawn


@pytest.fixture
def trial():
    video = Drawn(seed=3).dataset().videos("val")[0]
    truth = video_truth(video, Protocol())

    def make(kind, run):
        own = truth.subjects[0]
        return Trial("didm", kind, run, int(own.frames[0]), own)

    return make


def test_clicks_lie_on_the_subject_and_none_twice(trial):
    subject = trial("point", 0).truth.subject_id
    segments = np.zeros((40, 40), np.uint8)
    segments[5:11, 7:12] = subject  # 30 pixels, 25 runs
    clicks = set()
    for run in range(25):
        prompt = draw_prompt(trial("point", run), 5, "v", segments, 64, Protocol())
        ((x, y),) = prompt.points.tolist()
        assert segments[int(y), int(x)] == subject
        assert prompt.object_id == 5
        clicks.add((x, y))
    assert len(clicks) == 25
    again = draw_prompt(trial("point", 24), 5, "v", segments, 64, Protocol())
    assert (x, y) == tuple(again.points[0].tolist())


def test_clicks_in_the_interior_are_deep(trial):
    segments = np.zeros((40, 40), np.uint8)
    segments[3:36, 3:36] = trial("point", 0).truth.subject_id
    border = Counter()
    for click in ("anywhere", "interior"):
        for run in range(60):
            protocol = Protocol(click=click)
            prompt = draw_prompt(trial("point", run), 0, "v", segments, 64, protocol)
            ((x, y),) = prompt.points
            border[click] += min(x - 3, y - 3, 35 - x, 35 - y) < 4
    assert border["interior"] < border["anywhere"] / 2


def test_corners_of_boxes_move_in_pixels_of_the_model_image(trial):
    segments = np.zeros((50, 100), np.uint8)
    segments[10:31, 20:81] = trial("box", 0).truth.subject_id
    exact = np.array([20, 10, 80, 30])
    protocol = Protocol(box_noise=0.1, box_bound=2)
    # 64 / 100 and 64 / 50: two pixels of the model are 3.125 across, and 1.5625 down,
    # where a tenth of the side, 2 of the video, is more.
    boxes = [
        draw_prompt(trial("box", run), 0, "v", segments, 64, protocol).box
        for run in range(40)
    ]
    away = np.abs(np.array(boxes) - exact).max(axis=0)
    bound = np.array([3.125, 1.5625, 3.125, 1.5625])
    assert (away <= bound + 1e-4).all()
    assert (away > 0.8 * bound).all()
    still = dataclasses.replace(protocol, box_noise=0.0)
    box = draw_prompt(trial("box", 0), 0, "v", segments, 64, still).box
    np.testing.assert_allclose(box, exact, atol=1e-4)


def test_masks_are_given_as_they_are(trial):
    segments = np.zeros((8, 8), np.uint8)
    subject = trial("mask", 0).truth.subject_id
    segments[2:5, 1:7] = subject
    prompt = draw_prompt(trial("mask", 0), 0, "v", segments, 64, Protocol())
    np.testing.assert_array_equal(prompt.mask, segments == subject)
    assert prompt.box is None
    assert not len(prompt.points)
