"""Muon: each step of a matrix is as long in every direction of it as in any other.

By Keller Jordan (https://kellerjordan.github.io/posts/muon): momentum, made orthogonal
by a few Newton-Schulz iterations. `optax.contrib.muon` does the same, every matrix by
itself and all of them on every device; for a small model that is half of a step's
time. Here matrices of one shape are a stack, and devices share it.
"""

import math
from collections import defaultdict
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float

_MOMENTUM = 0.95
# Of the odd polynomial that takes a singular value to the next; the post's.
_A, _B, _C = 3.4445, -4.775, 2.0315
_ITERATIONS = 5  # singular values from a hundredth of the largest end at 0.7 to 1.2


def muon(
    rate: optax.ScalarOrSchedule,
    weight_decay: float,
    mask: Callable,
    cut: NamedSharding | None = None,
) -> optax.GradientTransformation:
    """The optimiser of a tree of matrices [in, out].

    `mask` says which of them decay (optax.add_decayed_weights). `cut` is the sharding
    of an array by its first axis over the devices that share the work; None for one.
    """
    return optax.chain(
        optax.trace(_MOMENTUM, nesterov=True),
        optax.stateless(lambda updates, _: make_orthogonal(updates, cut)),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(rate),
    )


def make_orthogonal(updates, cut: NamedSharding | None = None):
    """The tree with each matrix [m, n] made orthogonal, times sqrt(max(1, n / m))."""
    leaves, tree = jax.tree.flatten(updates)
    by_shape = defaultdict(list)
    for i, leaf in enumerate(leaves):
        by_shape[tuple(sorted(leaf.shape))].append(i)
    for members in by_shape.values():
        wide = [_wide(leaves[i]) for i in members]
        for i, made in zip(members, _share(jnp.stack(wide), cut), strict=True):
            m, n = leaves[i].shape
            leaves[i] = (made.T if m > n else made) * math.sqrt(max(1.0, n / m))
    return jax.tree.unflatten(tree, leaves)


def _wide(matrix: jax.Array) -> jax.Array:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _share(
    stack: Float[Array, "k m n"], cut: NamedSharding | None
) -> Float[Array, "k m n"]:
    """`newton_schulz`, by each device for its part of the stack."""
    if cut is None:
        return newton_schulz(stack)
    count = len(stack)
    missing = -count % cut.mesh.size
    stack = jnp.pad(stack, ((0, missing), (0, 0), (0, 0)))
    made = newton_schulz(jax.lax.with_sharding_constraint(stack, cut))
    everywhere = NamedSharding(cut.mesh, PartitionSpec())
    return jax.lax.with_sharding_constraint(made, everywhere)[:count]


def newton_schulz(stack: Float[Array, "k m n"]) -> Float[Array, "k m n"]:
    """Matrices of m <= n with the same singular vectors, and values near 1.

    A matrix of zeros stays as it is.
    """
    length = jnp.sqrt(jnp.sum(stack**2, axis=(1, 2), keepdims=True))
    x = stack / (length + 1e-8)
    for _ in range(_ITERATIONS):
        square = jnp.einsum("kmi,kni->kmn", x, x)
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x
