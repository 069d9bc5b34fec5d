import threading

import numpy as np
import pytest

from c2g_jax.rle import decode_mask
from c2g_jax.sam2 import video_tracker
from c2g_jax.types import InputError
from tests.session import scripted
from tests.session.conftest import centre, everything, run

SUBJECT = dict(frame=2, **centre(1, 1))  # thing 1
MASK = np.zeros((64, 64), bool)
MASK[44:60, 4:20] = True
FOUND, OTHER = centre(1, 6), centre(11, 1)  # things 11 and 2


def shown(session, frame, object_id=1):
    """The mask of an object on a frame, in small cells, None where it has none."""
    found = [o for o in session.view(frame).objects if o.object_id == object_id]
    if not found or found[0].rle is None:
        return None
    return decode_mask(found[0].rle)[2::4, 2::4]


def test_a_click_shows_a_mask_at_once(session):
    view = session.click(**SUBJECT)
    (subject,) = view.objects
    assert (subject.object_id, subject.role, subject.category) == (
        1,
        "subject",
        "unknown",
    )
    assert decode_mask(subject.rle).shape == (64, 64)
    assert session.as_json(subject.prompts) == [
        {"kind": "point", "x": 12.0, "y": 12.0, "label": 1, "box": None}
    ]
    assert not view.tracked
    assert session.view(0).objects[0].rle is None


def test_track_finds_objects_and_names_relations(session):
    session.click(**SUBJECT)
    updates = list(session.track(direction="both"))
    assert [u.frame for u in updates] == [*range(2, 12), 1, 0]
    assert [(u.done, u.total) for u in updates] == [(k + 1, 12) for k in range(12)]
    found = [o for o in session.objects() if o.role == "object"]
    assert found
    assert all(o.subject_ids == (1,) for o in found)
    assert session.view(5).relations
    graph = session.graph()
    assert graph.object(1).prompted_by is None
    assert graph.object(found[0].object_id).prompted_by == 1
    assert graph.relations


def test_ranges_and_where_tracking_goes_on(session):
    session.click(**SUBJECT)
    assert run(session.track(stop=4)) == [2, 3, 4]
    assert run(session.track(stop=6)) == [5, 6]
    assert run(session.track(start=3, stop=4)) == [3, 4]
    assert run(session.track(direction="backward")) == [1, 0]
    assert session.tracked_frames() == list(range(7))


def test_tracking_anew_gives_the_same_again(session):
    session.click(**SUBJECT)
    run(session.track())
    first = everything(session)
    run(session.track(start=2))
    assert everything(session) == first


def test_tracking_in_two_goes_is_tracking_in_one(make_session):
    one, two = make_session(), make_session()
    for session in (one, two):
        session.click(**SUBJECT)
    run(one.track())
    run(two.track(stop=6))
    run(two.track())
    assert everything(one) == everything(two)


def test_cancel_ends_after_the_step_that_runs(session):
    session.click(**SUBJECT)
    done = []
    for update in session.track():
        done.append(update.frame)
        if update.frame == 4:
            session.cancel()
    assert done == [2, 3, 4]
    assert session.tracked_frames() == [2, 3, 4]
    assert session.undo() == "tracked 3 frames"
    assert session.tracked_frames() == []


def test_cancel_from_another_thread(session, world, monkeypatch):
    session.click(**SUBJECT)
    step, entered, go_on = world.step, threading.Event(), threading.Event()

    def slow(*args):
        entered.set()
        go_on.wait(10)
        return step(*args)

    monkeypatch.setattr(video_tracker, "step", slow)
    done = []
    thread = threading.Thread(target=lambda: done.extend(run(session.track())))
    thread.start()
    assert entered.wait(10)  # frame 3, the first that is tracked
    assert session.view(2).tracked  # does not wait for the step
    assert session.image(5).shape == (64, 64, 3)
    assert len(session.objects()) == 2
    assert session.tracked_frames() == [2]
    session.cancel()
    go_on.set()
    thread.join(10)
    assert done == [2, 3]


def test_an_error_in_the_midst_keeps_what_is_done(session, monkeypatch):
    session.click(**SUBJECT)
    read = session._engine._reader.read

    def damaged(frame):
        if frame == 5:
            raise InputError("the frame at 1.00 s cannot be decoded")
        return read(frame)

    monkeypatch.setattr(session._engine._reader, "read", damaged)
    with pytest.raises(InputError, match=r"1\.00 s"):
        run(session.track())
    assert session.tracked_frames() == [2, 3, 4]
    assert session.can_undo


def test_leaving_a_track_keeps_what_is_done(session):
    session.click(**SUBJECT)
    updates = session.track()
    next(updates)
    with pytest.raises(InputError, match="cancel"):
        session.click(0, 5, 5)
    assert session.view(2).tracked
    updates.close()
    assert session.tracked_frames() == [2]
    session.click(0, 5, 5)


