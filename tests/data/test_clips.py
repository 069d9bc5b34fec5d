"""A clip against the masks and spans of its video."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from c2g_jax.data import augmentation
from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.clips import make_clip, square
from c2g_jax.data.prompts import BOX, MASK, POINT
from c2g_jax.media.images import resize_frame
from c2g_jax.types import InputError
from tests.data.fake import fake_dataset, frames_of

DATASET, DRAWN = fake_dataset()
VIDEOS = DATASET.videos("train")
PLAIN = ClipConfig(
    image_size=48, max_objects=2, flip=0, brightness=0, contrast=0, saturation=0
)
SEGMENTS = dataclasses.replace(PLAIN, task="segments", max_objects=3)


def clips(config=PLAIN, seeds=1):
    """(video, start, segments of the clip, clip) of every place where one fits."""
    for number, video in enumerate(VIDEOS):
        for start in config.starts(video).tolist()[::3]:
            for seed in range(seeds):
                rng = np.random.default_rng((seed, number, start))
                clip = make_clip(DATASET, video, start, config, rng)
                times = start + config.stride * np.arange(config.num_frames)
                yield video, times, DRAWN[video.video_id][times], clip


def test_frames_and_segments_are_the_video_s_resized():
    for video, times, segments, clip in clips():
        number = int(video.video_id.rpartition("-")[2])
        frames = frames_of(DRAWN[video.video_id], number)[times]
        for i in range(len(times)):
            want = resize_frame(frames[i], 48)
            np.testing.assert_array_equal(clip["frames"][i], want)
            # Nearest: the source pixel under each target pixel's centre.
            height, width = segments[i].shape
            y = [int(Fraction((2 * j + 1) * height, 96)) for j in range(48)]
            x = [int(Fraction((2 * j + 1) * width, 96)) for j in range(48)]
            want = segments[i][np.ix_(y, x)]
            np.testing.assert_array_equal(clip["segments"][i], want)


def test_a_crop_is_one_window_of_all_frames_with_pixels_of_an_object():
    places, seen = set(), 0
    for video, times, segments, clip in clips(
        dataclasses.replace(SEGMENTS, crop=0.5, num_frames=2, max_objects=8), seeds=3
    ):
        number = int(video.video_id.rpartition("-")[2])
        frames = frames_of(DRAWN[video.video_id], number)[times]
        height, width = (round(0.5 * side) for side in segments.shape[1:])
        found = []
        for top in range(segments.shape[1] - height + 1):
            for left in range(segments.shape[2] - width + 1):
                window = np.s_[:, top : top + height, left : left + width]
                want = square(frames[window], segments[window], 48)
                if all(np.array_equal(clip[key], want[key]) for key in want):
                    found.append((top, left))
        assert found
        places.update(found)
        inside = set(np.unique(clip["segments"][0])) & set(video.object_ids.tolist())
        assert set(clip["objects"][clip["objects"] > 0].tolist()) == inside
        seen += bool(inside)
    assert len(places) > 5
    assert seen


def test_frames_of_the_right_size_are_not_resized():
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    segments = np.ones((2, 8, 8), np.uint8)
    clip = square(frames, segments, 8)
    assert clip["frames"] is frames
    assert clip["segments"] is segments


def test_subjects_objects_and_predicates_by_hand():
    overflows = 0
    for video, times, segments, clip in clips():
        there = {i: (segments == i).any(axis=(1, 2)) for i in range(1, 256)}
        truth = {}
        for subject, other, predicate, start, end in video.relations.tolist():
            for i, t in enumerate(times):
                if start <= t <= end and there[subject][i] and there[other][i]:
                    truth.setdefault((subject, other), set()).add((i, predicate))
        want = {s for s, _ in truth if there[s][0]}
        got = clip["subjects"][clip["subjects"] > 0].tolist()
        assert len(got) == len(set(got)) == min(3, len(want))
        assert set(got) <= want
        left_out = 0
        for k, subject in enumerate(clip["subjects"]):
            others = clip["objects"][k][clip["objects"][k] > 0].tolist()
            if not subject:
                assert not others
                assert not clip["predicates"][k].any()
                continue
            assert clip["subject_labels"][k] == video.category(subject)
            all_others = {o for s, o in truth if s == subject}
            assert set(others) <= all_others
            assert len(others) == min(2, len(all_others))
            left_out += len(all_others) - len(others)
            for o, other in enumerate(clip["objects"][k]):
                marked = {tuple(p) for p in np.argwhere(clip["predicates"][k, o])}
                assert marked == truth.get((subject, other), set())
                label = video.category(other) if other else 0
                assert clip["object_labels"][k, o] == label
                visible = there[other] if other else np.zeros(len(times), bool)
                np.testing.assert_array_equal(clip["point_valid"][k, o], visible)
        assert clip["overflow"] == left_out
        overflows += left_out
    assert overflows > 0


def test_bystanders_follow_the_objects_and_are_in_no_relation():
    found = 0
    for video, times, _, clip in clips(dataclasses.replace(PLAIN, bystanders=2)):
        assert clip["objects"].shape[1] == 4
        live = video.relations[video.valid_relations[:, times].any(axis=1)]
        for subject, others in zip(clip["subjects"], clip["objects"], strict=True):
            own = live[live[:, 0] == subject, 1]
            others = others[others > 0].tolist()
            beside = [i for i in others if i not in own]
            assert others[len(others) - len(beside) :] == beside
            assert len({subject, *others}) == 1 + len(others)
            rows = [video.row(i) for i in beside]
            assert video.is_thing[rows].all()
            assert video.visible_table[rows][:, times].any(axis=1).all()
            found += len(beside)
    assert found > 20


@pytest.mark.parametrize("change", [{"bystanders": -1}, {"task": "segments"}])
def test_bystanders_are_none_or_more_and_of_relations(change):
    with pytest.raises(InputError, match="bystanders"):
        ClipConfig(**{"bystanders": 1, **change})


def test_points_lie_in_their_object_at_the_video_s_size():
    points = 0
    for _, times, segments, clip in clips():
        height, width = segments.shape[1:]
        assert not clip["points"][~clip["point_valid"]].any()
        for k, o, t in np.argwhere(clip["point_valid"]):
            x, y = clip["points"][k, o, t]
            found = segments[t, int(y * height), int(x * width)]
            assert found == clip["objects"][k, o]
            points += 1
        assert clip["points"].shape == (3, 2, len(times), 2)
    assert points > 100


@pytest.mark.parametrize("kind", [POINT, BOX, MASK])
def test_prompts_show_the_subject_on_the_first_frame(kind):
    mix = tuple(float(k == kind) for k in (POINT, BOX, MASK))
    config = dataclasses.replace(PLAIN, prompt_mix=mix)
    for _, _, segments, clip in clips(config):
        height, width = segments.shape[1:]
        for k, subject in enumerate(clip["subjects"]):
            labels = clip["prompt_labels"][k].tolist()
            if not subject:
                assert labels == [-1, -2]
                continue
            y, x = np.nonzero(segments[0] == subject)
            got = clip["prompt_kind"][k]
            in_square = (clip["segments"][0] == subject).any()
            assert got == (kind if kind != MASK or in_square else POINT)
            assert labels == {POINT: [1, -2], BOX: [2, 3], MASK: [-1, -2]}[got]
            fraction = (clip["prompt_coords"][k] + 0.5) / 48
            if got == POINT:
                column, row = (fraction[0] * [width, height]).astype(int)
                assert segments[0, row, column] == subject
            elif got == BOX:
                corners = np.array([[x.min(), y.min()], [x.max(), y.max()]])
                off = np.abs(fraction * [width, height] - 0.5 - corners)
                assert (off <= 0.1 * (corners[1] - corners[0]) + 1e-4).all()


def test_segments_takes_objects_with_pixels_and_prefers_things():
    things = stuff = 0
    for video, _, _, clip in clips(SEGMENTS, seeds=3):
        chosen = clip["objects"][clip["objects"] > 0]
        there = set(np.unique(clip["segments"][0]).tolist()) - {0}
        assert set(chosen.tolist()) <= there
        assert len(set(chosen.tolist())) == len(chosen) == min(3, len(there))
        named = [video.category(i) for i in video.object_ids]
        assert clip["categories"][video.object_ids].tolist() == named
        assert (clip["categories"] >= 0).sum() == len(named)
        if len(there) > 3:
            rows = [video.row(i) for i in chosen]
            kinds = video.is_thing[[video.row(i) for i in there]]
            things += video.is_thing[rows].mean() - kinds.mean()
            stuff += 1
    assert things / stuff > 0.03


def test_segments_has_the_relations_between_its_objects():
    seen = 0
    for video, times, _, clip in clips(SEGMENTS):
        chosen, holds = clip["objects"].tolist(), clip["holds"]
        want = np.zeros_like(holds)
        for row, (a, b, predicate, *_) in enumerate(video.relations.tolist()):
            if a in chosen and b in chosen:
                i, j = chosen.index(a), chosen.index(b)
                want[i, j, :, predicate] |= video.valid_relations[row, times]
        np.testing.assert_array_equal(holds, want)
        seen += want.any()
    assert seen > 3


def test_stride_takes_every_other_frame():
    config = dataclasses.replace(PLAIN, stride=2, num_frames=4)
    for _, _, segments, clip in clips(config):
        want = square(np.zeros((*segments.shape, 3), np.uint8), segments, 48)
        np.testing.assert_array_equal(clip["segments"], want["segments"])


def test_mirroring_flips_everything():
    kinds = set()
    for config in (PLAIN, SEGMENTS):
        flipped = dataclasses.replace(config, flip=1)
        for (*_, a), (*_, b) in zip(clips(config), clips(flipped), strict=True):
            np.testing.assert_array_equal(b["frames"], a["frames"][:, :, ::-1])
            np.testing.assert_array_equal(b["segments"], a["segments"][:, :, ::-1])
            for key in a.keys() - {"frames", "segments", "points", "prompt_coords"}:
                np.testing.assert_array_equal(a[key], b[key])
            if config is SEGMENTS:
                continue
            x, y = np.moveaxis(
                np.where(a["point_valid"][..., None], a["points"], 0), -1, 0
            )
            want = np.stack([np.where(a["point_valid"], 1 - x, 0), y], -1)
            np.testing.assert_allclose(b["points"], want, atol=1e-7)
            for k in np.flatnonzero(a["subjects"]):
                coords, kind = a["prompt_coords"][k].copy(), a["prompt_kind"][k]
                kinds.add(int(kind))
                if kind == POINT:
                    coords[0, 0] = 47 - coords[0, 0]
                elif kind == BOX:
                    coords[:, 0] = [47 - coords[1, 0], 47 - coords[0, 0]]
                    assert coords[0, 0] <= coords[1, 0]
                np.testing.assert_allclose(b["prompt_coords"][k], coords, atol=1e-5)
            twice = augmentation.mirror(augmentation.mirror(a))
            for key in a:
                np.testing.assert_allclose(twice[key], a[key], atol=1e-5)
    assert kinds >= {POINT, BOX}


def test_colour_jitter_is_the_same_on_all_frames_and_small():
    rng = np.random.default_rng(0)
    frame = rng.integers(30, 220, (48, 48, 3)).astype(np.uint8)
    clip = {"frames": np.stack([frame] * 3)}
    tinted = augmentation.jitter_colours(clip, rng, 0.1, 0.03, 0.03)["frames"]
    assert (tinted == tinted[0]).all()
    assert 0 < np.abs(tinted[0].astype(int) - frame).max() < 40
    same = augmentation.jitter_colours(clip, rng, 0, 0, 0)["frames"]
    np.testing.assert_array_equal(same, clip["frames"])


def test_hues_turn_if_asked_for():
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    clip = {"frames": np.full((2, 8, 8, 3), (200, 60, 60), np.uint8)}
    turned = augmentation.jitter_colours(clip, rng, 0, 0, 0, hue=1)["frames"]
    assert np.abs(turned.astype(int) - clip["frames"]).max() > 40
    assert abs(int(turned[0, 0, 0].sum()) - 320) < 5
    augmentation.jitter_colours(
        clip, other, 0, 0, 0
    )  # draws as it did before there were hues
    assert rng.random() != other.random()


def test_the_side_of_a_window_may_be_drawn():
    config = dataclasses.replace(SEGMENTS, crop=0.5, crop_to=1.0, num_frames=1)
    areas = []
    for video, _, segments, clip in clips(config, seeds=2):
        shown = np.isin(segments, clip["segments"]).mean()
        areas.append(shown)
        assert clip["segments"].shape[1:] == (48, 48)
        assert video.height == segments.shape[1]
    assert min(areas) < 0.9 < max(areas)


def test_colours_change_as_their_names_say():
    rgb = np.array([200.0, 100.0, 50.0, 1.0])
    grey = rgb[:3] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(augmentation.colour_matrix(1, 1, 1, 90) @ rgb, rgb[:3])
    brighter = augmentation.colour_matrix(1.1, 1, 1, 90) @ rgb
    np.testing.assert_allclose(brighter, 1.1 * rgb[:3])
    flat = augmentation.colour_matrix(1, 0, 1, 90) @ rgb
    np.testing.assert_allclose(flat, 90)
    colourless = augmentation.colour_matrix(1, 1, 0, 90) @ rgb
    np.testing.assert_allclose(colourless, grey)
    third = augmentation.colour_matrix(1, 1, 1, 90, hue=2 / 3) @ rgb
    np.testing.assert_allclose(third, [50, 200, 100])
    unchanged = augmentation.colour_matrix(1, 1, 1, 90, hue=0.3) @ [80, 80, 80, 1]
    np.testing.assert_allclose(unchanged, 80)


def test_invalid_settings_are_refused():
    with pytest.raises(InputError, match="clip task 'pairs': use one of relations"):
        ClipConfig(task="pairs")
    for name in ("num_frames", "stride", "max_objects", "point_side"):
        with pytest.raises(InputError, match=f"{name} 0 of a clip: give at least 1"):
            ClipConfig(**{name: 0})
    for name, value in (("flip", 1.5), ("brightness", -0.1), ("contrast", np.nan)):
        with pytest.raises(InputError, match=f"{name} {value} of a clip"):
            ClipConfig(**{name: value})
    for task, crop in (("segments", 0.0), ("segments", 1.5), ("relations", 0.5)):
        with pytest.raises(InputError, match=f"crop {crop} of a clip of {task}: give"):
            ClipConfig(task=task, crop=crop)
    for crop_to in (0.4, 1.5):
        with pytest.raises(InputError, match=f"crop_to {crop_to} of a clip: give"):
            ClipConfig(task="segments", crop=0.5, crop_to=crop_to)
    with pytest.raises(InputError, match="thing_weight -1"):
        ClipConfig(thing_weight=-1)
    with pytest.raises(InputError, match="give three shares, of point, box and mask"):
        ClipConfig(prompt_mix=(0, 0, 0))
