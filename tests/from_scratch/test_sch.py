"""SCH for models trained from scratch: predicates from features too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from c2g_jax.click2graph.sch import SchConfig
from c2g_jax.from_scratch.sch import FEATURES, POINTERS, FromScratchSch, sch_config
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


def test_pointers_alone_are_the_papers_module():
    assert sch_config(**SHAPE, predicate=POINTERS) == SchConfig(**SHAPE)


def test_an_unknown_source_of_predicates_is_refused():
    with pytest.raises(InputError, match="predicate 'masks': use pointers or features"):
        sch_config(predicate="masks")
