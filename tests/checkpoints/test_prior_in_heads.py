"""The prior of an SCH travels with its parameters."""

import dataclasses

import numpy as np
import pytest
from flax import nnx

from c2g_jax.checkpoints.heads import heads_of, read_heads, save_heads, with_heads
from c2g_jax.click2graph.prior import Prior, count_relations, read_prior, write_prior
from c2g_jax.types import InputError
from tests.small_click2graph import CONFIG, VOCABULARY, build


@pytest.fixture
def model():
    model = build(0)
    sch = dataclasses.replace(CONFIG.sch, prior=0.5)
    model.config = dataclasses.replace(CONFIG, sch=sch)
    model.sch = sch.build(rngs=nnx.Rngs(0))
    return model


@pytest.fixture
def prior():
    rows = np.array([[0, 1, 1], [0, 1, 1], [2, 3, 0]])
    counts = count_relations(rows, len(VOCABULARY.objects), len(VOCABULARY.predicates))
    return Prior(VOCABULARY, counts)


def test_it_is_saved_and_read(tmp_path, model, prior):
    table = prior.counts.whole_table(prior.weights)
    model.sch.set_prior(table)
    save_heads(heads_of(model), tmp_path / "heads.safetensors")
    found = read_heads(tmp_path / "heads.safetensors")
    assert found.sch.config.prior == 0.5
    np.testing.assert_array_equal(found.sch.prior.bias[...], table)
    assert float(found.sch.prior.scale[...]) == 0.5
    whole = with_heads(model.sam2, found)
    assert whole.config.sch.prior == 0.5


def test_one_of_another_vocabulary_is_refused(tmp_path, prior):
    write_prior(tmp_path / "prior.json", prior)
    other = dataclasses.replace(VOCABULARY, predicates=("on", "under"))
    first = "predicates, name 2: 'holding', not 'under'"
    with pytest.raises(InputError, match=rf"has another vocabulary \({first}\)"):
        read_prior(tmp_path / "prior.json", other)
