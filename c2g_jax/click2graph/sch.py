"""Semantic Classification Head (paper 3.4).

Mask-pooled features give the classes of the subject s_i and the object o_ij; the pair
of their SAM2 object pointers gives the predicate r_ij.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from c2g_jax.click2graph.dropout import dropout, split_key
from c2g_jax.click2graph.settings import NEUTRAL
from c2g_jax.sam2.layers import gelu


@dataclass(frozen=True)
class SchConfig:
    """Shape of an SCH. Class counts exclude "none" (no object, no relation)."""

    d_model: int = 256
    hidden: int = 512
    num_objects: int = 126
    num_predicates: int = 57
    dropout: float = 0.1
    # Initial weight of what annotations say of the named pair (`PairPrior`); 0: none,
    # as in the paper.
    prior: float = 0.0

    @property
    def pair_channels(self) -> int:
        """Length of what `Sch.pair` returns."""
        return 2 * self.d_model

    def build(self, *, rngs: nnx.Rngs) -> "Sch":
        """Create the randomly initialised module of this configuration."""
        return Sch(self, rngs=rngs)


class SchLogits(NamedTuple):
    """Class logits; the last class of object and predicate is "none"."""

    subject: jax.Array  # float32 [..., num_objects]
    object: jax.Array  # float32 [..., num_objects + 1]
    predicate: jax.Array  # float32 [..., num_predicates + 1]


class BestTriplet(NamedTuple):
    """Most likely class of each part, and the product of their probabilities."""

    subject: jax.Array  # int32 [...]
    object: jax.Array  # int32 [...]
    predicate: jax.Array  # int32 [...]
    confidence: jax.Array  # float32 [...]


class Classifier(nnx.Module):
    """Three-layer MLP with exact GELU and dropout after the hidden layers."""

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


class PairPrior(nnx.Module):
    """Adds to the predicates' logits what annotations say of the names of a pair.

    scale * log E[P(p | s, o)] under the head's own probabilities of the names, without
    gradient through them; 0 for "none". P is a fixed table, filled by `set_prior`. It
    is named `bias` because biases have no weight decay. The scale is learned. This is
    the frequency bias of Neural Motifs (arXiv 1711.06640, equation 6), with P of
    `click2graph.prior`.
    """

    def __init__(self, config: SchConfig):
        n, p = config.num_objects, config.num_predicates
        self.bias = nnx.Param(jnp.full((n, n, p), 1 / p, jnp.float32))  # P, even
        self.scale = nnx.Param(jnp.float32(config.prior))

    def __call__(
        self, subject: Float[Array, "*n s"], other: Float[Array, "*n o"]
    ) -> Float[Array, "*n p"]:
        """Return what is added to the logits of predicates, and of "none" last.

        `subject` and `other` are the logits of the names, those of "none" included.
        """
        names = jax.nn.softmax(subject), jax.nn.softmax(other[..., :-1])
        table = jax.lax.stop_gradient(self.bias[...])
        expected = jnp.einsum("...s,sop,...o->...p", names[0], table, names[1])
        added = self.scale[...] * jnp.log(jax.lax.stop_gradient(expected))
        return jnp.concatenate([added, jnp.zeros_like(added[..., :1])], axis=-1)


class Sch(nnx.Module):
    """Classifies the subject, the object and the predicate of pairs."""

    def __init__(self, config: SchConfig, *, rngs: nnx.Rngs):
        c, hidden, rate = config.d_model, config.hidden, config.dropout
        self.config = config
        # What the logits of subject, object and predicate are divided by: one of the
        # settings of a trained checkpoint.
        self.temperature = NEUTRAL
        self.subject = Classifier(c, hidden, config.num_objects, rate, rngs)
        self.object = Classifier(c, hidden, config.num_objects + 1, rate, rngs)
        self.predicate = Classifier(
            config.pair_channels, hidden, config.num_predicates + 1, rate, rngs
        )
        if config.prior:
            self.prior = PairPrior(config)

    def __call__(
        self,
        subject_feature: Float[Array, "*n c"],
        object_feature: Float[Array, "*n c"],
        subject_pointer: Float[Array, "*n c"],
        object_pointer: Float[Array, "*n c"],
        subject_moments: Float[Array, "*n 5"] | None = None,
        object_moments: Float[Array, "*n 5"] | None = None,
        key: jax.Array | None = None,
    ) -> SchLogits:
        """Return the logits of n pairs, from mask-pooled features and object pointers.

        The moments, of `mask_moments`, are for heads that read them; the paper's does
        not. Dropout is applied only with a `key`.
        """
        keys = split_key(key, 3)
        pair = self.pair(
            subject_feature,
            object_feature,
            subject_pointer,
            object_pointer,
            subject_moments,
            object_moments,
        )
        logits = SchLogits(
            self.subject(subject_feature, keys[0]),
            self.object(object_feature, keys[1]),
            self.predicate(pair, keys[2]),
        )
        if self.config.prior:
            told = self.prior(logits.subject, logits.object)
            logits = logits._replace(predicate=logits.predicate + told)
        if self.temperature == NEUTRAL:
            return logits
        pairs = zip(logits, self.temperature, strict=True)
        return SchLogits(*(x / t for x, t in pairs))

    def set_prior(self, likely: np.ndarray) -> None:
        """Set P(p | s, o), float [subjects, objects, predicates], of a config.prior."""
        self.prior.bias = nnx.Param(jnp.asarray(likely, jnp.float32))

    def pair(
        self,
        subject_feature: Float[Array, "*n c"],
        object_feature: Float[Array, "*n c"],
        subject_pointer: Float[Array, "*n c"],
        object_pointer: Float[Array, "*n c"],
        subject_moments: Float[Array, "*n 5"] | None = None,
        object_moments: Float[Array, "*n 5"] | None = None,
    ) -> Float[Array, "*n d"]:
        """Return the pair representation: the two object pointers, concatenated."""
        del subject_feature, object_feature, subject_moments, object_moments
        return jnp.concatenate([subject_pointer, object_pointer], axis=-1)


def best_triplets(logits: SchLogits) -> BestTriplet:
    """Return the best triplet of each pair and its confidence p_s * p_o * p_r.

    "None" is never chosen but keeps its probability: the other classes are not
    renormalised, so a pair without a relation has a low confidence.
    """
    probabilities = (
        jax.nn.softmax(logits.subject),
        jax.nn.softmax(logits.object)[..., :-1],
        jax.nn.softmax(logits.predicate)[..., :-1],
    )
    subject, obj, predicate = (jnp.argmax(p, axis=-1) for p in probabilities)
    confidence = jnp.prod(jnp.stack([p.max(axis=-1) for p in probabilities]), axis=0)
    return BestTriplet(subject, obj, predicate, confidence)


@jax.jit
def pair_confidences(sch: Sch, *pairs: jax.Array) -> Float[Array, "n p"]:
    """Return for all predicates what `best_triplets` gives for the best one.

    `pairs` are the arguments of `Sch.__call__`, without its key.
    """
    logits = sch(*pairs)
    subject = jax.nn.softmax(logits.subject).max(axis=-1, keepdims=True)
    other = jax.nn.softmax(logits.object)[..., :-1].max(axis=-1, keepdims=True)
    return subject * other * jax.nn.softmax(logits.predicate)[..., :-1]
