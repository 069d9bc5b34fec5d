import dataclasses

import numpy as np
import pytest

from c2g_jax.session.adapt import AdaptConfig, Prototypes, adapt_logits
from tests.session import scripted
from tests.session.conftest import centre, everything, run

CONFIG = AdaptConfig(width=0.3, margin=2.0)


def prototypes(features, classes, logits):
    return Prototypes(np.float32(features), np.array(classes), np.float32(logits))


def test_a_corrected_class_wins_on_its_example_by_the_margin():
    known = prototypes([[1, 0]], [2], [[5.0, 1.0, 0.0]])
    adapted = adapt_logits(np.float32([[5, 1, 0]]), np.float32([[3, 0]]), known, CONFIG)
    # Needed is 5 - 0 + 2; the same direction is the same example, whatever its length.
    np.testing.assert_allclose(adapted, [[5, 1, 7]], atol=1e-5)


def test_the_pull_falls_with_the_distance():
    known = prototypes([[1, 0]], [2], [[5.0, 1.0, 0.0]])
    angle = np.arccos(1 - CONFIG.width**2)  # where the Gaussian is exp(-1)
    features = np.float32([[np.cos(angle), np.sin(angle)], [0, 1]])
    adapted = adapt_logits(np.zeros((2, 3), np.float32), features, known, CONFIG)
    assert adapted[0, 2] == pytest.approx(7 * np.exp(-1), rel=1e-4)
    assert adapted[1, 2] == pytest.approx(0, abs=1e-3)
    assert not adapted[:, :2].any()  # nobody spoke of these


def test_a_class_that_leads_anyway_is_left_alone():
    known = prototypes([[1, 0]], [0], [[5.0, 1.0]])
    logits = np.float32([[2, 4]])
    assert (adapt_logits(logits, np.float32([[1, 0]]), known, CONFIG) == logits).all()


def test_the_nearest_of_two_examples_counts():
    known = prototypes([[1, 0], [0, 1]], [1, 1], [[4.0, 0.0], [8.0, 0.0]])
    features = np.float32([[1, 0], [0, 1]])
    adapted = adapt_logits(np.zeros((2, 2), np.float32), features, known, CONFIG)
    np.testing.assert_allclose(adapted[:, 1], [6, 10], atol=1e-3)


def test_an_example_leaves_its_owner_alone():
    known = Prototypes(
        np.float32([[1, 0]]), np.array([1]), np.float32([[4, 0]]), np.array([7])
    )
    features, owners = np.float32([[1, 0], [1, 0]]), np.array([7, 8])
    logits = np.zeros((2, 2), np.float32)
    adapted = adapt_logits(logits, features, known, CONFIG, owners)
    np.testing.assert_allclose(adapted[:, 1], [0, 6])


@pytest.fixture
def three_found(session, world):
    """Subject 1 with things 11 and 12, which look alike, and 21, which does not."""
    world.finds = lambda thing, frame: (11, 12, 21)
    session.click(2, **centre(1, 1))
    run(session.track())
    return session


def categories(session):
    return {o.object_id: o.category for o in session.objects()}


def predicates(session):
    return {r.object_id: r.predicate for r in session.view(5).relations}


def test_other_objects_that_look_alike_are_named_anew(three_found, world):
    before = categories(three_found)
    names = scripted.CONFIG.vocabulary.objects
    assert before == {1: names[1], 2: names[11], 3: names[12], 4: names[21]}
    shown = everything(three_found)
    three_found.rename(2, "cup")
    after = categories(three_found)
    assert after == {**before, 2: "cup", 3: "cup"}
    three_found.undo()
    assert everything(three_found) == shown


def test_a_renamed_object_gives_the_model_its_word_back(three_found):
    before = everything(three_found)
    three_found.rename(2, "cup")
    three_found.rename(2, None)
    assert everything(three_found) == before


def test_a_fixed_predicate_holds_on_its_span_alone(three_found):
    own = predicates(three_found)[2]
    three_found.set_predicate(1, 2, "holding", 4, 6)
    for frame in range(2, 12):
        (relation,) = [r for r in three_found.view(frame).relations if r.object_id == 2]
        inside = 4 <= frame <= 6
        assert relation.fixed == inside
        if inside:
            assert (relation.predicate, relation.confidence) == ("holding", 1.0)
    (held,) = [r for r in three_found.relations() if r.predicate == "holding"]
    assert held.spans == ((4, 6),)
    assert held.fixed
    assert own != "holding"


def test_the_last_word_counts(three_found):
    three_found.set_predicate(1, 2, "holding")
    three_found.set_predicate(1, 2, "kissing", 4, 4)
    three_found.set_predicate(1, 2, None, 8, 9)
    said = {
        t: [r.predicate for r in three_found.view(t).relations if r.object_id == 2]
        for t in (3, 4, 5, 8, 9, 10)
    }
    held, kissed = ["holding"], ["kissing"]
    assert said == {3: held, 4: kissed, 5: held, 8: [], 9: [], 10: held}
    spans = {r.predicate: r.spans for r in three_found.relations() if r.object_id == 2}
    assert spans["kissing"] == ((4, 4),)  # one frame, because a person said so


def test_words_outlast_tracking_anew(three_found):
    three_found.rename(1, "adult")
    three_found.set_predicate(1, 2, "holding", 4, 6)
    three_found.set_predicate(1, 3, None)
    before = everything(three_found)
    run(three_found.track(start=2))
    assert everything(three_found) == before


def test_a_fixed_pair_that_the_model_did_not_see_holds(session, world):
    world.finds = lambda thing, frame: (0, 0, 0)
    session.click(2, **centre(1, 1))
    session.click(2, **centre(11, 1))
    run(session.track())
    assert session.relations() == []
    session.set_predicate(1, 2, "holding", 5, 7)
    (relation,) = session.relations()
    assert (relation.predicate, relation.spans) == ("holding", ((5, 7),))
    assert relation.score == 1.0


def test_the_threshold_drops_what_is_unsure(three_found):
    everyone = three_found.relations()
    assert len(everyone) == 3
    three_found.spans = dataclasses.replace(three_found.spans, min_confidence=1.1)
    assert three_found.relations() == []
    assert three_found.relations(0.0) == everyone  # who asks for less gets it
    assert three_found.relations(1.1) == []
    three_found.set_predicate(1, 2, "holding")
    assert [r.predicate for r in three_found.relations(0.999)] == ["holding"]
