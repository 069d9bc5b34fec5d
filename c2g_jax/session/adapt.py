"""Corrections that feed back: classes named by a person pull in what looks alike.

The trained head gives the prior, its logits. Each corrected example becomes a prototype
of its class: it adds to the logit of that class, on itself so much that the class wins,
elsewhere the less the further away. Classes that nobody named keep their logits.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AdaptConfig:
    """How corrections feed back.

    width: distance, between unit vectors, at which a prototype has lost most of its
    pull (a Gaussian's sigma). margin: how far above the others a corrected class comes
    on its own example, in logits. examples: frames of a track that count at most.

    The width is the best of 0.08, 0.15 and 0.3 on 12 drawn training videos.
    """

    width: float = 0.08
    margin: float = 2.0
    examples: int = 8


@dataclass(frozen=True, eq=False)
class Prototypes:
    """m corrected examples: features [m, c], classes int [m], prior logits [m, k].

    owners, int [m]: whose example each is. A person who speaks of some of its frames
    has not spoken of the others, so an example pulls all but its owner.
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
    """Logits [n, k] of things with features [n, c], moved by the corrected examples.

    owners, int [n], are those of the things, where the examples have any.
    """
    if not len(known.classes) or not len(logits):
        return logits
    cosine = unit(features) @ unit(known.features).T  # [n, m]
    pull = np.exp(-(1.0 - np.minimum(cosine, 1.0)) / config.width**2)
    if owners is not None and known.owners is not None:
        pull = pull * (owners[:, None] != known.owners[None])
    rows = np.arange(len(known.classes))
    own, others = known.logits[rows, known.classes], known.logits.copy()
    others[rows, known.classes] = -np.inf
    # Nothing where the class leads by more than that anyway.
    needed = np.maximum(others.max(axis=1) - own + config.margin, 0.0)
    boosts = pull * needed
    adapted = logits.copy()
    for name in np.unique(known.classes):
        adapted[:, name] += boosts[:, known.classes == name].max(axis=1)
    return adapted


def unit(vectors: np.ndarray) -> np.ndarray:
    """The directions of vectors [..., c]; of a vector of zeros it is zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(length, 1e-6)
