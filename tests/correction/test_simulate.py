import numpy as np
import pytest

from c2g_jax.correction.gains import summary, table, video_gains
from c2g_jax.correction.simulate import (
    click_subjects,
    match_tracks,
    read_truth,
    simulate,
    wrong_labels,
)
from c2g_jax.evaluation.protocol import Protocol
from tests.session.true_things import VOCABULARY, dataset, object_class

PROTOCOL = Protocol(runs=1)
# What the scripted head says of the pair of thing 1 with thing 21.
RIGHT = VOCABULARY.predicates[21]
CUP = object_class("cup")


@pytest.fixture
def make_truth(world):
    """The truth of things 1, 11, 12 and 21, of which thing 1 is found with the rest."""
    world.finds = lambda thing, frame: (11, 12, 21)

    def make(categories, relations):
        data = dataset(world, categories, relations)
        return read_truth(data, data.videos("val")[0], PROTOCOL)

    return make


@pytest.fixture
def cups(make_truth):
    """Both 11 and 12 are cups; the scripted head knows that of neither."""
    spans = [(1, i, VOCABULARY.predicates[i], 0, 11) for i in (11, 12, 21)]
    return make_truth({1: 1, 11: CUP, 12: CUP, 21: 21}, spans)


def shares(gains):
    return {n: row["hits"] / row["units"] for n, row in gains.items()}


def test_one_correction_mends_what_looks_alike(session, cups):
    outcomes = simulate(session, cups, PROTOCOL, (0, 1, 2))
    gains = video_gains(outcomes, cups, PROTOCOL)
    # The third relation is right from the start, the two cups after one word.
    assert shares(gains) == pytest.approx({"0": 1 / 3, "1": 1, "2": 1})
    assert [row["made"] for row in gains.values()] == [0, 1, 1]
    assert outcomes[0].named == frozenset()
    assert outcomes[1].named == {"cup"}
    # Nothing is left of 36 units but those of thing 21, right before and after.
    assert gains["1"] == {
        "made": 1,
        "units": 36,
        "hits": 36,
        "untouched units": 12,
        "untouched hits": 12,
        "untouched hits before": 12,
    }
    assert session.undo().endswith("is cup")


def test_what_is_wrong_on_most_units_comes_first(session, make_truth):
    relations = [(1, 11, RIGHT, 0, 11), (1, 21, "kissing", 3, 8)]
    truth = make_truth({1: 1, 11: 11, 21: CUP}, relations)
    clicked = click_subjects(session, truth)
    tracks = match_tracks(session.graph(), truth, clicked)
    assert tracks == {1: 1, 11: 2, 21: 4}
    wrong = wrong_labels(session.graph(), truth, tracks)
    # On twelve frames the predicate of the first pair, on six both names of the other.
    assert [tuple(c) for c in wrong] == [
        (12, 1, 2, RIGHT, 0, 11),
        (6, None, 4, "cup", 0, 0),
        (6, 1, 4, "kissing", 3, 8),
    ]


def test_predicates_are_corrected_on_their_span(session, make_truth):
    truth = make_truth({1: 1, 21: 21}, [(1, 21, "kissing", 3, 8)])
    gains = video_gains(simulate(session, truth, PROTOCOL, (0, 1)), truth, PROTOCOL)
    assert shares(gains) == {"0": 0, "1": 1}
    assert gains["1"]["untouched units"] == 0
    (fixed,) = [r for r in session.relations() if r.fixed]
    assert (fixed.predicate, fixed.spans) == ("kissing", ((3, 8),))


def test_harm_to_untouched_classes_is_seen(session, make_truth):
    """One of two that look alike is a cup, and the other is what the head says."""
    spans = [(1, i, VOCABULARY.predicates[i], 0, 11) for i in (11, 12)]
    truth = make_truth({1: 1, 11: CUP, 12: 12}, spans)
    gains = video_gains(simulate(session, truth, PROTOCOL, (0, 1)), truth, PROTOCOL)
    assert gains["1"] == {
        "made": 1,
        "units": 24,
        "hits": 12,
        "untouched units": 12,
        "untouched hits": 0,
        "untouched hits before": 12,
    }


def test_a_track_that_is_seen_too_little_is_nobody(session, cups, world):
    here = world.places[12]
    world.places[12] = lambda frame: here(frame) if frame < 2 else None
    clicked = click_subjects(session, cups)
    tracks = match_tracks(session.graph(), cups, clicked)
    assert tracks == {1: 1, 11: 2, 21: 4}


def test_a_video_without_a_subject(session, make_truth):
    truth = make_truth({1: 1, 21: 21}, [])
    gains = video_gains(simulate(session, truth, PROTOCOL, (0, 1)), truth, PROTOCOL)
    assert gains["1"]["units"] == 0
    assert session.tracked_frames() == []


def counted(hits, kept, before, units=10, untouched=5, made=1):
    return {
        "made": made,
        "units": units,
        "hits": hits,
        "untouched units": untouched,
        "untouched hits": kept,
        "untouched hits before": before,
    }


def test_gains_are_paired_over_videos():
    none = counted(2, 4, 4, made=0)
    videos = [
        {"0": none, "1": counted(6, 4, 4)},
        {"0": none, "1": counted(4, 3, 4)},
        {"0": none, "1": counted(3, 0, 0, untouched=0)},
    ]
    found = summary(videos)
    assert found["0"]["recall"] == pytest.approx(20)
    assert found["1"]["recall"] == pytest.approx(100 * 13 / 30)
    # Differences of 40, 20 and 10 points, and of 0 and -20.
    gain = np.array([40, 20, 10])
    assert found["1"]["gain"] == pytest.approx(
        {"mean": gain.mean(), "error": gain.std(ddof=1) / 3**0.5, "videos": 3}
    )
    assert found["1"]["untouched gain"] == pytest.approx(
        {"mean": -10, "error": 200**0.5 / 2**0.5, "videos": 2}
    )
    assert found["1"]["untouched recall"] == pytest.approx(70)
    lines = table(found, 3).splitlines()
    assert lines[3] == "| 1 | 1.00 | 43.33 | +23.33 ± 8.82 | 70.00 | -10.00 ± 10.00 |"


def test_one_video_has_no_error():
    found = summary([{"0": counted(2, 0, 0, untouched=0)}])
    assert found["0"]["gain"] == {"mean": 0, "error": None, "videos": 1}
    assert table(found, 3).splitlines()[2].endswith("| 20.00 | +0.00 ± ? | - | - |")
