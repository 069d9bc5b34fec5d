"""What is offered first: rankings computed by hand, and a slow twin of them."""

import numpy as np
import pytest

from c2g_jax.click2graph.prior import (
    Prior,
    PriorWeights,
    count_relations,
    name_indices,
)
from c2g_jax.session.ranking import SHARPEN, NameRanking, check_prior
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("cat", "mat", "dog"), ("sky",), ("on", "under", "by"))
RELATIONS = [("cat", "mat", "under")] * 3 + [("cat", "mat", "by"), ("dog", "cat", "by")]


def prior_of(relations=RELATIONS, vocabulary=VOCABULARY) -> Prior:
    rows = name_indices(relations, vocabulary)
    sizes = len(vocabulary.objects), len(vocabulary.predicates)
    return Prior(vocabulary, count_relations(rows, *sizes))


def test_a_ranking_by_hand():
    ranking = NameRanking(VOCABULARY, prior_of())
    assert ranking.predicates("cat", "mat") == ["under", "by", "on"]
    # Of a pair never seen the subject decides, here with the frequency of all.
    assert ranking.predicates("dog", "sky") == ["by", "under", "on"]
    assert ranking.objects("cat")[0] == "mat"
    assert ranking.objects("dog")[0] == "cat"


def test_of_equally_likely_names_the_recent_ones_come_first():
    recent = ["dog", "sky"]
    ranking = NameRanking(VOCABULARY)
    assert ranking.objects("cat", (), recent) == ["dog", "sky", "cat", "mat"]
    made = [("cat", "mat", "on")]
    assert ranking.objects("cat", made, recent) == ["mat", "dog", "sky", "cat"]
    ranking = NameRanking(VOCABULARY, prior_of())
    assert ranking.objects("dog", (), recent)[:2] == ["cat", "mat"]


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ((("lion", "floor"), ("wall",), ("on", "near")), "object category"),
        ((("cat", "floor"), ("wall",), ("near", "far")), "predicate"),
    ],
)
def test_a_prior_without_a_name_in_common_is_refused(names, missing):
    prior = prior_of([], Vocabulary(*names))
    with pytest.raises(InputError, match=f"the prior has no {missing} in common") as e:
        check_prior(prior, VOCABULARY)
    assert "\n" not in str(e.value)
    with pytest.raises(InputError, match="prior is 7: give a prior"):
        check_prior(7, VOCABULARY)


def test_without_a_prior_it_is_the_order_of_the_vocabulary():
    ranking = NameRanking(VOCABULARY)
    assert ranking.predicates("cat", "mat") == ["on", "under", "by"]
    assert ranking.objects("cat") == list(VOCABULARY.objects)
    assert ranking.predicates(None, None) == ["on", "under", "by"]


def test_what_was_chosen_in_the_session_comes_first():
    made = [("cat", "mat", "on")]
    assert NameRanking(VOCABULARY).predicates("cat", "mat", made)[0] == "on"
    # One choice counts as 4 annotated relations, more than the 3 of "under".
    ranking = NameRanking(VOCABULARY, prior_of())
    assert SHARPEN == 4
    assert ranking.predicates("cat", "mat", made) == ["on", "under", "by"]
    assert ranking.predicates("cat", "mat") == ["under", "by", "on"]  # kept apart
    assert ranking.objects("cat", [("cat", "sky", "on")] * 2)[0] == "sky"


def test_names_that_are_not_known_tell_nothing():
    ranking = NameRanking(VOCABULARY, prior_of())
    assert ranking.predicates("robot", None) == ranking.predicates(None, None)
    assert ranking.predicates(None, None) == ["under", "by", "on"]
    assert ranking.predicates("dog", None)[0] == "by"
    assert ranking.predicates(None, "cat")[0] == "by"
    assert ranking.objects("robot") == ["mat", "cat", "dog", "sky"]


def test_a_prior_of_other_names_helps_with_those_that_both_have():
    other = Vocabulary(("mat", "cat", "lion"), ("floor",), ("near", "under"))
    prior = prior_of([("cat", "mat", "under"), ("lion", "floor", "near")], other)
    ranking = NameRanking(VOCABULARY, prior)
    assert ranking.predicates("cat", "mat") == ["under", "on", "by"]


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_a_slow_twin(seed):
    rng = np.random.default_rng(seed)
    names, words = VOCABULARY.objects, VOCABULARY.predicates

    def draw(count):
        return [
            (str(rng.choice(names)), str(rng.choice(names)), str(rng.choice(words)))
            for _ in range(count)
        ]

    told, made, w = draw(12), draw(2), PriorWeights()
    counted = told + made * SHARPEN
    ours = NameRanking(VOCABULARY, prior_of(told)).predicates("cat", "mat", made)

    def share(of, p):
        return sum(r[2] == p for r in of)

    def likely(p):
        every = (share(counted, p) + 1 / 3) / (len(counted) + 1)
        by_subject = [r for r in counted if r[0] == "cat"]
        by_object = [r for r in counted if r[1] == "mat"]
        pair = [r for r in by_subject if r[1] == "mat"]
        one = (share(by_subject, p) + w.subject * every) / (len(by_subject) + w.subject)
        two = (share(by_object, p) + w.object * every) / (len(by_object) + w.object)
        coarse = w.share * one + (1 - w.share) * two
        return (share(pair, p) + w.pair * coarse) / (len(pair) + w.pair)

    scores = {p: round(likely(p), 12) for p in words}
    assert ours == sorted(words, key=lambda p: -scores[p])
