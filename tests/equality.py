"""Arrays and parameters that are the same to the bit."""

from collections.abc import Mapping

import numpy as np

from c2g_jax.checkpoints.safetensors import parameters


def same_arrays(a: Mapping, b: Mapping) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def same_parameters(a, b) -> bool:
    """Of two models."""
    return same_arrays(parameters(a), parameters(b))
