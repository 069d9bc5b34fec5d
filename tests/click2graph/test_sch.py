"""SCH: its size, a literal twin, and the confidence of a triplet by hand."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.click2graph.didm import Didm, DidmConfig
from c2g_jax.click2graph.prior import Prior, count_relations, name_indices
from c2g_jax.click2graph.sch import Sch, SchConfig, SchLogits, best_triplets
from c2g_jax.vocabulary import Vocabulary

CONFIG = SchConfig(d_model=6, hidden=10, num_objects=4, num_predicates=3)


@pytest.fixture(scope="module")
def sch() -> Sch:
    return Sch(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def inputs() -> tuple[jax.Array, ...]:
    return tuple(jax.random.normal(jax.random.key(0), (4, 5, 6)))


def count(build) -> int:
    return sum(x.size for x in jax.tree.leaves(nnx.state(nnx.eval_shape(build))))


def test_parameters_by_hand():
    def mlp(inputs, classes):
        return (inputs * 512 + 512) + (512 * 512 + 512) + (512 * classes + classes)

    assert mlp(256, 126) == 458_878
    assert mlp(256, 127) == 459_391
    assert mlp(512, 58) == 555_066
    own = count(lambda: Sch(SchConfig(), rngs=nnx.Rngs(0)))
    assert own == 458_878 + 459_391 + 555_066
    # The count derived for the paper's sizes has an objectness head of 257 more,
    # one linear map from 256 to 1, which DIDM does without.
    both = own + count(lambda: Didm(DidmConfig(), rngs=nnx.Rngs(0)))
    assert both == 4_833_338 - (256 + 1) == 4_833_081


def test_equals_a_literal_twin(sch, inputs):
    def gelu(x):
        return np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)

    def mlp(classifier, x):
        for i, layer in enumerate(classifier.layers):
            x = x @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])
            x = gelu(x) if i < 2 else x
        return x

    subject, obj, subject_pointer, object_pointer = (np.asarray(x) for x in inputs)
    out = sch(*inputs)
    assert [x.shape for x in out] == [(5, 4), (5, 5), (5, 4)]
    np.testing.assert_allclose(out.subject, mlp(sch.subject, subject), atol=1e-5)
    np.testing.assert_allclose(out.object, mlp(sch.object, obj), atol=1e-5)
    pair = np.concatenate([subject_pointer, object_pointer], axis=1)
    np.testing.assert_allclose(out.predicate, mlp(sch.predicate, pair), atol=1e-5)


def test_predicates_have_a_direction(sch, inputs):
    a, b, one, other = inputs
    forth, back = sch(a, b, one, other), sch(a, b, other, one)
    assert np.abs(forth.predicate - back.predicate).max() > 1e-3
    np.testing.assert_array_equal(forth.object, back.object)


def test_confidence_by_hand():
    log = np.log
    logits = SchLogits(
        subject=jnp.asarray(log([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])),
        # The second object is most likely none at all: the best name stays, with
        # its own probability.
        object=jnp.asarray(log([[0.7, 0.1, 0.1, 0.1], [0.05, 0.1, 0.05, 0.8]])),
        predicate=jnp.asarray(log([[0.6, 0.3, 0.1], [0.2, 0.4, 0.4]])),
    )
    best = best_triplets(logits)
    assert best.subject.tolist() == [1, 2]
    assert best.object.tolist() == [0, 1]
    assert best.predicate.tolist() == [0, 1]
    expected = [0.5 * 0.7 * 0.6, 0.8 * 0.1 * 0.4]
    np.testing.assert_allclose(best.confidence, expected, rtol=1e-5)


def test_dropout_and_gradients(sch, inputs):
    plain = sch(*inputs)
    dropped = sch(*inputs, key=jax.random.key(0))
    again = sch(*inputs, key=jax.random.key(0))
    for a, b, c in zip(plain, dropped, again, strict=True):
        np.testing.assert_array_equal(b, c)
        assert np.abs(a - b).max() > 1e-4

    def loss(sch):
        return sum(jnp.sum(jax.nn.log_softmax(x)[..., 0]) for x in sch(*inputs))

    grads = jax.tree.leaves(jax.grad(loss)(sch))
    assert len(grads) == 3 * 3 * 2
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in grads)


def with_prior(table) -> tuple[Sch, Sch]:
    """An SCH with a prior of weight 0.7, and the same without."""
    config = dataclasses.replace(CONFIG, prior=0.7)
    told, plain = Sch(config, rngs=nnx.Rngs(0)), Sch(CONFIG, rngs=nnx.Rngs(0))
    told.set_prior(table)
    return told, plain


def test_the_prior_by_hand(inputs):
    table = np.random.default_rng(1).dirichlet(np.ones(3), (4, 4))
    told, plain = with_prior(table)
    ours, before = told(*inputs), plain(*inputs)
    np.testing.assert_array_equal(ours.subject, before.subject)
    np.testing.assert_array_equal(ours.object, before.object)
    for pair in range(5):
        one = jax.nn.softmax(before.subject[pair])
        two = jax.nn.softmax(before.object[pair, :4])
        expected = [
            sum(
                float(one[s] * two[o]) * table[s, o, p]
                for s in range(4)
                for o in range(4)
            )
            for p in range(3)
        ]
        added = np.append(0.7 * np.log(expected), 0.0)  # nothing for "none"
        np.testing.assert_allclose(
            ours.predicate[pair], before.predicate[pair] + added, atol=1e-5
        )


def test_the_prior_s_table_stays_and_its_weight_trains(inputs):
    told, _ = with_prior(np.random.default_rng(1).dirichlet(np.ones(3), (4, 4)))

    def loss(sch):
        return jax.nn.log_softmax(sch(*inputs).predicate)[:, 0].sum()

    slopes = parameters(nnx.grad(loss)(told))
    assert not np.asarray(slopes["prior.bias"]).any()
    assert np.asarray(slopes["prior.scale"]) != 0
    # No gradient reaches the names through it.
    assert not np.asarray(slopes["subject.layers.2.kernel"]).any()
    assert not np.asarray(slopes["object.layers.2.kernel"]).any()


def test_names_that_are_sure_get_the_prior_of_the_pair():
    vocabulary = Vocabulary(("cat", "mat", "dog"), ("sky",), ("on", "under", "by"))
    relations = [("cat", "mat", "on")] * 3 + [("dog", "mat", "by")]
    rows = name_indices(relations, vocabulary)
    prior = Prior(vocabulary, count_relations(rows, 4, 3))
    table = prior.counts.whole_table(prior.weights)
    for subject, other in (("cat", "mat"), ("dog", "sky")):
        likely = prior.predicates(subject, other)
        place = [vocabulary.objects.index(name) for name in (subject, other)]
        for name, value in likely.items():
            number = vocabulary.predicates.index(name)
            assert table[*place, number] == pytest.approx(value, rel=1e-6)
    told, _ = with_prior(table)
    sure = (
        jnp.where(jnp.arange(4) == 0, 60.0, 0.0),
        jnp.where(jnp.arange(5) == 1, 60.0, 0.0),
    )
    added = told.prior(*sure)
    assert int(added[:3].argmax()) == vocabulary.predicates.index("on")
    np.testing.assert_allclose(added[:3], 0.7 * np.log(table[0, 1]), rtol=1e-4)
