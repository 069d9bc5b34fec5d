"""SCH for models trained from scratch: predicates from features too (cf. paper 3.4).

The object pointers of a small SAM2.1 say less about relations than those of one trained
on large data.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from c2g_jax.click2graph.sch import Sch, SchConfig
from c2g_jax.types import InputError

POINTERS, FEATURES = "pointers", "features"


@dataclass(frozen=True)
class FromScratchSchConfig(SchConfig):
    """Shape of a `FromScratchSch`."""

    predicate: str = FEATURES  # its only value: POINTERS is the paper's SCH

    def __post_init__(self):
        if self.predicate != FEATURES:
            raise InputError(
                f"predicate {self.predicate!r}: use {POINTERS} or {FEATURES}"
            )

    def build(self, *, rngs: nnx.Rngs) -> "FromScratchSch":
        """Create the randomly initialised module of this configuration."""
        return FromScratchSch(self, rngs=rngs)


def sch_config(predicate: str = POINTERS, **shape: Any) -> SchConfig:
    """Return the paper's configuration for POINTERS, ours for FEATURES.

    The arguments are the fields of `FromScratchSchConfig`, as in a manifest.
    """
    if predicate == POINTERS:
        return SchConfig(**shape)
    return FromScratchSchConfig(**shape, predicate=predicate)


class FromScratchSch(Sch):
    """Classifies predicates from object pointers and mask-pooled features."""

    pair_size: ClassVar[int] = 4

    def pair(
        self,
        subject_feature: Float[Array, "*n c"],
        object_feature: Float[Array, "*n c"],
        subject_pointer: Float[Array, "*n c"],
        object_pointer: Float[Array, "*n c"],
    ) -> Float[Array, "*n d"]:
        """Return the two object pointers and the two pooled features, concatenated."""
        parts = subject_pointer, object_pointer, subject_feature, object_feature
        return jnp.concatenate(parts, axis=-1)
