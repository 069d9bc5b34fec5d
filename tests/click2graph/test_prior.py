"""The prior of relations: counts and probabilities by hand, and its file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from c2g_jax.click2graph.prior import (
    Prior,
    PriorWeights,
    count_relations,
    name_indices,
    read_prior,
    write_prior,
)
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

NAMES = Vocabulary(("cat", "dog"), ("mat",), ("on", "chasing", "near"))
RELATIONS = [("cat", "mat", "on")] * 3 + [("cat", "mat", "near")]
RELATIONS += [("dog", "cat", "chasing")] * 2
WEIGHTS = PriorWeights(pair=2, subject=1, object=1, name=2, share=0.5, tail=1)
CAT, DOG, MAT = range(3)


@pytest.fixture
def prior():
    counts = count_relations(name_indices(RELATIONS, NAMES), 3, 3)
    return Prior(NAMES, counts, WEIGHTS, {"sha256": "0" * 64, "relations": 6})


def test_counts_by_hand(prior):
    want = np.zeros((3, 3, 3), int)
    want[CAT, MAT] = 3, 0, 1
    want[DOG, CAT] = 0, 2, 0
    np.testing.assert_array_equal(prior.counts.table, want)


@pytest.mark.parametrize(
    ("subject", "other", "want"),
    [
        # P(p) = (n(p) + 1/3) / 7 = 10/21, 7/21, 4/21, and of the cat, as of the mat,
        # (n + P(p)) / 5 = 73/105, 7/105, 25/105: (n + 2 of these) / 6.
        (CAT, MAT, (461 / 630, 14 / 630, 155 / 630)),
        # New as a pair: half of the dog's 10/63, 49/63, 4/63, half of the mat's.
        (DOG, MAT, (269 / 630, 266 / 630, 95 / 630)),
        # Neither name was seen in this role: as frequent as predicates are.
        (MAT, DOG, (10 / 21, 7 / 21, 4 / 21)),
    ],
)
def test_predicates_by_hand(prior, subject, other, want):
    (found,) = prior.counts.predicates([subject], [other], WEIGHTS)
    np.testing.assert_allclose(found, want, rtol=1e-12)  # float64, a few roundings


def test_objects_by_hand(prior):
    # P(o) = 7/21, 1/21, 13/21; of the cat's 4 relations all are with the mat.
    (found,) = prior.counts.objects([CAT], WEIGHTS)
    np.testing.assert_allclose(found, (14 / 126, 2 / 126, 110 / 126), rtol=1e-12)


def test_the_tail_is_divided_by_the_frequency(prior):
    (found,) = prior.counts.tail_scores([DOG], [MAT], WEIGHTS)
    want = (269 / 630 * 21 / 10, 266 / 630 * 21 / 7, 95 / 630 * 21 / 4)
    np.testing.assert_allclose(found, want, rtol=1e-12)
    (same,) = prior.counts.tail_scores([DOG], [MAT], replace(WEIGHTS, tail=0))
    np.testing.assert_array_equal(
        same, prior.counts.predicates([DOG], [MAT], WEIGHTS)[0]
    )


def test_share_is_the_subject_s(prior):
    for share, alone in (
        (1, (10 / 63, 49 / 63, 4 / 63)),
        (0, (73 / 105, 7 / 105, 25 / 105)),
    ):
        weights = replace(WEIGHTS, share=share)
        (found,) = prior.counts.predicates([DOG], [MAT], weights)
        np.testing.assert_allclose(found, alone, rtol=1e-12)


def test_probabilities_sum_to_one_for_all_names(prior):
    subjects, others = np.indices((3, 3)).reshape(2, -1)
    rows = prior.counts.predicates(subjects, others, WEIGHTS)
    np.testing.assert_allclose(rows.sum(1), 1, rtol=1e-12)
    assert (rows > 0).all()
    names = prior.counts.objects(np.arange(3), WEIGHTS)
    np.testing.assert_allclose(names.sum(1), 1, rtol=1e-12)


def test_names_are_ranked_and_equal_ones_in_the_order_of_the_vocabulary(prior):
    assert list(prior.predicates("cat", "mat")) == ["on", "near", "chasing"]
    assert prior.predicates("cat", "mat")["on"] == pytest.approx(461 / 630)
    assert list(prior.objects("cat")) == ["mat", "cat", "dog"]
    empty = Prior(NAMES, count_relations(np.zeros((0, 3), int), 3, 3), WEIGHTS)
    assert list(empty.predicates("dog", "mat")) == list(NAMES.predicates)
    with pytest.raises(InputError, match="'cow' is not an object category"):
        prior.predicates("cat", "cow")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("cow", "mat", "on"), "'cow' is not among the 3 object categories"),
        (("cat", "cow", "on"), "'cow' is not among the 3 object categories"),
        (("cat", "mat", "under"), "'under' is not among the 3 predicates"),
    ],
)
def test_names_outside_the_vocabulary_are_refused(names, says):
    with pytest.raises(InputError, match=says):
        name_indices([names], NAMES)


def test_no_relation_is_no_row():
    assert name_indices([], NAMES).shape == (0, 3)


def test_the_file_has_everything(prior, tmp_path):
    path = tmp_path / "prior.json"
    write_prior(path, prior)
    content = json.loads(path.read_text())
    assert content["counts"] == [[0, 2, 0, 3], [0, 2, 2, 1], [1, 0, 1, 2]]
    assert content["vocabulary"] == NAMES.to_json()
    assert content["origin"]["sha256"] == "0" * 64
    again = read_prior(path, NAMES)
    assert (again.vocabulary, again.weights) == (NAMES, WEIGHTS)
    assert again.origin == prior.origin
    np.testing.assert_array_equal(again.counts.table, prior.counts.table)
    with pytest.raises(
        InputError, match=r"another vocabulary \(things, name 1: 'cat', not 'adult'\)"
    ):
        read_prior(path, load_vocabulary())


def test_an_empty_prior_is_written_and_read(tmp_path):
    empty = Prior(NAMES, count_relations(np.zeros((0, 3), int), 3, 3))
    write_prior(tmp_path / "prior.json", empty)
    assert not read_prior(tmp_path / "prior.json").counts.table.any()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 2}, "schema_version is not 1"),
        ({"weights": {}}, "no 'pair'"),
        ({"weights": {**vars(WEIGHTS), "share": 2}}, "share not one to 1"),
        ({"weights": {**vars(WEIGHTS), "pair": float("nan")}}, "not numbers from 0"),
        ({"counts": [[0, 3, 0, 1]]}, "names that its vocabulary lacks"),
        ({"counts": [[0, 1, 0, -1]]}, "a count is below 1"),
        ({"counts": [[0, 1, 0]]}, "rows of four"),
        ({"counts": [[0, 1, 0, 0.5]]}, "rows of four"),
        ({"counts": [[0, 1, 0, 1], [0]]}, "not a prior.json"),
        ({"vocabulary": {"thing": []}}, "no 'stuff'"),
        ({"vocabulary": None}, "not a prior.json"),
        ({"origin": 3}, "not a prior.json"),
    ],
)  # fmt: skip
def test_other_files_are_refused(prior, tmp_path, change, says):
    path = tmp_path / "prior.json"
    path.write_text(json.dumps(prior.to_json() | change))
    with pytest.raises(InputError, match=says) as error:
        read_prior(path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "{", "[" * 100_000])
def test_what_is_no_prior_is_refused(tmp_path, text):
    path = tmp_path / "prior.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not a prior"):
        read_prior(path)
    with pytest.raises(InputError, match="No such file"):
        read_prior(tmp_path / "none.json")
