"""SCH for models trained from scratch: predicates from more than pointers.

The object pointers of a small SAM2.1 say less about relations than those of one trained
on large data (cf. paper 3.4). So predicates are read off the pooled features as well,
and off how the two masks lie to each other: who holds a cup is at it, who stands by is
not.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from c2g_jax.click2graph.geometry import PAIR, pair_geometry
from c2g_jax.click2graph.sch import Sch, SchConfig
from c2g_jax.types import InputError

POINTERS, FEATURES, GEOMETRY = "pointers", "features", "geometry"


@dataclass(frozen=True)
class FromScratchSchConfig(SchConfig):
    """Shape of a `FromScratchSch`."""

    predicate: str = GEOMETRY  # or FEATURES, without it; POINTERS is the paper's SCH

    def __post_init__(self):
        if self.predicate not in (FEATURES, GEOMETRY):
            names = f"{POINTERS}, {FEATURES} or {GEOMETRY}"
            raise InputError(f"predicate {self.predicate!r}: use {names}")

    @property
    def pair_channels(self) -> int:
        """Length of what `FromScratchSch.pair` returns."""
        return 4 * self.d_model + (PAIR if self.predicate == GEOMETRY else 0)

    def build(self, *, rngs: nnx.Rngs) -> "FromScratchSch":
        """Create the randomly initialised module of this configuration."""
        return FromScratchSch(self, rngs=rngs)


def sch_config(predicate: str = POINTERS, **shape: Any) -> SchConfig:
    """Return the paper's configuration for POINTERS, else ours.

    The arguments are the fields of `FromScratchSchConfig`, as in a manifest.
    """
    if predicate == POINTERS:
        return SchConfig(**shape)
    return FromScratchSchConfig(**shape, predicate=predicate)


class FromScratchSch(Sch):
    """Classifies predicates from pointers and pooled features, and from geometry."""

    def pair(
        self,
        subject_feature: Float[Array, "*n c"],
        object_feature: Float[Array, "*n c"],
        subject_pointer: Float[Array, "*n c"],
        object_pointer: Float[Array, "*n c"],
        subject_moments: Float[Array, "*n 5"] | None = None,
        object_moments: Float[Array, "*n 5"] | None = None,
    ) -> Float[Array, "*n d"]:
        """Return the pointers, the pooled features and the geometry, concatenated.

        The moments may be None where the geometry is not read.
        """
        parts = [subject_pointer, object_pointer, subject_feature, object_feature]
        if self.config.predicate == GEOMETRY:
            parts.append(pair_geometry(subject_moments, object_moments))
        return jnp.concatenate(parts, axis=-1)
