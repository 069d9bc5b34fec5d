"""SCH for models trained from scratch: predicates from features and geometry too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.click2graph.geometry import PAIR, pair_geometry
from c2g_jax.click2graph.sch import SchConfig, pair_confidences
from c2g_jax.from_scratch.sch import (
    FEATURES,
    GEOMETRY,
    POINTERS,
    FromScratchSch,
    sch_config,
)
from c2g_jax.types import InputError

SHAPE = dict(d_model=6, hidden=10, num_objects=4, num_predicates=3)


def test_predicates_are_classified_from_features_too():
    sch = sch_config(**SHAPE, predicate=FEATURES).build(rngs=nnx.Rngs(0))
    assert type(sch) is FromScratchSch
    assert sch.predicate.layers[0].kernel.shape == (4 * 6, 10)
    inputs = tuple(jax.random.normal(jax.random.key(0), (4, 5, 6)))
    subject, obj, subject_pointer, object_pointer = inputs
    pair = jnp.concatenate([subject_pointer, object_pointer, subject, obj], axis=1)
    np.testing.assert_array_equal(sch(*inputs).predicate, sch.predicate(pair))


def test_and_from_how_the_masks_lie_to_each_other():
    sch = sch_config(**SHAPE, predicate=GEOMETRY).build(rngs=nnx.Rngs(0))
    assert sch.predicate.layers[0].kernel.shape == (4 * 6 + PAIR, 10)
    inputs = tuple(jax.random.normal(jax.random.key(0), (4, 5, 6)))
    moments = tuple(jax.random.uniform(jax.random.key(1), (2, 5, 5)))
    subject, obj, subject_pointer, object_pointer = inputs
    pair = [subject_pointer, object_pointer, subject, obj, pair_geometry(*moments)]
    logits = sch(*inputs, *moments)
    expected = sch.predicate(jnp.concatenate(pair, axis=1))
    np.testing.assert_array_equal(logits.predicate, expected)
    # Neither names nor, of the others, predicates depend on it.
    turned = sch(*inputs, *moments[::-1])
    np.testing.assert_array_equal(turned.object, logits.object)
    assert np.abs(turned.predicate - logits.predicate).max() > 1e-3
    plain = sch_config(**SHAPE, predicate=FEATURES).build(rngs=nnx.Rngs(0))
    one, other = plain(*inputs, *moments), plain(*inputs)
    np.testing.assert_array_equal(one.predicate, other.predicate)
    there, back = (pair_confidences(sch, *inputs, *m) for m in (moments, moments[::-1]))
    assert np.abs(there - back).max() > 1e-5


def test_pointers_alone_are_the_papers_module():
    assert sch_config(**SHAPE, predicate=POINTERS) == SchConfig(**SHAPE)


def test_an_unknown_source_of_predicates_is_refused():
    with pytest.raises(
        InputError, match="predicate 'masks': use pointers, features or"
    ):
        sch_config(predicate="masks")
