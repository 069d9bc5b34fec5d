"""Edits of a session: undo and redo, corrections, deleted prompts, errors."""

import numpy as np
import pytest

from c2g_jax.media.rle import decode_mask
from c2g_jax.types import InputError
from tests.session.conftest import FOUND, OTHER, SUBJECT, centre, everything, run

MASK = np.zeros((64, 64), bool)
MASK[44:60, 4:20] = True


def shown(session, frame, object_id=1):
    """The mask of an object on a frame, in small cells, None where it has none."""
    found = [o for o in session.view(frame).objects if o.object_id == object_id]
    if not found or found[0].rle is None:
        return None
    return decode_mask(found[0].rle)[2::4, 2::4]


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


def test_a_correction_makes_both_sides_stale_and_is_taken_up(session, world):
    session.click(**SUBJECT)
    run(session.track())
    before = everything(session)["views"]
    assert (shown(session, 7) == world.mask(1, 7)).all()
    session.box(6, 4, 44, 20, 60, object_id=1)  # around thing 2
    # Frames before it attend to it too; frame 2 has a prompt of its own.
    assert session.stale_frames() == list(range(3, 12))
    assert session.view(7).stale
    assert not session.view(2).stale
    assert run(session.track()) == list(range(6, 12))
    assert session.stale_frames() == [3, 4, 5]
    views = everything(session)["views"]
    assert [v | {"stale": False} for v in views[:6]] == before[:6]
    for frame in range(6, 12):
        assert (shown(session, frame) == world.mask(2, frame)).all()
    assert run(session.track()) == list(range(3, 12))
    assert session.stale_frames() == []


def test_backward_a_correction_reaches_what_comes_before(session, world):
    session.click(8, **centre(1, 1))
    run(session.track(direction="backward"))
    session.click(4, **OTHER, object_id=1)
    assert session.stale_frames() == list(range(8))
    assert run(session.track(direction="backward")) == [4, 3, 2, 1, 0]
    assert session.stale_frames() == [5, 6, 7]
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


def test_a_prompt_taken_back_before_tracking_leaves_nothing_stale(session):
    session.click(**SUBJECT)
    run(session.track())
    before = everything(session)
    session.click(6, **OTHER, object_id=1)
    session.click(6, 6, 6, positive=False, object_id=1)
    session.delete_prompt(6, 1, 1)
    session.delete_prompt(6, 1, 0)
    assert everything(session) == before
    session.click(8, **OTHER)
    assert session.stale_frames() == [8, 9, 10, 11]
    session.delete_prompt(8, 3, 0)
    assert everything(session) == before


def test_what_depended_on_a_prompt_taken_back_is_stale_on_both_sides(session):
    session.click(**SUBJECT)
    run(session.track(stop=9))  # the last frames are tracked with the prompt alone
    session.click(6, 6, 6, positive=False, object_id=1)
    run(session.track(start=0, direction="both"))
    assert session.stale_frames() == []
    session.delete_prompt(6, 1, 0)
    assert session.stale_frames() == [0, 1, *range(3, 12)]
    assert run(session.track()) == list(range(3, 12))
    assert session.stale_frames() == [0, 1]
    assert run(session.track(direction="backward")) == [1, 0]
    assert session.stale_frames() == []


def test_a_prompt_taken_back_gives_back_all_that_was_tracked_without_it(session):
    """Also objects that only the passes with the prompt found, or lost, and ids."""
    session.click(**SUBJECT)
    run(session.track(direction="both"))
    session.rename(2, "ball")
    before = everything(session)
    session.click(6, **OTHER, object_id=1)
    session.click(8, 6, 6, positive=False, object_id=1)
    run(session.track(start=11, direction="backward"))
    run(session.track(start=0))
    assert everything(session) != before
    session.delete_prompt(6, 1, 0)
    assert session.stale_frames() != []  # never tracked with the other one alone
    session.delete_prompt(8, 1, 0)
    assert everything(session) == before
    assert session.click(2, **centre(6, 1)).objects[-1].object_id == 3


def test_a_person_s_words_outlive_a_prompt_taken_back(session, world):
    session.click(**SUBJECT)
    run(session.track())
    session.click(6, **OTHER, object_id=1)
    world.finds = lambda thing, frame: (21 if thing == 2 else 11, 0, 0)
    run(session.track(start=2))
    new = max(o.object_id for o in session.objects())
    assert new > 2
    session.rename(new, "ball")
    session.rename(1, "dog")
    session.delete_prompt(6, 1, 0)
    names = {o.object_id: o.category for o in session.objects()}
    assert names[1] == "dog"
    assert names[new] == "ball"


def test_tracking_back_from_one_subject_leaves_the_other_as_it_is(session, world):
    world.finds = lambda thing, frame: (21 if thing == 2 else 11, 0, 0)
    session.click(0, **centre(1, 1))
    run(session.track())
    before = everything(session)["views"]
    session.click(9, **OTHER)
    run(session.track(start=9, direction="backward"))
    views = everything(session)["views"]
    assert session.stale_frames() == [10, 11]  # the new subject goes on there
    of_first = [i for i in (o.object_id for o in session.objects()) if i < 3]
    assert of_first == [1, 2]
    for t in range(1, 9):
        seen = {o["object_id"]: o for o in views[t]["objects"]}
        assert [seen[i] for i in of_first] == before[t]["objects"]
        assert before[t]["relations"][0] in views[t]["relations"]
        assert (shown(session, t, 3) == world.mask(2, t)).all()


