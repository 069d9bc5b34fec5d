"""Muon for many small matrices, which devices share.

Muon (Keller Jordan, https://kellerjordan.github.io/posts/muon) orthogonalises the
momentum of each matrix by Newton-Schulz iterations; the iteration here is optax's. Two
things differ from `optax.contrib.muon` (0.2.8): momentum has no bias correction, as in
the post, and matrices of one shape are orthogonalised as one stack, cut over the
devices, where optax has every device work on every matrix. The bias correction changes
updates by up to half of their largest entry in the first steps, by 1e-4 after 100.
"""

import math
from collections import defaultdict
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float
from optax.contrib import MuonDimensionNumbers, scale_by_muon

_MOMENTUM = 0.95
# Without momentum, optax's transformation is the orthogonalisation alone.
_ORTHOGONALIZE = scale_by_muon(
    beta=0.0, nesterov=False, weight_dimension_numbers=MuonDimensionNumbers(1, 2)
)


def muon(
    rate: optax.ScalarOrSchedule,
    weight_decay: float,
    mask: Callable,
    sharding: NamedSharding | None = None,
) -> optax.GradientTransformation:
    """Return the optimizer of a tree of matrices [in, out].

    `mask` says which of them decay (optax.add_decayed_weights). `sharding` cuts the
    first axis of an array over the devices that share the work; None for one device.
    The only state is the momentum and the schedule's count.
    """
    return optax.chain(
        optax.trace(_MOMENTUM, nesterov=True),
        optax.stateless(lambda updates, _: make_orthogonal(updates, sharding)),
        optax.add_decayed_weights(weight_decay, mask),
        optax.scale_by_learning_rate(rate),
    )


def make_orthogonal(updates, sharding: NamedSharding | None = None):
    """Return the tree with each matrix [m, n] orthogonal, times sqrt(max(1, n / m))."""
    leaves, tree = jax.tree.flatten(updates)
    by_shape = defaultdict(list)
    for i, leaf in enumerate(leaves):
        by_shape[tuple(sorted(leaf.shape))].append(i)
    for members in by_shape.values():
        wide = [_wide(leaves[i]) for i in members]
        for i, made in zip(members, _share(jnp.stack(wide), sharding), strict=True):
            m, n = leaves[i].shape
            leaves[i] = (made.T if m > n else made) * math.sqrt(max(1.0, n / m))
    return jax.tree.unflatten(tree, leaves)


def _wide(matrix: jax.Array) -> jax.Array:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _share(
    stack: Float[Array, "k m n"], sharding: NamedSharding | None
) -> Float[Array, "k m n"]:
    """Return `newton_schulz` of the stack, of which each device computes its part."""
    if sharding is None:
        return newton_schulz(stack)
    count, mesh = len(stack), sharding.mesh
    stack = jnp.pad(stack, ((0, -count % mesh.size), (0, 0), (0, 0)))
    made = newton_schulz(jax.lax.with_sharding_constraint(stack, sharding))
    replicated = NamedSharding(mesh, PartitionSpec())
    return jax.lax.with_sharding_constraint(made, replicated)[:count]


def newton_schulz(stack: Float[Array, "k m n"]) -> Float[Array, "k m n"]:
    """Return matrices with the same singular vectors, and singular values near 1.

    After five iterations, values from a hundredth of the largest end at 0.7 to 1.2. A
    matrix of zeros stays zero.
    """
    updates, _ = _ORTHOGONALIZE.update(stack, _ORTHOGONALIZE.init(stack))
    return updates
