import numpy as np
import pytest

from c2g_jax.session.simulate import (
    TrueSpan,
    Truth,
    match_tracks,
    simulate,
    untouched,
    wrong_labels,
)
from tests.session import scripted
from tests.session.conftest import run


@pytest.fixture
def truth(session, world):
    """Thing 1 with 11 and 12, both of them cups, and with 21."""
    world.finds = lambda thing, frame: (11, 12, 21)
    segments = np.zeros((scripted.FRAMES, 64, 64), np.uint8)
    for t, frame in enumerate(segments):
        for thing in (1, 11, 12, 21):
            frame[np.kron(world.mask(thing, t), np.ones((4, 4), bool)) > 0] = thing
    names = session._labeller.objects
    categories = {1: names[1], 11: "cup", 12: "cup", 21: names[21]}
    predicates = session._labeller.predicates
    spans = [TrueSpan(1, i, predicates[i], 0, 11) for i in (11, 12, 21)]
    return Truth.of(segments, categories, spans)


def test_one_correction_mends_what_looks_alike(session, truth):
    outcomes = simulate(session, truth, counts=(0, 1, 2))
    assert [o.corrections for o in outcomes] == [0, 1, 2]
    # The third relation is right from the start, the two cups after one word.
    assert [o.recall for o in outcomes] == pytest.approx([1 / 3, 1, 1])
    assert [untouched(o, truth) for o in outcomes] == pytest.approx([1 / 3, 1, 1])
    assert outcomes[1].touched == {"cup"}
    assert session.undo().endswith("is cup")
    assert wrong_labels(session, truth)


def test_predicates_are_corrected_on_their_span(session, truth):
    spans = (TrueSpan(1, 21, "kissing", 3, 8),)
    truth = Truth(truth.categories, truth.masks, spans)
    before, after = simulate(session, truth, counts=(0, 1))
    assert (before.recall, after.recall) == (0, 1)
    assert untouched(before, truth) == 0
    assert untouched(after, truth) is None
    (fixed,) = [r for r in session.relations() if r.fixed]
    assert (fixed.predicate, fixed.spans) == ("kissing", ((3, 8),))


def test_tracks_are_matched_by_their_masks(session, truth):
    session.click(0, 12, 12)
    run(session.track(stop=0))
    # A twelfth of the frames is no match.
    assert match_tracks(session, truth) == {}
    run(session.track())
    assert match_tracks(session, truth) == {1: 1, 2: 11, 3: 12, 4: 21}
