"""The benchmark that compares span settings, on predictions written by hand."""

import json

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from benchmarks import spans as tool
from c2g_jax.checkpoints import heads, pretrained
from c2g_jax.checkpoints import safetensors as weights
from c2g_jax.click2graph.settings import Settings
from c2g_jax.correction.simulate import read_truth
from c2g_jax.correction.span_scores import (
    Counts,
    VideoSpans,
    count,
    count_matches,
    faults,
    grid,
    video_spans,
)
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.types import InputError, SceneGraph, SubjectFrame, Triplet, VideoInfo
from tests.session import scripted
from tests.session.conftest import world  # noqa: F401
from tests.session.true_things import VOCABULARY, dataset

KEY = (1, 2, "holding")


@pytest.mark.parametrize(
    ("predicted", "true", "matches"),
    [
        ([], [(0, 3)], 0),
        ([(0, 3)], [(0, 3)], 1),
        ([(0, 3)], [(2, 5)], 0),  # two of six
        ([(0, 3)], [(0, 7)], 1),  # four of eight
        ([(0, 3)], [(0, 8)], 0),
        ([(0, 1), (2, 3)], [(0, 3)], 1),  # each half, but it matches once
        ([(0, 3), (6, 9)], [(6, 9), (0, 2)], 2),
    ],
)
def test_spans_match_at_an_iou_of_half(predicted, true, matches):
    assert count_matches(predicted, true) == matches


def test_counts_by_hand():
    """A gap of two on frames 3 and 4, a flicker on 15, and one that is not so."""
    confidences = dict.fromkeys((0, 1, 2, 5, 6, 15), 0.5)
    video = VideoSpans(
        20, {KEY: confidences, (1, -9, "holding"): {4: 0.1}}, {KEY: [(0, 6)]}
    )
    strict = SpanConfig(0, 1, 0.0, 0.0)
    assert count([video], strict) == Counts(4, 1, 0, 7, 7, 5)
    bridged = SpanConfig(2, 2, 0.0, 0.0)
    assert count([video, video], bridged) == Counts(2, 2, 2, 14, 14, 14)
    assert count([video], bridged).f1() == (1, 1)
    assert count([video], strict).f1() == (0, pytest.approx(10 / 14))
    assert Counts().f1() == (0, 0)


def test_what_is_wrong_with_spans_by_hand():
    """Objects 2 and 3 are in relations with 1; of 9 no true one is known."""
    long, short = dict.fromkeys(range(9), 0.5), dict.fromkeys(range(3), 0.5)
    said = {
        (1, 2, "holding"): long | {15: 0.5},
        (1, 3, "holding"): short,
        (1, 2, "riding"): long,
        (4, 2, "holding"): long,
        (1, -9, "holding"): short,
        (-4, 2, "holding"): short,
    }
    video = VideoSpans(20, said, {KEY: [(0, 8)], (1, 3, "holding"): [(0, 8)]})
    assert faults([video, video], SpanConfig(0, 1, 0.0, 0.0)) == {
        "right": 2,
        "other times": 4,
        "other predicate": 2,
        "another's object": 2,
        "no true object": 4,
    }
    strict = SpanConfig(0, 4, 0.0, 0.0)
    assert sum(faults([video], strict).values()) == count([video], strict).said_spans


def test_the_grid_has_the_defaults_and_nothing_twice():
    settings = list(grid())
    assert SpanConfig() in settings
    assert len(set(settings)) == len(settings)


@pytest.fixture
def data(world):  # noqa: F811
    """Thing 1 has to do with thing 11 from frame 2 on, and the model says so."""
    spans = [(1, 11, VOCABULARY.predicates[11], 2, 9)]
    return dataset(world, {1: 1, 11: 11}, spans, ("a", "b"))


def test_guesses_go_by_true_ids(data):
    truth = read_truth(data, data.videos("val")[0], Protocol(runs=1))
    points = np.zeros((0, 2), np.float32)
    said = (Triplet(5, "x", "y", "holding", 0.4), Triplet(7, "x", "y", "holding", 0.6))
    graph = SceneGraph(
        VideoInfo("a", 64, 64, 5.0, tuple(range(12))),
        (),
        (),
        frames=(SubjectFrame(3, 4, points, said),),
    )
    found = video_spans(graph, truth, {1: 4, 11: 5})
    assert found.confidences == {
        (1, 11, "holding"): {3: 0.4},
        (1, -7, "holding"): {3: 0.6},
    }
    assert found.spans == {(1, 11, VOCABULARY.predicates[11]): ((2, 9),)}


def test_a_run_and_the_same_from_its_graphs(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "open_dataset", lambda folder, name: data)
    monkeypatch.setattr(weights, "read_manifest", lambda folder: {"sha256": folder})
    monkeypatch.setattr(heads, "settings_in_use", lambda *_: Settings(SpanConfig()))
    loaded = []

    def load(folder):
        loaded.append(folder)
        return scripted.model(), True

    monkeypatch.setattr(pretrained, "load_click2graph", load)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    options = dict(data_dir="data", split="val", output=str(tmp_path))
    with flagsaver.flagsaver(checkpoint="one", **options):
        tool.main([])
        first = (tmp_path / "spans.json").read_text()
        tool.main([])
    assert loaded == ["one"]
    assert (tmp_path / "spans.json").read_text() == first
    found = json.loads(first)
    # Clicked on frame 2, said to the end, true up to frame 9.
    used = found["checkpoint"]
    assert used["said_frames"] == 2 * 10
    assert used["met_frames"] == used["true_frames"] == 2 * 8
    assert used["span F1"] == 1
    assert found["shown"]["right"] == sum(found["shown"].values()) == 2
    assert len(found["settings"]) == len(list(grid()))
    other = flagsaver.flagsaver(checkpoint="two", **options)
    with other, pytest.raises(InputError, match="other weights"):
        tool.main([])
