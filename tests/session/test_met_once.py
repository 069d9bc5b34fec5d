"""Objects that queries met on one frame alone are dropped when a pass ends."""

import pytest

from tests.session import scripted
from tests.session.conftest import SUBJECT, centre, run


def test_an_object_that_was_met_once_and_whose_track_has_ended_is_dropped(
    make_session, world
):
    session = make_session(model=scripted.model())
    world.finds = lambda thing, frame: (11 if frame == 4 else 0, 0, 0)
    session.click(**SUBJECT)
    for update in session.track():
        if update.frame == 5:  # it may be met again on this frame
            assert [o.object_id for o in session.view(5).objects] == [1, 2]
    assert [o.object_id for o in session.objects()] == [1]
    assert [o.object_id for o in session.view(4).objects] == [1]
    assert not session.graph().relations


@pytest.mark.parametrize("frame", [4, 11])
def test_an_object_that_was_met_once_stays_if_named_or_on_the_last_frame(
    make_session, world, frame
):
    session = make_session(model=scripted.model())
    world.finds = lambda thing, t: (11 if t == frame else 0, 0, 0)
    session.click(**SUBJECT)
    run(session.track(stop=4))
    if frame == 4:
        session.rename(2, "cup")
    run(session.track(start=5))
    assert [o.object_id for o in session.objects()] == [1, 2]


def met(world, frames_of):
    """The things 1, 2 and 3 are subjects, and find thing 11 on the frames of each."""
    world.finds = lambda thing, t: (11 if t in frames_of.get(thing, ()) else 0, 0, 0)


def relations(session):
    return [(r.subject_id, r.object_id, r.spans) for r in session.relations()]


def test_the_id_that_was_shown_stays_though_its_own_track_was_met_once(
    make_session, world
):
    session = make_session(model=scripted.model())
    met(world, {1: [3], 2: range(3, 12)})
    for place in (centre(1, 1), centre(11, 1)):
        session.click(0, **place)
    run(session.track())
    assert [o.object_id for o in session.objects()] == [1, 2, 3]
    assert relations(session) == [(2, 3, ((3, 11),))]


def test_an_object_stays_that_two_subjects_met_once_each(make_session, world):
    session = make_session(model=scripted.model())
    met(world, {1: [3], 2: [4]})
    for place in (centre(1, 1), centre(11, 1)):
        session.click(0, **place)
    run(session.track())
    assert [o.object_id for o in session.objects()] == [1, 2, 3]
    assert session.objects()[2].subject_ids == (1, 2)


def test_merges_through_an_object_that_was_met_once_stay(make_session, world):
    world.places[3] = world.still(6, 11)
    # Onto the third subject, after the first two have found it.
    world.places[11] = lambda t: (6, 1) if t < 4 else (6, 11)
    session = make_session(model=scripted.model())
    met(world, {1: [3], 2: range(3, 12)})
    for place in (centre(1, 1), centre(11, 1), centre(6, 11)):
        session.click(0, **place)
    for update in session.track():
        if update.frame == 11:
            shown = [o.object_id for o in session.view(11).objects]
    assert shown == [o.object_id for o in session.objects()] == [1, 2, 3]
    assert relations(session) == [(2, 3, ((3, 11),))]


def test_tracking_again_in_parts_finds_what_one_pass_finds(make_session, world):
    found = []
    for parts in ([dict(start=4)], [dict(start=4, stop=6), dict(start=7)]):
        session = make_session(model=scripted.model())
        met(world, {})
        session.click(0, **centre(1, 1))
        run(session.track())
        met(world, {1: range(6, 12)})
        for part in parts:
            run(session.track(**part))
        found.append(([o.lanes for o in session.objects()], relations(session)))
    assert found[0] == found[1]
    assert found[0] == ([((0, 11),), ((6, 11),)], [(1, 2, ((6, 11),))])
