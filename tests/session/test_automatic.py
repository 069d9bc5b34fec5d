"""Find everything, and the lists of likely names, in a scripted session."""

import numpy as np
import pytest

from c2g_jax.click2graph.prior import Prior, count_relations
from c2g_jax.media.rle import encode_mask
from c2g_jax.session import automatic
from c2g_jax.tracking.automatic import FoundObject
from c2g_jax.types import AutoRules, InputError
from tests.session.conftest import SUBJECT, everything

MASK = np.zeros((64, 64), bool)
MASK[44:60, 4:20] = True


@pytest.fixture
def find(session, monkeypatch):
    """Scripts what is found, and runs `find_everything`; checks the rules it gets."""

    def run(*masks, rules=None):
        found = [
            FoundObject(i, frame, encode_mask(mask), 0.9)
            for i, (frame, mask) in enumerate(masks, 1)
        ]

        def script(engine, given, advance):
            assert given == (rules or AutoRules())
            advance(12)
            return found

        monkeypatch.setattr(automatic, "find_objects", script)
        told = []
        ids = session.find_everything(rules, told.append)
        assert told == [12]
        return ids

    return run


def test_everything_is_found_in_one_action(session, find):
    before = everything(session)
    other = np.roll(MASK, 30, axis=1)
    ids = find((0, MASK), (5, other), rules=AutoRules(max_subjects=2))
    assert [o.object_id for o in session.objects()] == ids == [1, 2]
    assert all(o.role == "subject" for o in session.objects())
    seen = {o.object_id: o for o in session.view(5).objects}
    assert [p.kind for p in seen[2].prompts] == ["mask"]
    assert session.undo() == "everything found"
    assert everything(session) == before


def test_what_the_session_has_is_not_found_again(session, find):
    session.mask(0, MASK)
    assert find((0, MASK), (0, np.roll(MASK, 30, axis=1))) == [2]
    assert find((0, MASK)) == []


def test_the_likeliest_names_come_first_and_choices_sharpen_them(session):
    names = session.model.config.vocabulary
    session.click(**SUBJECT)
    session.add_object(1, 0, 12, 32)
    session.rename(1, names.objects[0])
    session.rename(2, names.objects[1])
    sizes = len(names.objects), len(names.predicates)
    assert session.likely_predicates(1, 2) == list(names.predicates)
    session.prior = Prior(names, count_relations(np.array([[0, 1, 2]] * 3), *sizes))
    assert session.likely_predicates(1, 2)[0] == names.predicates[2]
    assert session.likely_categories(1)[0] == names.objects[1]
    session.set_predicate(1, 2, names.predicates[1])
    assert session.likely_predicates(1, 2)[:2] == [
        names.predicates[1],
        names.predicates[2],
    ]
    session.undo()
    assert session.likely_predicates(1, 2)[0] == names.predicates[2]
    with pytest.raises(InputError, match="9"):
        session.likely_predicates(1, 9)
