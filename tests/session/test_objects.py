"""The objects of a session: ids, names, and the frames on which they are tracked."""

import pytest

from tests.session import scripted
from tests.session.conftest import FOUND, OTHER, SUBJECT, centre, run


def found_id(session):
    return next(o.object_id for o in session.objects() if o.role == "object")


def test_what_is_removed_does_not_come_back(session):
    session.click(**SUBJECT)
    run(session.track())
    session.remove(found_id(session))
    run(session.track(start=2))
    assert [o.object_id for o in session.objects()] == [1]
    assert session.relations() == []


def test_a_subject_takes_along_what_it_led_to(session):
    session.click(**SUBJECT)
    session.click(2, **OTHER)
    run(session.track())
    assert [o.object_id for o in session.objects()] == [1, 2, 3]
    session.remove(1)
    left = {o.object_id: o.subject_ids for o in session.objects()}
    assert left == {2: (), 3: (2,)}  # which the other subject led to as well
    session.remove(2)
    assert session.objects() == []


def test_an_object_keeps_its_id_and_name_when_it_is_tracked_anew(session):
    session.click(**SUBJECT)
    run(session.track())
    found = found_id(session)
    session.rename(found, "cup")
    run(session.track(start=2))
    run(session.track(start=11, stop=0, direction="backward"))
    summary = {o.object_id: o for o in session.objects()}[found]
    assert (summary.category, summary.fixed, summary.score) == ("cup", True, 1.0)
    assert summary.lanes == ((0, 11),)
    assert session.graph().object(found).category == "cup"


def test_an_object_is_followed_for_a_while_when_nobody_meets_it(make_session, world):
    world.finds = lambda thing, frame: (11 if frame < 4 else 0, 0, 0)
    session = make_session(model=scripted.model(rules=dict(patience=3)))
    session.click(**SUBJECT)
    run(session.track())
    found = {o.object_id: o for o in session.objects()}[found_id(session)]
    assert found.lanes == ((2, 6),)  # met on 3, given up on 6
    assert session.view(3).relations
    assert not session.view(4).relations


def test_an_object_that_a_person_pointed_at_is_followed_to_the_end(session, world):
    world.finds = lambda thing, frame: (0, 0, 0)
    session.click(**SUBJECT)
    session.add_object(1, 4, **FOUND)
    run(session.track())
    assert {o.object_id: o.lanes for o in session.objects()} == {
        1: ((2, 11),),
        2: ((4, 11),),
    }
    (relation,) = session.relations()
    assert (relation.subject_id, relation.object_id) == (1, 2)
    assert relation.spans == ((4, 11),)
    assert session.graph().object(2).prompted_by is None


def test_one_thing_under_two_subjects_has_one_id(session):
    session.click(**SUBJECT)
    session.click(2, **OTHER)
    run(session.track())
    summaries = {o.object_id: o for o in session.objects()}
    assert sorted(summaries) == [1, 2, 3]
    assert summaries[3].subject_ids == (1, 2)
    pairs = {(r.subject_id, r.object_id) for r in session.relations()}
    assert pairs == {(1, 3), (2, 3)}
    session.remove(3)
    assert len(session.objects()) == 2


def test_what_a_query_finds_on_the_subject_itself_is_no_object(session, world):
    world.places[12] = lambda t: (1, 1) if t > 7 else (1, 9)  # onto the subject
    world.finds = lambda thing, frame: (thing, 11, 12)
    session.click(**SUBJECT)
    run(session.track())
    assert lanes(session) == {1: ((2, 11),), 2: ((2, 11),), 3: ((2, 11),)}
    spans = {r.object_id: r.spans for r in session.relations()}
    assert spans == {2: ((2, 11),), 3: ((2, 7),)}  # not while it lies on the subject


def test_late_subjects_are_absent_before(session, world):
    session.click(**SUBJECT)
    run(session.track())
    session.click(8, **OTHER)
    assert session.stale_frames() == [8, 9, 10, 11]
    assert run(session.track()) == [8, 9, 10, 11]
    lanes = {o.object_id: o.lanes for o in session.objects() if o.role == "subject"}
    assert sorted(lanes.values()) == [((2, 11),), ((8, 11),)]
    assert run(session.track(start=8, direction="backward")) == list(range(8, -1, -1))
    assert sorted(o.lanes for o in session.objects())[0] == ((0, 11),)


def lanes(session):
    return {o.object_id: o.lanes for o in session.objects()}


def fixed(session):
    return [(r.object_id, r.predicate, r.spans) for r in session.relations() if r.fixed]


def test_what_a_person_named_has_the_first_claim_when_it_is_found_again(session, world):
    world.places |= {12: world.still(1, 8), 13: world.still(1, 7)}
    session.click(**SUBJECT)
    run(session.track())
    session.rename(2, "cup")
    session.set_predicate(1, 2, "holding")
    world.finds = lambda thing, frame: (11, 12, 0)
    run(session.track(start=2))
    assert lanes(session) == {1: ((2, 11),), 2: ((2, 11),), 3: ((2, 11),)}
    # Halfway between the two, found where the model finds neither of them any more.
    world.finds = lambda thing, frame: (13, 0, 0)
    run(session.track(start=0, direction="both"))
    assert lanes(session)[2] == ((0, 11),)
    assert 3 not in lanes(session)  # no frame shows it any more
    assert fixed(session) == [(2, "holding", ((0, 11),))]
    before = lanes(session)
    run(session.track(start=2))
    assert lanes(session) == before


@pytest.mark.parametrize("both", [False, True])
def test_what_a_person_related_is_not_lost_to_a_track_from_before(session, world, both):
    """In the first run object 2 is found from frame 4 on, object 3 up to frame 2."""
    at = world.places[11]
    world.places[12] = lambda t: (1, 8) if t < 3 else (1, 7)  # into the place of 11
    world.places[11] = lambda t: at(t) if t > 3 else None
    world.finds = lambda thing, t: (11 if t > 3 else 0, 12 if t < 3 else 0, 0)
    session.click(3, **centre(1, 1))
    run(session.track(direction="both"))
    first = {1: ((0, 11),), 2: ((4, 11),), 3: ((0, 2),)}
    assert lanes(session) == first
    for object_id in (2, 3) if both else (2,):
        session.set_predicate(1, object_id, "holding")
    run(session.track(direction="both"))
    assert lanes(session) == first | {3: ((0, 3),)}
    assert fixed(session)[0] == (2, "holding", ((4, 11),))
    run(session.track(start=0))
    assert lanes(session) == first


def test_a_named_object_that_was_lost_is_found_under_its_name(make_session, world):
    session = make_session(model=scripted.model(rules=dict(patience=2)))
    session.click(0, **centre(1, 1))
    run(session.track())
    session.rename(2, "cup")
    world.finds = lambda thing, t: (11 if t < 2 or t > 6 else 0, 0, 0)
    run(session.track(start=0))
    assert lanes(session)[2] == ((0, 3), (7, 11))
    assert sorted(lanes(session)) == [1, 2]
