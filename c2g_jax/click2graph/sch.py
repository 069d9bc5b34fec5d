"""SCH: what are the subject and the object, and what is between them?

The Semantic Classification Head of Click2Graph (arXiv 2511.15948, 3.4): mask-pooled
features name the two, their object pointers name the predicate, and where asked for the
features with them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from c2g_jax.click2graph.dropout import dropout, split_key
from c2g_jax.sam2.layers import gelu
from c2g_jax.types import InputError

POINTERS, FEATURES = "pointers", "features"


@dataclass(frozen=True)
class SchConfig:
    """What shapes an SCH; the class counts leave out no-object and no-relation."""

    d_model: int = 256
    hidden: int = 512
    num_objects: int = 126
    num_predicates: int = 57
    dropout: float = 0.1
    # What predicates are told from. POINTERS: the two object pointers, as in the paper.
    # FEATURES: the two mask-pooled features as well.
    predicate: str = POINTERS

    def __post_init__(self):
        if self.predicate not in (POINTERS, FEATURES):
            raise InputError(
                f"predicate {self.predicate!r}: use {POINTERS} or {FEATURES}"
            )


class SchLogits(NamedTuple):
    """Class logits; the last class of object and predicate is "none"."""

    subject: jax.Array  # float32 [..., num_objects]
    object: jax.Array  # float32 [..., num_objects + 1]
    predicate: jax.Array  # float32 [..., num_predicates + 1]


class BestTriplet(NamedTuple):
    """The likeliest class of each part, and the product of their probabilities."""

    subject: jax.Array  # int32 [...]
    object: jax.Array  # int32 [...]
    predicate: jax.Array  # int32 [...]
    confidence: jax.Array  # float32 [...]


class Classifier(nnx.Module):
    """An MLP of three layers with exact GELU and dropout between them."""

    def __init__(
        self, inputs: int, hidden: int, classes: int, rate: float, rngs: nnx.Rngs
    ):
        self.dropout = rate
        self.layers = nnx.List(
            nnx.Linear(n, m, rngs=rngs)
            for n, m in ((inputs, hidden), (hidden, hidden), (hidden, classes))
        )

    def __call__(
        self, x: Float[Array, "*n c"], key: jax.Array | None = None
    ) -> Float[Array, "*n k"]:
        first, second, last = self.layers
        keys = split_key(key, 2)
        x = dropout(gelu(first(x.astype(jnp.float32))), self.dropout, keys[0])
        return last(dropout(gelu(second(x)), self.dropout, keys[1]))


class Sch(nnx.Module):
    """Classifies pairs of a subject and an object."""

    def __init__(self, config: SchConfig, *, rngs: nnx.Rngs):
        c, hidden, rate = config.d_model, config.hidden, config.dropout
        self.config = config
        self.subject = Classifier(c, hidden, config.num_objects, rate, rngs)
        self.object = Classifier(c, hidden, config.num_objects + 1, rate, rngs)
        pair = 2 * c if config.predicate == POINTERS else 4 * c
        self.predicate = Classifier(pair, hidden, config.num_predicates + 1, rate, rngs)

    def __call__(
        self,
        subject_feature: Float[Array, "*n c"],
        object_feature: Float[Array, "*n c"],
        subject_pointer: Float[Array, "*n c"],
        object_pointer: Float[Array, "*n c"],
        key: jax.Array | None = None,
    ) -> SchLogits:
        """Logits for n pairs, of mask-pooled features and SAM2's object pointers."""
        keys = split_key(key, 3)
        pair = subject_pointer, object_pointer
        if self.config.predicate == FEATURES:
            pair += subject_feature, object_feature
        pair = jnp.concatenate(pair, axis=-1)
        return SchLogits(
            self.subject(subject_feature, keys[0]),
            self.object(object_feature, keys[1]),
            self.predicate(pair, keys[2]),
        )


def best_triplets(logits: SchLogits) -> BestTriplet:
    """The best triplet of each pair, its confidence p_s * p_o * p_r.

    "None" can not be chosen, but keeps its probability: a pair that looks like no
    relation at all has low confidence, for the rest is not renormalised.
    """
    probabilities = (
        jax.nn.softmax(logits.subject),
        jax.nn.softmax(logits.object)[..., :-1],
        jax.nn.softmax(logits.predicate)[..., :-1],
    )
    subject, obj, predicate = (jnp.argmax(p, axis=-1) for p in probabilities)
    confidence = jnp.prod(jnp.stack([p.max(axis=-1) for p in probabilities]), axis=0)
    return BestTriplet(subject, obj, predicate, confidence)
