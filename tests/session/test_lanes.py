"""Relations and spans by hand."""

import numpy as np
import pytest

import c2g_jax
from c2g_jax.types import InputError
from tests.session import scripted
from tests.session.conftest import OTHER, SUBJECT, everything, run

# Thing 11, that subject 1 finds, is object 2; thing 2 becomes object 3.
LANE = (1, 3, "beside")


@pytest.fixture
def tracked(session):
    session.click(**SUBJECT)
    run(session.track())
    session.click(2, **OTHER)
    run(session.track(start=2))
    return session


def spans(session, lane=LANE):
    (found,) = [
        r.spans
        for r in session.relations()
        if (r.subject_id, r.object_id, r.predicate) == lane
    ] or [()]
    return found


def guessed(session):
    """What the model guesses of subject 1 and object 2."""
    (found,) = [r for r in session.relations() if (r.subject_id, r.object_id) == (1, 2)]
    return found


def lanes(session, object_id):
    (found,) = [o.lanes for o in session.objects() if o.object_id == object_id]
    return found


def test_any_two_objects_are_related_by_several_predicates(tracked):
    tracked.relate(1, 3, "beside", [(8, 9), (3, 5)])
    tracked.relate(1, 3, "looking at", [(5, 8)])
    tracked.relate(3, 2, "holding")
    assert spans(tracked) == ((3, 5), (8, 9))
    assert spans(tracked, (1, 3, "looking at")) == ((5, 8),)
    assert spans(tracked, (3, 2, "holding")) == ((2, 11),)  # where both are in view
    graph = {
        (r.subject_id, r.object_id, r.predicate): r for r in tracked.graph().relations
    }
    assert graph[LANE].spans == ((3, 5), (8, 9))
    assert graph[LANE].score == 1.0
    names = {r.predicate for r in tracked.view(5).relations if r.object_id == 3}
    assert names == {"beside", "looking at"}


def test_spans_are_exact_whatever_the_smoothing_and_the_guesses(tracked):
    """The model guesses the same triple on all frames from 2 on."""
    guess = guessed(tracked)
    lane = (1, 2, guess.predicate)
    assert guess.spans == ((2, 11),)
    tracked.set_spans(lane, [(4, 4), (6, 6), (0, 1)])
    assert spans(tracked, lane) == ((0, 1), (4, 4), (6, 6))
    assert lane not in {
        (r.subject_id, r.object_id, r.predicate) for r in tracked.view(5).relations
    }
    tracked.set_spans(lane, None)
    assert spans(tracked, lane) == guess.spans


def test_each_change_of_a_span(tracked):
    tracked.relate(*LANE, [(3, 9)])
    changes = [
        (lambda s: s.split_span(LANE, 6), ((3, 5), (6, 9))),
        (lambda s: s.move_span(LANE, 1, 7), ((3, 5), (7, 9))),
        (lambda s: s.move_span(LANE, 0, stop=4), ((3, 4), (7, 9))),
        (lambda s: s.add_span(LANE, 11), ((3, 4), (7, 9), (11, 11))),
        (lambda s: s.add_span(LANE, 5, 5), ((3, 5), (7, 9), (11, 11))),
        (lambda s: s.join_spans(LANE, 0), ((3, 9), (11, 11))),
        (lambda s: s.delete_span(LANE, 0), ((11, 11),)),
        (lambda s: s.move_span(LANE, 0, 0, 2), ((0, 2),)),
        (lambda s: s.set_predicate(1, 3, "beside", 2, 3), ((0, 3),)),
        (lambda s: s.set_predicate(1, 3, "holding", 1, 1), ((0, 0), (2, 3))),
        (lambda s: s.set_predicate(1, 3, None, 0, 2), ((3, 3),)),
        (lambda s: s.delete_span(LANE, 0), ()),
    ]
    seen = [(spans(tracked), everything(tracked))]
    for change, wanted in changes:
        change(tracked)
        seen.append((spans(tracked), everything(tracked)))
        assert seen[-1][0] == wanted
    for wanted in reversed(seen[:-1]):
        tracked.undo()
        assert (spans(tracked), everything(tracked)) == wanted


