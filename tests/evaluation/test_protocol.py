"""Which frames, objects and units count, on annotations written by hand."""

import numpy as np
import pytest

from c2g_jax.evaluation.ground_truth import (
    discovery_frames,
    prompt_frame,
    scored_truth,
    video_truth,
)
from c2g_jax.evaluation.protocol import Protocol
from c2g_jax.types import InputError
from tests.evaluation.scenes import row, video


def test_spans_are_inclusive_clipped_and_both_masks_are_needed():
    segments = np.stack(
        [row(1, 2), row(1, 0), row(0, 2), row(0, 0), row(1, 2), row(1, 2)]
    )
    relations = [
        (1, 2, 7, 0, 4),  # in view together on 0 and 4
        (1, 2, 7, 4, 8),  # said again on 4; 5 is new; three frames past the end
        (1, 1, 7, 0, 1),
        (2, 1, 9, 6, 7),  # wholly outside
    ]
    truth = video_truth(video(segments, relations), Protocol())
    (subject,) = truth.subjects
    assert subject.units.tolist() == [[0, 0, 7], [4, 0, 7], [5, 0, 7]]
    assert subject.objects.tolist() == [2]
    assert (subject.category, subject.categories.tolist()) == (11, [12])
    assert dict(truth.counts) == {
        "annotated": 5 + 5 + 2 + 2,
        "past the video": 3 + 2,
        "self-relation": 2,
        "no mask of the object": 1,
        "no mask of the subject": 1,
        "no mask of both": 1,
        "said twice": 1,
        "units": 3,
    }
    # Nothing is lost or counted twice.
    assert truth.counts["annotated"] == sum(truth.counts.values()) - 14


def test_several_predicates_and_objects_are_units_of_their_own():
    segments = np.stack([row(1, 2, 3)] * 2)
    relations = [(1, 3, 7, 0, 1), (1, 2, 7, 1, 1), (1, 2, 8, 1, 1)]
    (subject,) = video_truth(video(segments, relations), Protocol()).subjects
    assert subject.units.tolist() == [[0, 1, 7], [1, 0, 7], [1, 0, 8], [1, 1, 7]]
    assert subject.pairs.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert subject.frames.tolist() == [0, 1]


def test_things_only_leaves_out_subjects_that_are_stuff():
    segments = row(1, 2)[None]
    record = video(
        segments,
        [(1, 2, 7, 0, 0), (2, 1, 7, 0, 0)],
        things=[True, False, True, True, True],
    )
    every = video_truth(record, Protocol())
    assert [t.subject_id for t in every.subjects] == [1, 2]
    things = video_truth(record, Protocol(things_only=True))
    assert [t.subject_id for t in things.subjects] == [1]
    assert things.counts["subject is stuff"] == 1
    assert things.counts["units"] == 1


def test_the_frame_of_the_prompt_and_what_is_scored_from_it():
    segments = np.stack([row(0, 2), row(1, 0), row(1, 2), row(1, 2), row(1, 2)])
    record = video(segments, [(1, 2, 7, 0, 4)])
    (truth,) = video_truth(record, Protocol()).subjects
    assert prompt_frame(record, truth, 0, Protocol()) == 2
    assert prompt_frame(record, truth, 0, Protocol(prompt_frame="first_visible")) == 1
    chance = Protocol(prompt_frame="random")
    drawn = [prompt_frame(record, truth, run, chance) for run in range(30)]
    assert set(drawn) == {2, 3, 4}
    assert drawn == [prompt_frame(record, truth, run, chance) for run in range(30)]
    assert scored_truth(truth, 3, Protocol()).frames.tolist() == [3, 4]
    both = Protocol(directions="both")
    assert scored_truth(truth, 3, both).frames.tolist() == [2, 3, 4]


def test_when_didm_looks():
    frames = [3, 4, 5, 7]
    for every, expected in ((1, "1111"), (2, "1011"), (0, "1000")):
        looks = discovery_frames(frames, 3, Protocol(discover_every=every))
        assert "".join(map(str, looks.astype(int))) == expected
    back = discovery_frames([1, 2, 3], 3, Protocol(discover_every=2, directions="both"))
    assert back.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt_frame", "last"),
        ("directions", "backward"),
        ("link", "iou"),
        ("confidence", "max"),
        ("subject_label", "video"),
        ("runs", 0),
        ("queries", 0),
        ("heat_cells", 0),
        ("max_tracks", 0),
        ("ks", ()),
        ("ks", (0, 3)),
        ("ks", (10**20,)),
        ("tau", 0.0),
        ("tube_share", 1.5),
        ("mask_nms", -0.1),
        ("subject_iou", 1.1),
        ("box_bound", -1.0),
    ],
)
def test_options_that_make_no_sense_are_named(field, value):
    with pytest.raises(InputError, match=f"--{field}="):
        Protocol(**{field: value})
