"""Trials: the prompts that are drawn for them, and tracking them in batches."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from c2g_jax.evaluation.ground_truth import video_truth
from c2g_jax.evaluation.heuristic import Oracle
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.evaluation.runner import follow_video, scoring_model
from c2g_jax.evaluation.trials import (
    TrackingPass,
    Trial,
    draw_prompt,
    follow_trials,
    trials_of,
)
from tests.evaluation import scripted_model
from tests.evaluation.all_parts import score
from tests.evaluation.scripted_model import Drawn
from tests.scripted import model
from tests.small_click2graph import VOCABULARY as SPOKEN
from tests.small_click2graph import build


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


# --- tracking in batches


def test_frames_are_encoded_once_whoever_is_prompted(monkeypatch):
    drawn = Drawn(seed=3)
    dataset, world = drawn.dataset(), drawn.careless(seed=1)
    world.install(monkeypatch)
    protocol, told = Protocol(), []
    score(dataset, protocol, advance=told.append)
    due = 0
    for video in dataset.videos("val"):
        truths = video_truth(video, protocol).subjects
        due += video.num_frames - min(t.frames[0] for t in truths)
        assert len(truths) > 1
    assert world.encoded == due
    assert sum(told) == sum(video.num_frames for video in dataset.videos("val"))


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_neither_batches_nor_shards_change_a_count(batch, monkeypatch):
    drawn = Drawn(seed=8)
    dataset, world = drawn.dataset(), drawn.careless(seed=2)
    world.install(monkeypatch)
    whole = score(dataset)
    parts = [
        score(dataset, videos=[video], batch=batch)[0]
        for video in reversed(dataset.videos("val"))
    ]
    assert parts[::-1] == whole


def test_a_real_model_sees_the_same_alone_and_in_a_batch():
    segments = np.zeros((3, 48, 64), np.uint8)
    for t in range(3):
        segments[t, 8:24, 6 + 3 * t : 26 + 3 * t], segments[t, 28:44, 30:54] = 1, 2

    def paint(video, segments):
        noise = np.random.default_rng(0).integers(0, 60, (*segments.shape, 3))
        return (noise + 60 * segments[..., None]).astype(np.uint8)

    drawn = {"a": (segments, [(1, 2, 7, 0, 2)])}
    dataset = scripted_model.dataset(drawn, {1: 0, 2: 1}, paint=paint)
    (video,) = dataset.videos("val")
    protocol, real = Protocol(), scoring_model(build(0), Protocol())
    parts = {("didm", "point"): 2, ("oracle", "point"): 2}
    trials = trials_of(video, video_truth(video, protocol), parts, protocol)
    shared = (real, dataset, video, trials, {"oracle": Oracle(3)}, protocol)
    found = [follow_video(TrackingPass(*shared, batch=batch)) for batch in (1, 2)]
    names = {dataset.vocabulary.objects.index(x) for x in SPOKEN.objects}
    said = 0
    for trial in trials:
        alone, beside = (by_trial[trial] for by_trial in found)
        assert [g.frame for g in alone] == [g.frame for g in beside] == [0, 1, 2]
        for one, other in zip(alone, beside, strict=True):
            np.testing.assert_array_equal(one.points, other.points)
            np.testing.assert_array_equal(one.labels, other.labels)
            np.testing.assert_allclose(one.iou, other.iou, atol=5e-3)
            np.testing.assert_allclose(one.confidence, other.confidence, rtol=1e-3)
            assert one.subject_iou == pytest.approx(other.subject_iou, abs=5e-3)
            # Ids count from another start, but tell the same apart.
            same = (x.ids[:, None] == x.ids for x in (one, other))
            np.testing.assert_array_equal(*same)
            # The model's few classes, by the numbers of the data set.
            assert set(one.labels[:, :2].ravel().tolist()) <= names
            said += len(one.ids)
        if trial.system == "oracle":  # one object, one point, which lies in it
            assert [g.points.tolist() for g in alone] == [[0]] * 3
            assert all(len(g.ids) <= 1 for g in alone)
    assert said > 6


def test_frames_are_read_by_the_chunk_either_way(monkeypatch):
    drawn = Drawn(seed=3, lengths=(19,))
    dataset = drawn.dataset()
    drawn.perfect().install(monkeypatch)
    (video,) = dataset.videos("val")
    protocol = Protocol()
    trials = trials_of(
        video, video_truth(video, protocol), {("didm", "mask"): 1}, protocol
    )
    read = []
    real = dataset.read_frames
    dataset.read_frames = lambda v, some: read.append(list(some)) or real(v, some)
    shared = TrackingPass(
        scoring_model(model(), protocol), dataset, video, trials, {}, protocol, 4, True
    )
    last = max(trial.frame for trial in trials)
    assert [t for some in read for t in some] == []
    follow_trials(shared)
    assert [t for some in read for t in some] == list(range(last, -1, -1))
    assert all(len({t // 8 for t in some}) == 1 for some in read)
    assert len(read) == last // 8 + 1


def test_each_frame_tells_also_on_the_way_back(monkeypatch):
    drawn = Drawn(seed=3)
    dataset = drawn.dataset()
    drawn.perfect().install(monkeypatch)
    video = dataset.videos("val")[0]
    protocol = Protocol(directions="both", prompt_frame="random")
    trials = trials_of(
        video, video_truth(video, protocol), {("didm", "mask"): 2}, protocol
    )
    scoring, told = scoring_model(model(), protocol), []
    shared = TrackingPass(scoring, dataset, video, trials, {}, protocol)
    ahead, back = shared.order(), dataclasses.replace(shared, reverse=True).order()
    follow_video(shared, told.append)
    assert sum(told) == video.num_frames, "frames count once"
    assert told[1 : 1 + len(ahead)] == [1] * len(ahead)
    assert len(told) == 2 + len(ahead) + len(back)

    def stop(frames):
        told.append(frames)
        if len(told) == 4 + len(ahead):
            raise KeyboardInterrupt

    told.clear()
    with pytest.raises(KeyboardInterrupt):
        follow_video(shared, stop)
    assert len(told) == 4 + len(ahead), "it ended where it was told, on the way back"


def test_guesses_come_in_the_order_of_the_frames(monkeypatch):
    drawn = Drawn(seed=3)
    dataset = drawn.dataset()
    drawn.perfect().install(monkeypatch)
    video = dataset.videos("val")[0]
    for directions in ("forward", "both"):
        protocol = Protocol(directions=directions, prompt_frame="random")
        truth = video_truth(video, protocol)
        trials = trials_of(video, truth, {("didm", "mask"): 2}, protocol)
        scoring = scoring_model(model(), protocol)
        found = follow_video(
            TrackingPass(scoring, dataset, video, trials, {}, protocol)
        )
        for trial in trials:
            frames = [guess.frame for guess in found[trial]]
            assert len(set(frames)) == len(frames)
            assert trial.frame in frames
            assert (min(frames) < trial.frame) == (
                directions == "both" and trial.frame > 0
            )