def test_a_deleted_relation_is_guessed_no_more(tracked, tmp_path):
    guess = guessed(tracked)
    tracked.unrelate(1, 2, guess.predicate)
    run(tracked.track(start=2))
    assert spans(tracked, (1, 2, guess.predicate)) == ()
    tracked.save(tmp_path / "a.c2g")
    again = c2g_jax.open_session(
        tmp_path / "a.c2g", scripted.video(), model=scripted.model()
    )
    assert everything(again) == everything(tracked)
    again.close()
    tracked.set_spans((1, 2, guess.predicate), None)
    assert spans(tracked, (1, 2, guess.predicate)) == guess.spans


def test_where_an_object_is_present(tracked):
    assert lanes(tracked, 3) == ((2, 11),)
    tracked.split_span(3, 6)
    assert lanes(tracked, 3) == ((2, 5), (6, 11))
    tracked.move_span(3, 0, stop=3)
    tracked.delete_span(3, 1)
    assert lanes(tracked, 3) == ((2, 3),)
    assert tracked.view(4).objects[-1].rle is None
    (track,) = [o for o in tracked.graph().objects if o.object_id == 3]
    assert list(track.masks) == [2, 3]
    run(tracked.track(start=2))  # what a person said stays
    assert lanes(tracked, 3) == ((2, 3),)
    tracked.add_span(3, 0, 1)  # there is no mask, so nothing to show
    assert lanes(tracked, 3) == ((2, 3),)
    tracked.set_spans(3, None)
    assert lanes(tracked, 3) == ((2, 11),)


