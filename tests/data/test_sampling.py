"""Start frames and subjects of clips, against a search of every pixel."""

import numpy as np
import pytest

from c2g_jax.data import sampling
from tests.data.fake import fake_dataset

DATASET, DRAWN = fake_dataset()
VIDEOS = DATASET.videos("train")
T = 8


def slow_subjects(video, start, num_frames, stride):
    """Subjects of a clip from `start`, by looking at the masks; None: no whole clip."""
    segments = DRAWN[video.video_id]
    times = [start + i * stride for i in range(num_frames)]
    if times[-1] >= len(segments):
        return None
    found = set()
    for subject, other, _, first, last in video.relations.tolist():
        if not (segments[start] == subject).any():
            continue
        for t in times:
            both = (segments[t] == subject).any() and (segments[t] == other).any()
            if first <= t <= last and both:
                found.add(subject)
    return found


@pytest.mark.parametrize(("num_frames", "stride"), [(8, 1), (4, 3), (1, 1)])
def test_every_flag_is_what_the_masks_say(num_frames, stride):
    seen = 0
    for video in VIDEOS:
        subjects, possible = sampling.valid_subjects(video, num_frames, stride)
        starts = sampling.relation_starts(video, num_frames, stride)
        segment_starts = sampling.segment_starts(video, num_frames, stride)
        for t in range(video.num_frames):
            want = slow_subjects(video, t, num_frames, stride)
            got = set(subjects[possible[:, t]].tolist())
            assert got == (want or set())
            assert (t in starts) == bool(want)
            visible = DRAWN[video.video_id][t].any()
            assert (t in segment_starts) == (want is not None and bool(visible))
            seen += bool(want)
    assert seen > 30


def test_visible_spans_are_what_the_masks_say():
    for video in VIDEOS:
        for object_id in video.object_ids:
            want = (DRAWN[video.video_id] == object_id).any(axis=(1, 2))
            np.testing.assert_array_equal(video.visible_mask(object_id), want)


def test_relations_hold_on_both_end_frames():
    for video in VIDEOS:
        for row, valid in zip(video.relations, video.valid_relations, strict=True):
            *_, start, end = row
            inside = np.flatnonzero(valid)
            both = video.visible_mask(row[0]) & video.visible_mask(row[1])
            want = [t for t in range(start, end + 1) if both[t]]
            assert inside.tolist() == want


def test_a_video_shorter_than_a_clip_has_none():
    short = next(v for v in VIDEOS if v.num_frames < T)
    assert not len(sampling.relation_starts(short, T))
    assert not len(sampling.segment_starts(short, T))
    # One that is just as long has one place for it.
    assert sampling.segment_starts(short, short.num_frames).tolist() in ([0], [])


def test_any_in_clip_looks_at_the_clip_s_frames_alone():
    flags = np.zeros(10, bool)
    flags[5] = True
    assert np.flatnonzero(sampling.any_in_clip(flags, 3)).tolist() == [3, 4, 5]
    assert np.flatnonzero(sampling.any_in_clip(flags, 3, 2)).tolist() == [1, 3, 5]
