"""Sessions of a SAM2.1 alone: nothing is found, named or related by the model."""

import pytest

from c2g_jax.tracking import loop
from tests.session import scripted
from tests.session.conftest import OTHER, SUBJECT, centre, run


@pytest.fixture
def alone(make_session):
    return make_session(model=scripted.model(trained=False))


def test_only_what_was_prompted_is_tracked(alone, world, monkeypatch):
    def never(*_):
        raise AssertionError("a random DIDM was asked")

    monkeypatch.setattr(loop, "discover_objects", never)
    monkeypatch.setattr("c2g_jax.session.labels._classify", never)
    alone.click(**SUBJECT)
    alone.add_object(1, 4, **centre(11, 1))
    run(alone.track(direction="both"))
    assert alone.guesses == "off"
    assert [(o.object_id, o.category, o.score) for o in alone.objects()] == [
        (1, "unknown", 0.0),
        (2, "unknown", 0.0),
    ]
    assert alone.relations() == []
    graph = alone.graph()
    assert {o.category for o in graph.objects} == {"unknown"}
    assert graph.relations == ()
    assert all(not s.triplets and not len(s.points) for s in graph.frames)
    assert all(view.relations == () for view in map(alone.view, range(12)))


def test_what_a_person_says_is_all_there_is(alone):
    alone.click(**SUBJECT)
    alone.click(2, **OTHER)
    run(alone.track())
    alone.rename(1, "adult")
    alone.set_predicate(1, 2, "holding", 3, 5)
    alone.relate(2, 1, "beside", [(4, 6)])
    assert [(o.category, o.fixed) for o in alone.objects()] == [
        ("adult", True),
        ("unknown", False),
    ]
    found = [(r.subject_id, r.predicate, r.spans, r.fixed) for r in alone.relations()]
    assert sorted(found) == [
        (1, "holding", ((3, 5),), True),
        (2, "beside", ((4, 6),), True),
    ]
    (view,) = (alone.view(4),)
    assert {(r.predicate, r.confidence) for r in view.relations} == {
        ("holding", 1.0),
        ("beside", 1.0),
    }
