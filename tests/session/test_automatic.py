"""Find everything, and the lists of likely names, in a scripted session."""

import contextlib

import numpy as np
import pytest

import c2g_jax
from c2g_jax.click2graph.prior import Prior, count_relations, write_prior
from c2g_jax.media.rle import encode_mask
from c2g_jax.session import automatic
from c2g_jax.tracking.automatic import FoundObject
from c2g_jax.types import AutoRules, InputError
from c2g_jax.vocabulary import Vocabulary
from tests.session import scripted
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

        def script(engine, given):
            assert given == (rules or AutoRules())
            yield 12
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
    before = everything(session)
    assert find((0, MASK)) == []
    assert everything(session) == before
    assert session.undo() == "everything found"  # not an action that found nothing


@pytest.fixture
def steps(monkeypatch):
    """Scripts two frames, then two objects; yields after each."""

    def script(engine, rules):
        yield 1
        yield 1
        other = np.roll(MASK, 30, axis=1)
        return [
            FoundObject(i, 0, encode_mask(m), 1) for i, m in ((1, MASK), (2, other))
        ]

    monkeypatch.setattr(automatic, "find_objects", script)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
@pytest.mark.parametrize("end", ["cancel", "close"])
def test_finding_that_ends_early_changes_nothing(session, steps, after, end):
    session.click(**SUBJECT)
    before = everything(session)
    finding = session.finding()
    told = [next(finding) for _ in range(after)]
    assert [(u.done, u.total) for u in told][:2] == [(1, 12), (2, 12)][:after]
    assert not session.can_undo
    with pytest.raises(InputError, match="everything is being found: cancel that"):
        session.click(**SUBJECT)
    if end == "cancel":
        session.cancel()
        assert list(finding) == []
    else:
        finding.close()
    assert everything(session) == before
    assert session.undo().startswith("point for a new subject")


def test_an_error_while_finding_changes_nothing(session, monkeypatch):
    def script(engine, rules):
        yield 1
        raise InputError("the file is damaged")

    monkeypatch.setattr(automatic, "find_objects", script)
    session.click(**SUBJECT)
    before = everything(session)
    with pytest.raises(InputError, match="damaged"):
        session.find_everything()
    assert everything(session) == before
    session.click(**SUBJECT)  # it may be changed again


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


def test_a_session_is_opened_with_a_prior(make_session, world, tmp_path):
    names = scripted.CONFIG.vocabulary
    sizes = len(names.objects), len(names.predicates)
    prior = Prior(names, count_relations(np.array([[0, 1, 2]] * 3), *sizes))
    write_prior(tmp_path / "prior.json", prior)
    session = make_session(prior=tmp_path / "prior.json")
    session.click(**SUBJECT)
    session.rename(1, names.objects[0])
    assert session.likely_categories(1)[0] == names.objects[1]
    other = Prior(Vocabulary(("lion",), (), names.predicates), prior.counts)
    with pytest.raises(InputError, match="no object category in common"):
        make_session(prior=other)
    with pytest.raises(InputError, match=r"no\.json: No such file"):
        make_session(prior=tmp_path / "no.json")

    # A session with names of its own takes a prior of these.
    session.set_vocabulary(Vocabulary((names.objects[0], "lion"), (), names.predicates))
    session.save(tmp_path / "own.c2g")
    video, model = scripted.video(), scripted.model()
    options = dict(model=model, prior=other)
    with contextlib.closing(
        c2g_jax.open_session(tmp_path / "own.c2g", video, **options)
    ) as opened:
        assert opened.prior is other