def test_every_action_is_undone_and_redone_exactly(session):
    actions = [
        lambda: session.click(**SUBJECT),
        lambda: run(session.track(stop=6)),
        lambda: session.click(4, 6, 6, positive=False, object_id=1),
        lambda: run(session.track()),
        lambda: session.box(3, 4, 44, 20, 60),
        lambda: run(session.track(start=0, stop=8, direction="both")),
        lambda: session.mask(5, MASK),
        lambda: session.add_object(1, 3, 12, 32),
        lambda: session.rename(1, "adult"),
        lambda: session.set_predicate(1, 2, "holding", 3, 5),
        lambda: session.set_predicate(1, 2, None),
        lambda: session.delete_prompt(4, 1, 0),
        lambda: session.remove(1),
    ]
    seen = [everything(session)]
    for act in actions:
        act()
        seen.append(everything(session))
        assert seen[-1] != seen[-2]
    for state in reversed(seen[:-1]):
        session.undo()
        assert everything(session) == state
    assert not session.can_undo
    for state in seen[1:]:
        session.redo()
        assert everything(session) == state
    assert not session.can_redo
    session.undo()
    session.rename(1, "child")
    assert not session.can_redo


def test_a_correction_makes_stale_what_follows_and_is_taken_up(session, world):
    session.click(**SUBJECT)
    run(session.track())
    before = everything(session)["views"]
    assert (shown(session, 7) == world.mask(1, 7)).all()
    session.box(6, 4, 44, 20, 60, object_id=1)  # around thing 2
    assert session.stale_frames() == list(range(6, 12))
    assert session.view(7).stale
    assert not session.view(5).stale
    assert run(session.track()) == list(range(6, 12))
    assert session.stale_frames() == []
    assert everything(session)["views"][:6] == before[:6]
    for frame in range(6, 12):
        assert (shown(session, frame) == world.mask(2, frame)).all()


def test_backward_a_correction_reaches_what_comes_before(session, world):
    session.click(8, **centre(1, 1))
    run(session.track(direction="backward"))
    session.click(4, **OTHER, object_id=1)
    assert session.stale_frames() == list(range(5))
    assert run(session.track(direction="backward")) == [4, 3, 2, 1, 0]
    assert (shown(session, 0) == world.mask(2, 0)).all()
    assert (shown(session, 6) == world.mask(1, 6)).all()


def test_a_prompt_taken_back_brings_back_what_tracking_had_found(session):
    session.click(**SUBJECT)
    run(session.track())
    before = session.view(6).objects[0].rle
    session.click(6, **OTHER, object_id=1)
    assert session.view(6).objects[0].rle != before
    session.delete_prompt(6, 1, 0)
    assert session.view(6).objects[0].rle == before
    session.delete_prompt(2, 1, 0)
    assert session.objects() == []


def test_a_found_object_can_be_corrected_and_given_back(session, world):
    session.click(**SUBJECT)
    run(session.track())
    session.click(2, **OTHER, object_id=2)  # where it was found
    assert (shown(session, 2, 2) == world.mask(2, 2)).all()
    run(session.track())
    assert (shown(session, 9, 2) == world.mask(2, 9)).all()
    session.delete_prompt(2, 2, 0)
    assert (shown(session, 2, 2) == world.mask(11, 2)).all()


def test_a_prompt_taken_back_was_never_given(make_session):
    one, two = make_session(), make_session()
    one.click(**SUBJECT)
    one.click(2, 60, 60, object_id=1)
    one.click(2, 6, 6, positive=False, object_id=1)
    one.delete_prompt(2, 1, 1)
    two.click(**SUBJECT)
    two.click(2, 6, 6, positive=False, object_id=1)
    assert one.as_json(one.view(2)) == two.as_json(two.view(2))


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


def test_an_image_is_a_video_of_one_frame(make_session):
    session = make_session(scripted.video(1))
    session.click(0, 12, 12)
    assert run(session.track()) == [0]
    assert session.graph().video.num_frames == 1


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda s: s.click(99, 1, 1), "frame 99 is not in the video|sampled frames"),
        (lambda s: s.click(0, 200, 1), "outside the frame"),
        (lambda s: s.click(0, 1, 1, object_id=7), "no object 7"),
        (lambda s: s.box(0, 5, 5, 5, 9), "no area"),
        (lambda s: s.mask(0, np.zeros((64, 64))), "empty"),
        (lambda s: s.mask(0, np.ones((4, 4))), "4x4"),
        (lambda s: s.add_object(3, 0, 1, 1), "no object 3"),
        (lambda s: s.delete_prompt(0, 1, 0), "no object 1"),
        (lambda s: s.remove(1), "no object 1"),
        (lambda s: s.track(), "click on a subject"),
        (lambda s: s.track(direction="up"), "'up'"),
        (lambda s: s.undo(), "nothing to undo"),
        (lambda s: s.redo(), "nothing to redo"),
        (lambda s: s.view(12), "use 0 to 11"),
        (lambda s: s.image(-1), "use 0 to 11"),
    ],
)
def test_what_cannot_be_done_is_named(session, act, words):
    with pytest.raises(InputError, match=words):
        act(session)
    assert not session.can_undo


def test_names_outside_the_vocabulary_are_named(session):
    session.click(**SUBJECT)
    with pytest.raises(InputError, match="adult"):
        session.rename(1, "adul")
    session.add_object(1, 2, **FOUND)
    with pytest.raises(InputError, match="holding"):
        session.set_predicate(1, 2, "holdin")
    with pytest.raises(InputError, match="two different"):
        session.set_predicate(1, 1, "holding")