def test_nothing_is_tracked_where_nothing_is_prompted(session):
    session.click(**SUBJECT)
    run(session.track())
    before = everything(session)
    words = "no object is prompted on frame 4 or later: tracking from frame 8 to 4"
    with pytest.raises(InputError, match=words):
        session.track(start=8, stop=4, direction="backward")
    # Frame 2 is reached, those after it are not, and stay.
    assert run(session.track(start=5, direction="backward")) == [5, 4, 3, 2, 1, 0]
    assert everything(session)["views"][3:] == before["views"][3:]


def test_what_hid_an_object_and_is_taken_back_lets_it_be_found_again(session, world):
    """An object that a person added stood where a query would have found it."""
    session.click(**SUBJECT)
    session.add_object(1, 2, **FOUND)
    run(session.track())
    assert [o.object_id for o in session.objects()] == [1, 2]
    session.delete_prompt(2, 2, 0)
    assert [o.object_id for o in session.objects()] == [1]
    assert session.stale_frames() == list(range(2, 12))
    assert run(session.track()) == list(range(2, 12))
    assert [o.lanes for o in session.objects()] == [((2, 11),)] * 2
    assert (shown(session, 9, 3) == world.mask(11, 9)).all()


def test_a_subject_taken_back_leaves_the_others_as_they_are(session):
    session.click(**SUBJECT)
    run(session.track())
    before = everything(session)
    session.click(4, **OTHER)
    run(session.track())
    session.delete_prompt(4, 3, 0)
    assert everything(session) == before


def test_what_no_pass_finds_any_more_is_gone(session, world):
    finds = world.finds
    world.places |= {12: world.still(1, 8)}
    session.click(**SUBJECT)
    world.finds = lambda thing, frame: (12, 0, 0)
    run(session.track())
    lost = {o.object_id for o in session.objects()} - {1}
    world.finds = finds
    run(session.track(start=0))
    found = {o.object_id for o in session.objects()} - {1}
    assert lost
    assert found
    assert not lost & found
    session.undo()
    assert {o.object_id for o in session.objects()} - {1} == lost


def test_a_box_may_reach_beyond_the_edges(session):
    session.box(3, -20, 0, 44, 104)
    (prompt,) = session.view(3).objects[0].prompts
    assert prompt.box == (-20, 0, 44, 104)
    assert shown(session, 3).any()


def test_a_subject_taken_back_can_be_given_again(session, world):
    session.click(**SUBJECT)
    run(session.track())
    session.delete_prompt(2, 1, 0)
    assert session.objects() == []
    session.click(**SUBJECT)
    run(session.track())
    assert [o.lanes for o in session.objects()] == [((2, 11),)] * 2
    assert session.relations()


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
        *(
            (lambda s, f=f: s.click(f, 1, 1), "frame is .*: give a whole number")
            for f in ("0", None, [0], 0.0, True, np.zeros((2, 2)))
        ),
        *(
            (lambda s, x=x: s.click(0, x, 1), "x is .*: give a number")
            for x in ("5", None, True, [1])
        ),
        (lambda s: s.click(0, np.nan, 1), "outside the frame"),
        (lambda s: s.click(0, 1, 1, object_id="1"), "object_id is '1'"),
        (lambda s: s.box(0, "a", 0, 5, 5), "x1 is 'a'"),
        (lambda s: s.box(0, 0, 0, 5, None), "y2 is None"),
        (lambda s: s.mask("0", np.ones((64, 64))), "frame is '0'"),
        (lambda s: s.add_object([1], 0, 1, 1), "subject_id is "),
        (lambda s: s.delete_prompt(0, 1, "0"), "index is '0'"),
        (lambda s: s.remove(1.0), "object_id is 1.0"),
        (lambda s: s.rename([1], "cup"), "object_id is "),
        (lambda s: s.set_predicate(1, "2", "holding"), "object_id is '2'"),
        (lambda s: s.set_predicate(1, 2, "holding", 0.5, 2.5), "frame is 0.5"),
        (lambda s: s.track(0.5), "frame is 0.5"),
        (lambda s: s.track("a"), "frame is 'a'"),
        (lambda s: s.view(0.5), "frame is 0.5"),
        (lambda s: s.image("0"), "frame is '0'"),
        *(
            (lambda s, t=t: s.relations(t), "threshold is .*: give a number")
            for t in ("a", np.nan, True)
        ),
        (lambda s: s.graph("a"), "threshold is 'a'"),
        (lambda s: s.export("coco", "unused.json", "a"), "threshold is 'a'"),
    ],
)
def test_what_cannot_be_done_is_named(session, act, words):
    with pytest.raises(InputError, match=words):
        act(session)
    assert not session.can_undo
    assert everything(session)["objects"] == []


def test_numbers_of_numpy_are_numbers(session, tmp_path):
    session.click(np.int64(2), np.float32(12), np.int32(12))
    session.click(np.uint8(2), np.float16(6), 6, False, object_id=np.int16(1))
    run(session.track(np.int64(2), np.int64(4)))
    session.set_predicate(np.int64(1), np.int64(2), "holding", np.int8(3), np.int8(4))
    assert session.relations(np.float32(0.5))
    session.save(tmp_path / "a.c2g")  # as plain numbers
    session.save_graph(tmp_path / "a.json")


def test_names_outside_the_vocabulary_are_named(session):
    session.click(**SUBJECT)
    with pytest.raises(InputError, match="adult"):
        session.rename(1, "adul")
    session.add_object(1, 2, **FOUND)
    with pytest.raises(InputError, match="holding"):
        session.set_predicate(1, 2, "holdin")
    with pytest.raises(InputError, match="two different"):
        session.set_predicate(1, 1, "holding")