def test_a_drawn_relation_is_an_example_as_a_predicate_that_was_set(make_session):
    known = []
    for act in (
        lambda s: s.relate(1, 2, "beside", [(2, 11)]),
        lambda s: s.set_predicate(1, 2, "beside"),
    ):
        session = make_session()
        session.click(**SUBJECT)
        run(session.track())
        act(session)
        labeller, state = session._viewer._labeller, session.history()[0]
        known.append(labeller._known(state)[2])
    one, other = known
    assert one.classes.tolist() == other.classes.tolist()
    assert one.owners.tolist() == other.owners.tolist()
    assert (one.features == other.features).all()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda s: s.relate(1, 1, "beside"), "object 1 is given twice"),
        (lambda s: s.relate(1, 9, "beside"), "no object 9"),
        (lambda s: s.relate(1, 3, "besides"), "unknown predicate 'besides': perhaps b"),
        (
            lambda s: s.relate(1, 3, "beside", [(3, 12)]),
            "goes beyond the video: end it",
        ),
        (lambda s: s.relate(1, 3, "beside", [(5, 3)]), "span 5 to 3 is empty"),
        (lambda s: s.relate(1, 3, "beside", []), "there is no span: give one"),
        (lambda s: s.relate(1, 3, "beside", [(-3, 2)]), "begins before the video"),
        (lambda s: s.relate(1, 3, "beside", [(1, 3), (3, 4)]), "overlap: join them"),
        (lambda s: s.relate(1, 3, "beside", 5), r"must be \[\[start, end\], ...\]"),
        (lambda s: s.relate(1, 3, "beside", [(True, 3)]), "in whole frames"),
        (lambda s: s.relate(1, 3, "beside", [(1.5, 3)]), "in whole frames"),
        (lambda s: s.split_span(LANE, 5), "is no relation here: relate them first"),
        (lambda s: s.move_span(3, 7, 1), "no span number 7: there are 1"),
        (lambda s: s.join_spans(3, 0), "no span number 1"),
        (lambda s: s.split_span(3, 2), "no span goes on to frame 2"),
        (lambda s: s.set_spans((1, 3), []), r"give \(subject, object, predicate\)"),
        (lambda s: s.set_spans((1, 3, "nope"), [(1, 2)]), "unknown predicate"),
        (lambda s: s.set_spans("a", []), "lane is 'a'"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(tracked, act, words):
    before = everything(tracked)
    with pytest.raises(InputError, match=words) as told:
        act(tracked)
    assert "\n" not in str(told.value)
    assert everything(tracked) == before


def test_numbers_of_numpy_are_frames(tracked):
    tracked.relate(np.int64(1), np.int64(3), "beside", np.array([[3, 5]]))
    assert spans(tracked) == ((3, 5),)


@pytest.mark.parametrize("raw", [" solders  to ", "solders\nto", "solders\tto"])
def test_a_new_name_is_used_as_the_vocabulary_writes_it(session, raw):
    session.click(**SUBJECT)
    session.click(2, **OTHER)
    session.relate(1, 2, raw, [(0, 5)], new=True)
    session.relate(1, 2, " beside ", [(0, 5)], new=True)  # one that it has
    session.rename(1, raw, new="thing")
    session.rename(2, " cup ", new="thing")
    names = {r.predicate for r in session.relations()}
    assert names == {"solders to", "beside"}
    assert [o.category for o in session.objects()] == ["solders to", "cup"]
    assert session.vocabulary.predicates.count("beside") == 1


def test_a_cut_that_is_taken_back_by_a_merge_leaves_one_span(tracked):
    before = lanes(tracked, 3)
    tracked.relate(*LANE, [(3, 9)])
    new = tracked.cut(3, 7)
    tracked.merge(new, 3)
    assert lanes(tracked, 3) == before == ((2, 11),)
    assert spans(tracked) == ((3, 9),)
    tracked.split_span(3, 6)  # by hand, they stay apart
    assert lanes(tracked, 3) == ((2, 5), (6, 11))


def test_an_object_that_is_nowhere_is_in_no_graph(tracked, make_session, tmp_path):
    tracked.rename(1, "adult")
    tracked.relate(*LANE, [(2, 5)])
    tracked.set_spans(3, [(2, 2)])
    assert spans(tracked) == ((2, 5),)  # it may hold while one is out of view
    tracked.set_spans(3, [])
    assert spans(tracked) == ((2, 5),)  # kept, for when it is present again
    graph = tracked.graph()
    assert 3 not in {o.object_id for o in graph.objects}
    assert all(3 not in (r.subject_id, r.object_id) for r in graph.relations)
    assert all(o.masks for o in graph.objects)
    tracked.export("scene_graph", tmp_path / "a.json")
    other = make_session(model=scripted.model(trained=False))
    assert other.import_annotations(tmp_path / "a.json") == 2


def test_before_tracking_a_relation_holds_on_the_whole_clip(session):
    session.click(**SUBJECT)
    session.click(2, **OTHER)
    session.relate(1, 2, "beside")
    assert spans(session, (1, 2, "beside")) == ((0, 11),)
    run(session.track())
    assert spans(session, (1, 2, "beside")) == ((0, 11),), "as it was said"


def test_what_is_not_tracked_yet_may_be_in_view_wherever_the_other_is(session):
    session.click(**SUBJECT)
    run(session.track(stop=7))
    session.click(2, **OTHER)  # object 3: the subject found one
    session.relate(*LANE)
    assert spans(session) == ((2, 7),), "the subject is tracked there"


def test_what_is_nowhere_present_is_in_no_file(tracked, tmp_path):
    tracked.relate(*LANE, [(0, 5)])
    tracked.set_spans(3, [(2, 3)])
    (relation,) = [r for r in tracked.graph().relations if r.predicate == "beside"]
    assert relation.spans == ((0, 5),), "it may hold while its object is out of view"
    tracked.set_spans(3, [])
    graph = tracked.graph()
    assert 3 not in {o.object_id for o in graph.objects}
    assert all(3 not in (r.subject_id, r.object_id) for r in graph.relations)
    assert spans(tracked) == ((0, 5),), "the session keeps it"
    path = tmp_path / "scene_graph.json"
    tracked.export("scene_graph", path)
    tracked.import_annotations(path)
    tracked.undo()
    tracked.undo()
    assert 3 in {o.object_id for o in tracked.graph().objects}
