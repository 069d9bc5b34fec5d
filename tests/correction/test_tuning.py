"""Settings are chosen on the videos that training held out, and on no others."""

import functools
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from c2g_jax import tune as command
from c2g_jax.checkpoints import pretrained
from c2g_jax.checkpoints.safetensors import read_manifest
from c2g_jax.click2graph.clip import ClipPrediction, Queries
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.sch import SchLogits
from c2g_jax.click2graph.settings import RANKED, AdaptConfig, SpanConfig
from c2g_jax.click2graph.targets import ClipTargets
from c2g_jax.correction import tuning
from c2g_jax.correction.span_scores import VideoSpans, count
from c2g_jax.correction.tuning import best_spans, held_out_videos
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.loader import clip_loader
from c2g_jax.data.sampling import hold_out
from c2g_jax.sam2.track import Segmentation
from c2g_jax.training.temperature import TEMPERATURES, class_errors
from c2g_jax.types import InputError
from tests.commands import call_main
from tests.data.fake import fake_dataset
from tests.session import scripted
from tests.session.true_things import VOCABULARY, dataset

DATASET, _ = fake_dataset()
KEY = (1, 2, "holding")


def names(videos):
    return [video.video_id for video in videos]


def test_held_out_videos_are_the_same_for_everyone_and_never_trained_on():
    videos = DATASET.videos("train")
    training, held_out = hold_out(videos, 5)
    assert len(held_out) == 5
    assert sorted(names(training) + names(held_out)) == sorted(names(videos))
    # By name: in any order, and more are those and others.
    again = hold_out(videos[::-1], 5)[1]
    assert set(names(again)) == set(names(held_out))
    assert set(names(hold_out(videos, 6)[1])) > set(names(held_out))
    assert hold_out(videos, 0) == (videos, ())
    config = ClipConfig("relations", num_frames=2, image_size=32)
    loader = clip_loader(DATASET, "train", config, 1, videos=training)
    own = loader.source.videos
    seen = {
        own[int(batch["video_index"][0])].video_id
        for batch, _ in zip(loader, range(3 * loader.source.clips), strict=False)
    }
    assert seen
    assert seen.isdisjoint(names(held_out))
    for count_ in (len(videos), -1):
        with pytest.raises(InputError, match=r"data\.held_out"):
            hold_out(videos, count_)


def test_the_configuration_in_the_manifest_says_which_they_are():
    data = {"name": "toy", "train": "train", "held_out": 5}
    dataset_ = SimpleNamespace(name="toy", videos=DATASET.videos)
    found = held_out_videos({"data": data}, dataset_, "w")
    assert found == hold_out(DATASET.videos("train"), 5)[1]
    for config in ({}, {"data": {**data, "held_out": 0}}):
        with pytest.raises(InputError, match=r"held out no videos.*held_out=20"):
            held_out_videos(config, dataset_, "w")
    with pytest.raises(InputError, match="was trained on other, not toy"):
        held_out_videos({"data": {**data, "name": "other"}}, dataset_, "w")


def test_the_best_spans_are_those_of_the_grid_with_the_best_f1():
    confidences = dict.fromkeys((0, 1, 2, 5, 6), 0.06) | {15: 0.06}
    video = VideoSpans(20, {KEY: confidences}, {KEY: [(0, 6)]})
    spans = best_spans([video])
    assert count([video], spans).f1() == (1, 1)
    # A model that is never sure keeps its relations.
    assert spans.start_confidence <= 0.06
    # Without a span that is right there is nothing to choose by.
    assert best_spans([VideoSpans(20, {}, {KEY: [(0, 6)]})]) == RANKED


@pytest.fixture
def data(world):
    """Thing 1 has to do with thing 11 from frame 2 on, and the model says so."""
    spans = [(1, 11, VOCABULARY.predicates[11], 2, 9)]
    return dataset(world, {1: 1, 11: 11}, spans, ("a", "b"))


