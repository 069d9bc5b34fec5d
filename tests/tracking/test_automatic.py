"""Subjects found without a prompt: what is looked for when, what lasts, and waves."""

import dataclasses
import functools

import numpy as np
import pytest

from c2g_jax.media.rle import encode_mask, mask_ious
from c2g_jax.tracking import automatic
from c2g_jax.tracking.automatic import (
    ObjectFinder,
    follow_in_waves,
    found_builder,
    model_for_waves,
)
from c2g_jax.tracking.scene_graph import GraphBuilder
from c2g_jax.types import (
    AutoRules,
    Frame,
    InputError,
    SubjectFrame,
    Triplet,
    VideoInfo,
)
from tests.small_click2graph import CONFIG, HEIGHT, WIDTH, build, resize, run

SIZE = CONFIG.sam2.low_res_size


def frames(count):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (count, HEIGHT, WIDTH, 3)).astype(np.uint8)
    return [Frame(t, t / 5, rgb) for t, rgb in enumerate(pixels)]


def box(x0, x1):
    """A mask over all rows, from column x0 to x1, in eighths of the width."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, WIDTH * x0 // 8 : WIDTH * x1 // 8] = True
    return mask


def record(mask, iou):
    return {"segmentation": encode_mask(mask), "predicted_iou": iou}


class Scripted:
    """Automatic masks by the number of the call; `calls` counts them."""

    def __init__(self, *found):
        self.found, self.calls = found, 0

    def __call__(self, sam2, **options):
        return self

    def generate(self, rgb):
        self.calls += 1
        return list(self.found[self.calls - 1])


@pytest.fixture
def model():
    return build(0)


@pytest.fixture
def still(monkeypatch):
    """Objects stay where they were found, until `gone` has their frame."""
    gone = {}

    def follow(self, features, index):
        shown = {i: _low(x) for i, x in self._found.items()}
        return {i: x if index < gone.get(i, 99) else x - 9 for i, x in shown.items()}

    monkeypatch.setattr(ObjectFinder, "_follow", follow)
    monkeypatch.setattr(ObjectFinder, "_begin", lambda self, new, *_: {
        x.object_id: _low(x) for x in new
    })  # fmt: skip
    return gone


def _low(found):
    mask = automatic.resize_mask(automatic.decode_mask(found.mask), SIZE)
    return np.where(mask, 1.0, -1.0).astype(np.float32)


def find(model, monkeypatch, script, count=12, **rules):
    monkeypatch.setattr(automatic, "Sam2AutomaticMaskGenerator", script)
    monkeypatch.setattr(automatic, "encode_frame", lambda *_: None)
    finder = ObjectFinder(model.sam2, AutoRules(**rules), resize, count)
    for frame in frames(count):
        finder.step(frame)
    return finder


def test_the_surest_that_last_are_chosen_and_twins_are_one(model, monkeypatch, still):
    narrow = np.zeros((HEIGHT, WIDTH), bool)
    narrow[0, 0] = True  # 1 of 3,840 pixels
    script = Scripted(
        [
            record(box(0, 2), 0.8),
            record(box(2, 5), 0.95),
            record(box(2, 5), 0.9),  # a twin of the surer one
            record(box(5, 8), 0.99),
            record(narrow, 1.0),
        ],
        [],
        [],
    )
    still[1] = 4  # the surest is seen on 4 frames alone
    finder = find(model, monkeypatch, script, every=5)
    chosen = finder.chosen(12)
    assert [(x.frame, x.score, x.seen) for x in chosen] == [(0, 0.95, 12), (0, 0.8, 12)]
    assert finder.chosen(4)[0].score == 0.99  # of a video of four frames


def test_new_masks_are_looked_for_where_a_tenth_is_not_covered(
    model, monkeypatch, still
):
    later = [record(box(0, 8), 0.99), record(box(4, 8), 0.9), record(box(2, 3), 0.95)]
    script = Scripted([record(box(0, 4), 0.8)], later, [])
    finder = find(model, monkeypatch, script, every=5, min_frames=1)
    # On frames 0 and 5; on 10 everything is covered. The mask over all is half covered
    # already, and taken; the last one lies on what is covered.
    assert script.calls == 2
    found = [(x.frame, x.score) for x in finder.chosen(12)]
    assert found == [(5, 0.99), (5, 0.9), (0, 0.8)]


def test_at_most_so_many(model, monkeypatch, still):
    found = [record(box(i, i + 1), 0.9 - i / 100) for i in range(8)]
    finder = find(model, monkeypatch, Scripted(found), max_subjects=3, every=50)
    assert [x.score for x in finder.chosen(12)] == [0.9, 0.89, 0.88]


def test_nothing_found_is_no_subject(model, monkeypatch, still):
    finder = find(model, monkeypatch, Scripted([], []), every=10)
    assert finder.chosen(12) == []
    graph = found_builder([], [(0, {})], None).build(
        VideoInfo("v", 8, 6, 5, (0.0,)), {}
    )
    assert graph.objects == ()


@pytest.mark.parametrize("name", ["max_subjects", "max_objects", "min_frames", "every"])
def test_rules_that_are_no_counts(name):
    with pytest.raises(InputError, match=f"{name} is 0: give 1 or more"):
        AutoRules(**{name: 0})


def test_objects_are_followed_as_prompted_ones_are(model, monkeypatch):
    video = frames(4)
    found = [record(box(0, 3), 0.9), record(box(4, 8), 0.8)]
    monkeypatch.setattr(automatic, "Sam2AutomaticMaskGenerator", Scripted(found))
    finder = ObjectFinder(model.sam2, AutoRules(min_frames=1), resize, len(video))
    results = [finder.step(frame) for frame in video]
    # `chosen` would take them for twins: this model's masks are noise.
    prompts = [x.prompt() for x in finder._found.values()]
    alone = build(0)
    alone.config = dataclasses.replace(CONFIG, trained=False)
    for ours, theirs in zip(results, run(alone, video, prompts), strict=True):
        assert set(ours.masks) == set(theirs.masks)
        for i, mask in ours.masks.items():
            np.testing.assert_array_equal(mask, theirs.masks[i])


def in_waves(model, video, prompts, wave):
    builder = GraphBuilder(encode_mask)
    follow = functools.partial(
        follow_in_waves, model, lambda: iter(video), prompts, resize, len(video)
    )
    results = list(follow(builder, wave=wave))
    info = VideoInfo("v", WIDTH, HEIGHT, 5.0, tuple(f.time for f in video))
    return builder.build(info, {}), results


def test_waves_find_for_each_subject_what_one_pass_finds():
    model, video = build(0), frames(4)
    rules = dataclasses.replace(CONFIG.rules, share_iou=None)
    model.config = dataclasses.replace(CONFIG, rules=rules)
    model = model_for_waves(model, AutoRules(max_objects=2))
    assert model.config.rules.max_tracks == 2
    found = [record(box(0, 3), 0.9), record(box(3, 5), 0.8), record(box(5, 8), 0.7)]
    prompts = [
        automatic.FoundObject(i, 0, x["segmentation"], 1.0).prompt()
        for i, x in enumerate(found, 1)
    ]
    whole, at_once = in_waves(model, video, prompts, wave=4)
    parts, results = in_waves(model, video, prompts, wave=1)
    assert (len(at_once), len(results)) == (4, 12)
    for i in (1, 2, 3):
        assert whole.object(i).masks == parts.object(i).masks

    def said(graph):
        """By frame and subject: names, confidence and mask of each object."""
        masks = {o.object_id: o.masks for o in graph.objects}
        return {
            (f.frame, f.subject_id): [
                (x.predicate, x.object_category, round(x.confidence, 4),
                 masks[x.object_id][f.frame]["counts"])
                for x in f.triplets
            ]
            for f in graph.frames
        }  # fmt: skip

    assert said(whole) == said(parts)
    assert any(said(whole).values())
    frames_of = [(f.frame, f.subject_id) for f in parts.frames]
    assert frames_of == sorted(frames_of)


def test_found_objects_that_do_not_last_are_left_out():
    builder = GraphBuilder(encode_mask)
    code = encode_mask(box(0, 4))
    for t in range(4):
        builder.add_encoded(t, {1: code}, (), {1: None})
    both = tuple(Triplet(i, "cat", "hat", "on", 0.5) for i in (8, 9))
    entry = SubjectFrame(0, 1, np.zeros((0, 2)), both)
    builder.add_encoded(0, {8: code, 9: code}, [entry], {8: 1, 9: 1})
    builder.add_encoded(1, {8: code}, (), {8: 1})
    builder.drop_short(2)
    graph = builder.build(VideoInfo("v", WIDTH, HEIGHT, 5.0, (0.0,) * 4), {})
    assert [o.object_id for o in graph.objects] == [1, 8]
    assert [x.object_id for x in graph.frames[0].triplets] == [8]


def test_one_object_of_two_waves_is_joined():
    builder = GraphBuilder(encode_mask)
    code, other = encode_mask(box(0, 4)), encode_mask(box(4, 8))
    # Subjects 1 and 2 of two waves; 2's object 9 is subject 1, 3 is a twin of 9.
    builder.add_encoded(0, {1: code}, (), {1: None})
    builder.add_encoded(0, {2: other, 9: code}, (), {2: None, 9: 2})
    builder.share_across({1: 0, 2: 1, 9: 1}, mask_ious, CONFIG.rules)
    graph = builder.build(VideoInfo("v", WIDTH, HEIGHT, 5.0, (0.0,)), {})
    assert [o.object_id for o in graph.objects] == [1, 2]
    # Within one wave nothing is joined again.
    builder = GraphBuilder(encode_mask)
    builder.add_encoded(0, {1: code, 9: code}, (), {1: None, 9: 2})
    builder.share_across({1: 0, 9: 0}, mask_ious, CONFIG.rules)
    assert builder.ids == {1, 9}
    assert not builder._merged
