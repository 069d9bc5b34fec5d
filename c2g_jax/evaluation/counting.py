"""The ways in which recall is counted, and the order of equal scores.

Each table names what is counted, and the predicates of a pair. *Counted by*: the frame
(a unit is a relation on a frame), the tube (a relation of a subject is hit on a share
of its frames) or the whole relation (PVSG's own metric). *Predicates*: one a pair, the
surest of its frame, which is called graph constraint elsewhere; or all, ranked
together. docs/results.md has an example.

Wherever predictions are ranked, those of equal scores come in the order of the
subject's id, of the object's id, and of the predicate in the vocabulary.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from c2g_jax.evaluation.protocol import Protocol

FRAME, TUBE, WHOLE = "frame", "tube", "whole relation"
ONE, ALL = "one", "all"
COLUMNS = ("counted by", "predicates")
# The four ways in which all subjects of a video are scored together.
WAYS = tuple((by, some) for by in (FRAME, WHOLE) for some in (ONE, ALL))
LEGEND = (
    "Counted by: the frame (a unit is a relation on a frame), the tube (a relation of "
    "a subject, hit on a share of its frames) or the whole relation (PVSG's metric). "
    "Predicates: one a pair, the surest on its frame (graph constraint), or all, "
    "ranked together. Equal scores are ranked by the ids of subject and object, then "
    "by the predicate's place in the vocabulary."
)


def predicates_counted(protocol: Protocol) -> str:
    """Return ONE or ALL: how many predicates of a pair R@K ranks."""
    return ALL if protocol.multi_predicate else ONE


def way_name(by: str, predicates: str) -> str:
    """Return the name of a way in results.json, as in "R@20 (frame, one)"."""
    return f"{by}, {predicates}"


def ranking(
    confidence: np.ndarray, objects: np.ndarray, predicates: np.ndarray
) -> np.ndarray:
    """Return the order of n predictions for one subject, int [n], the surest first."""
    return np.lexsort((predicates, objects, -np.asarray(confidence, float)))


def place(score: float, subject: Hashable, other: Hashable, predicate: int) -> tuple:
    """Return the key by which the predictions of several subjects are sorted."""
    return -score, _sortable(subject), _sortable(other), predicate


def _sortable(track: Hashable) -> Any:
    """A track's key; None, in the place of an id, comes first."""
    if isinstance(track, Sequence) and not isinstance(track, str):
        return tuple(map(_sortable, track))
    return -1 if track is None else track