def test_a_checkpoint_is_tuned_on_them_and_says_so(data, tmp_path, monkeypatch):
    """Of two videos one is held out; the scripted model is right about both."""
    folder, read = tmp_path / "weights", []
    folder.mkdir()
    trained_on = {"name": "toy", "train": "toy_val", "held_out": 1}
    manifest = {
        "size": "toy",
        "sha256": "abc",
        "training": {"config": {"data": trained_on, "clip": {"num_frames": 2}}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    model = scripted.model()
    model.sch = SimpleNamespace(temperature=None)
    model.set_settings = functools.partial(Click2Graph.set_settings, model)
    monkeypatch.setattr(command, "open_dataset", lambda *_: data)
    monkeypatch.setattr(
        pretrained, "load_click2graph", lambda folder, dtype: (model, True)
    )
    monkeypatch.setattr(tuning, "best_temperatures", lambda model, batches: (1, 2, 1))
    read_frames = data.read_frames

    def reading(video, numbers):
        read.append(video.video_id)
        return read_frames(video, numbers)

    monkeypatch.setattr(data, "read_frames", reading)
    widths = []
    monkeypatch.setattr(
        tuning, "best_adaptation", lambda *args: widths.append(args) or AdaptConfig(0.3)
    )
    words = [f"--checkpoint={folder}", "--data_dir=data", f"--output={tmp_path / 'o'}"]
    call_main(command.main, *words)
    (held_out,) = hold_out(data.videos("toy_val"), 1)[1]
    assert set(read) == {held_out.video_id}
    assert names(widths[0][2]) == [held_out.video_id]
    found = read_manifest(folder)
    settings = pretrained.settings_of(found, folder)
    assert {k: v for k, v in found.items() if k != "settings"} == manifest
    assert settings.temperature == (1, 2, 1)
    assert settings.adapt == AdaptConfig(0.3)
    assert settings.spans.top is None
    assert isinstance(settings.spans, SpanConfig)
    document = json.loads((tmp_path / "o" / "tuning.json").read_text())
    assert document["videos"] == [held_out.video_id]
    assert document["settings"] == settings.to_json()


def test_the_width_is_that_after_which_most_is_right(data, monkeypatch):
    """Videos are tracked once, and each width begins without corrections."""
    calls = []

    def outcomes(session, truth, tracks, protocol, counts):
        assert not session.history()[0].active_fixes
        session.set_predicate(*sorted(tracks.values())[:2], VOCABULARY.predicates[0])
        calls.append((truth.video_id, session.adapt.width))
        return {n: SimpleNamespace(made=min(n, 1)) for n in counts}

    def gains(outcomes, truth, protocol):
        right = {0.05: 3, 0.08: 5, 0.15: 5, 0.3: 4}[calls[-1][1]]
        return {str(n): {"hits": right} for n in outcomes}

    monkeypatch.setattr(tuning, "outcomes_of", outcomes)
    monkeypatch.setattr(tuning, "video_gains", gains)
    protocol = tuning.Protocol(split="toy_val", runs=1)
    videos = data.videos("toy_val")
    found = tuning.best_adaptation(scripted.model(), data, videos, protocol)
    assert found == AdaptConfig(width=0.08)
    assert calls == [(v, w) for v in ("a", "b") for w in tuning.WIDTHS]


def test_temperatures_have_the_least_cross_entropy():
    """Logits that say twice too much are cooled; right ones are left."""
    rng, k = np.random.default_rng(0), 800
    labels = rng.integers(0, 3, k)

    def logits(classes, over):
        """As sure as they are right, times `over`: the true class in 3 of 4 cases."""
        said = (labels + np.where(rng.random(k) < 0.75, 0, rng.integers(1, 3, k))) % 3
        found = np.full((1, k, 1, classes), -20.0, np.float32)
        found[..., :3] = np.log(np.where(np.arange(3) == said[:, None], 0.75, 0.125))[
            None, :, None
        ]
        return found * np.float32(over)

    one, masks = np.ones((1, k, 1), np.float32), np.zeros((1, k, 2, 2), np.float32)
    points = np.full((1, k, 1, 2), 0.5, np.float32)
    class_logits = SchLogits(logits(3, 1.0), logits(4, 2.0), logits(4, 4.0))
    found = Queries(points, masks[:, :, None], one, one, class_logits)
    subjects = Segmentation(masks, None, one[..., 0], None, None, None)
    targets = ClipTargets(
        masks,
        labels,
        np.ones((1, k), bool),
        masks[:, :, None],
        labels[:, None],
        points,
        np.eye(3, dtype=bool)[labels][None, :, None],
    )
    prediction = ClipPrediction(subjects, None, found, None)
    errors = np.asarray(jax.jit(class_errors)(prediction, targets))
    best = [TEMPERATURES[i] for i in np.argmin(errors, axis=0)]
    assert best == pytest.approx([1, 2, 4], rel=0.2)
    assert 1.0 in TEMPERATURES
    # With masks that are nowhere on their objects, what is true is "none".
    missed = targets._replace(object_masks=masks[:, :, None] + 1)
    errors = np.asarray(class_errors(prediction, missed))
    for column, said in ((1, class_logits.object), (2, class_logits.predicate)):
        scaled = [said.reshape(k, 4) / t for t in TEMPERATURES]
        none = [np.mean(np.log(np.exp(x).sum(-1)) - x[:, 3]) for x in scaled]
        np.testing.assert_allclose(errors[:, column], none, rtol=1e-4)
