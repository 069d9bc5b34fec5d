"""Guesses as suggestions, and the names of a session of its own."""

import pytest

import c2g_jax
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary
from tests.session import scripted
from tests.session.conftest import SUBJECT, everything, run


@pytest.fixture
def suggesting(make_session, world):
    world.finds = lambda thing, frame: (11, 21, scripted.NOTHING)
    session = make_session(guesses="suggest")
    session.click(**SUBJECT)
    run(session.track())
    return session


def states(session):
    return {o.object_id: o.state for o in session.objects()}


def relations(session):
    return {(r.object_id, r.state) for r in session.relations()}


def test_what_is_found_is_suggested_and_counts_for_nothing(suggesting, tmp_path):
    assert suggesting.guesses == "suggest"
    assert states(suggesting) == {1: "accepted", 2: "suggested", 3: "suggested"}
    assert relations(suggesting) == {(2, "suggested"), (3, "suggested")}
    assert {r.state for r in suggesting.view(4).relations} == {"suggested"}
    graph = suggesting.graph()
    assert [o.object_id for o in graph.objects] == [1]
    assert graph.relations == ()
    assert all(not subject.triplets for subject in graph.frames)
    suggesting.guesses = "take"
    assert set(states(suggesting).values()) == {"accepted"}
    assert len(suggesting.graph().objects) == 3
    with pytest.raises(InputError, match="guesses is 'maybe': give 'take' or"):
        suggesting.guesses = "maybe"


def test_one_is_accepted_with_its_name_and_spans(suggesting):
    (guess,) = [r for r in suggesting.relations() if r.object_id == 2]
    name = suggesting.objects()[1].category
    before = everything(suggesting)
    suggesting.accept((1, 2, guess.predicate))
    assert states(suggesting) == {1: "accepted", 2: "accepted", 3: "suggested"}
    assert relations(suggesting) == {(2, "accepted"), (3, "suggested")}
    (relation,) = suggesting.graph().relations
    assert (relation.object_id, relation.spans) == (2, guess.spans)
    assert [o.category for o in suggesting.graph().objects][1] == name
    suggesting.undo()
    assert everything(suggesting) == before
    suggesting.accept(3)  # an object alone
    assert states(suggesting)[3] == "accepted"
    assert relations(suggesting) == {(2, "suggested"), (3, "suggested")}
    with pytest.raises(InputError, match="is not suggested: lower the threshold"):
        suggesting.accept((1, 2, "beside"))


def test_all_above_the_slider_are_accepted_in_one_action(suggesting):
    scores = sorted(r.score for r in suggesting.relations())
    assert suggesting.accept_above(1.0) == 0
    assert suggesting.accept_above(scores[0]) == 2
    assert set(states(suggesting).values()) == {"accepted"}
    assert suggesting.undo() == "2 relations accepted"
    assert [o.object_id for o in suggesting.objects(1.0)] == [1]
    assert len(suggesting.objects(0.0)) == 3


def test_what_is_dismissed_is_not_suggested_again(suggesting):
    (guess,) = [r for r in suggesting.relations() if r.object_id == 2]
    suggesting.dismiss((1, 2, guess.predicate))
    assert relations(suggesting) == {(3, "suggested")}
    suggesting.dismiss(3)
    run(suggesting.track(start=2))
    assert states(suggesting) == {1: "accepted", 2: "suggested"}
    assert relations(suggesting) == set()


def test_what_a_person_does_with_one_accepts_it(suggesting):
    suggesting.rename(2, "cup")
    assert states(suggesting)[2] == "accepted"
    suggesting.set_predicate(1, 3, "holding", 4, 6)
    assert states(suggesting)[3] == "accepted"
    (relation,) = suggesting.graph().relations
    assert (relation.predicate, relation.spans) == ("holding", ((4, 6),))
    # That they are not related says nothing of whether they are there.
    suggesting.undo()
    suggesting.set_predicate(1, 3, None)
    assert states(suggesting)[3] == "suggested"


def test_the_file_knows_and_older_ones_take(suggesting, tmp_path):
    suggesting.accept(2)
    suggesting.save(tmp_path / "a.c2g")
    again = c2g_jax.open_session(
        tmp_path / "a.c2g", scripted.video(), model=scripted.model()
    )
    assert again.guesses == "suggest"
    assert everything(again) == everything(suggesting)
    again.close()


def test_a_vocabulary_of_its_own_hides_other_guesses(suggesting, tmp_path):
    known = scripted.CONFIG.vocabulary
    names = {o.object_id: o.category for o in suggesting.objects()}
    (guess,) = [r for r in suggesting.relations() if r.object_id == 2]
    own = Vocabulary((names[2], "robot"), ("lawn",), (guess.predicate, "welds"))
    before = everything(suggesting)
    suggesting.set_vocabulary(own)
    found = {o.object_id: o.category for o in suggesting.objects()}
    assert found == {1: "unknown", 2: names[2], 3: "unknown"}
    assert {r.predicate for r in suggesting.relations()} == {guess.predicate}
    suggesting.rename(1, "robot")
    suggesting.relate(1, 3, "welds", [(3, 4)])
    assert suggesting.likely_categories()[0] == "robot"
    assert suggesting.likely_predicates(1, 3)[0] == "welds"
    with pytest.raises(InputError, match="unknown category 'adult'"):
        suggesting.rename(3, "adult")
    with pytest.raises(InputError, match="category 'robot' is in use"):
        suggesting.set_vocabulary(None)
    suggesting.save(tmp_path / "a.c2g")
    again = c2g_jax.open_session(
        tmp_path / "a.c2g", scripted.video(), model=scripted.model()
    )
    assert again.vocabulary == own
    assert everything(again) == everything(suggesting)
    again.close()
    for _ in range(3):
        suggesting.undo()
    assert suggesting.vocabulary is known
    assert everything(suggesting) == before


def test_names_are_added_as_one_goes(suggesting):
    suggesting.rename(1, "robot", new="thing")
    suggesting.relate(1, 2, "welds", [(3, 4)], new=True)
    suggesting.add_name("lawn", "stuff")
    names = suggesting.vocabulary
    assert names.things[-1] == "robot"
    assert names.stuff[-1] == "lawn"
    assert names.predicates[-1] == "welds"
    assert suggesting.undo() == "the stuff lawn"
    with pytest.raises(InputError, match="has 'robot' already"):
        suggesting.add_name("robot")
    with pytest.raises(InputError, match="'unknown' can be no name"):
        suggesting.add_name("unknown")
    with pytest.raises(InputError, match="kind is 'verb'"):
        suggesting.add_name("runs", "verb")
