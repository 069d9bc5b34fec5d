"""Adapt the class logits to a person's corrections, with prototypes.

The trained head's logits are the prior. Each corrected example is a prototype of its
class: it raises the logit of that class, enough for the class to win on the example
itself, and less on others the farther their features are. All other logits stay.
"""

from dataclasses import dataclass

import numpy as np

from c2g_jax.click2graph.settings import AdaptConfig


@dataclass(frozen=True, eq=False)
class Prototypes:
    """m >= 1 corrected examples: features [m, c], classes int [m], prior logits [m, k].

    owners, int [m]: the pair that each is an example of. A person who corrects a pair
    on some frames says nothing about its other frames, so an example does not change
    the logits of its own pair.
    """

    features: np.ndarray
    classes: np.ndarray
    logits: np.ndarray
    owners: np.ndarray | None = None


def adapt_logits(
    logits: np.ndarray,
    features: np.ndarray,
    known: Prototypes,
    config: AdaptConfig,
    owners: np.ndarray | None = None,
) -> np.ndarray:
    """Return logits [n, k] adapted by the prototypes; features are [n, c].

    owners, int [n], are the pairs the rows belong to, if the prototypes have owners.
    """
    cosine = unit(features) @ unit(known.features).T  # [n, m]
    weights = np.exp(-(1.0 - np.minimum(cosine, 1.0)) / config.width**2)
    if owners is not None and known.owners is not None:
        weights = weights * (owners[:, None] != known.owners[None])
    rows = np.arange(len(known.classes))
    own, others = known.logits[rows, known.classes], known.logits.copy()
    others[rows, known.classes] = -np.inf
    # 0 where the class leads by the margin anyway.
    needed = np.maximum(others.max(axis=1) - own + config.margin, 0.0)
    boosts = weights * needed
    adapted = logits.copy()
    for name in np.unique(known.classes):
        adapted[:, name] += boosts[:, known.classes == name].max(axis=1)
    return adapted


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors [..., c] at length one; a vector of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-6)
