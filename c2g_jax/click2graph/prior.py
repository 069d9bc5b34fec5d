"""What annotations alone say of relations: P(predicate | subject, object) of names.

The frequency baseline of Neural Motifs (arXiv 1711.06640, section 3), smoothed. With n
for numbers of annotated relations, and w for `PriorWeights`:

    P(p)        = (n(p) + 1 / number of predicates) / (n + 1)
    P(p | s)    = (n(s, p) + w.subject P(p)) / (n(s) + w.subject), P(p | o) the same
    P(p | s, o) = (n(s, o, p) + w.pair Q) / (n(s, o) + w.pair)
              Q = w.share P(p | s) + (1 - w.share) P(p | o)
    P(o | s)    = (n(s, o) + w.name P(o)) / (n(s) + w.name)

so that a pair that was seen often speaks for itself, and one never seen is judged by
its subject and its object. `c2g_jax.evaluation.prior` chooses the weights, and scores.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.media.outputs import write_text
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary

SCHEMA_VERSION = 1
DIGITS = 12  # decimals to which scores are rounded before they are compared


@dataclass(frozen=True)
class PriorWeights:
    """How far the estimates are smoothed; the first four in numbers of relations.

    pair, subject, object, name: how many relations the coarser estimate counts for, in
    P(p | s, o), P(p | s), P(p | o) and P(o | s).
    share: of the subject in the coarser estimate of a pair; the object has the rest.
    tail: the power of P(p) by which `tail_scores` divides.

    The defaults are those chosen on OpenPVSG's training split.
    """

    pair: float = 2.0
    subject: float = 0.5
    object: float = 0.5
    name: float = 2.0
    share: float = 0.4
    tail: float = 1.0


@dataclass(frozen=True, eq=False)
class RelationCounts:
    """Numbers of annotated relations: int [subjects, objects, predicates]."""

    table: np.ndarray

    @cached_property
    def of_pair(self) -> np.ndarray:
        """n(s, o): [subjects, objects]."""
        return self.table.sum(2)

    @cached_property
    def of_subject(self) -> np.ndarray:
        """n(s, p): [subjects, predicates]."""
        return self.table.sum(1)

    @cached_property
    def of_object(self) -> np.ndarray:
        """n(o, p): [objects, predicates]."""
        return self.table.sum(0)

    def of_predicates(self) -> np.ndarray:
        """P(p): [predicates]."""
        return _share(self.of_subject.sum(0))

    def predicates(self, subjects, objects, weights: PriorWeights) -> np.ndarray:
        """P(p | s, o) of pairs of class indices, int [n] each: [n, predicates]."""
        whole = self.of_predicates()
        subject = _smoothed(self.of_subject[subjects], weights.subject, whole)
        other = _smoothed(self.of_object[objects], weights.object, whole)
        coarse = weights.share * subject + (1 - weights.share) * other
        return _smoothed(self.table[subjects, objects], weights.pair, coarse)

    def whole_table(self, weights: PriorWeights) -> np.ndarray:
        """P(p | s, o) of all pairs of classes: float32 [subjects, objects, predicates].

        For the SCH with `sch.prior`.
        """
        n = len(self.of_pair)
        subjects, objects = np.divmod(np.arange(n * n), n)
        found = self.predicates(subjects, objects, weights)
        return found.reshape(self.table.shape).astype(np.float32)

    def tail_scores(self, subjects, objects, weights: PriorWeights) -> np.ndarray:
        """P(p | s, o) / P(p) ** tail: ranks rare predicates higher; [n, predicates].

        Logit adjustment (arXiv 2007.07314, equation 9). The scores do not sum to 1.
        """
        likely = self.predicates(subjects, objects, weights)
        return likely / self.of_predicates() ** weights.tail

    def objects(self, subjects, weights: PriorWeights) -> np.ndarray:
        """P(o | s) of class indices, int [n]: [n, objects]."""
        whole = _share(self.of_pair.sum(0))
        return _smoothed(self.of_pair[subjects], weights.name, whole)


def _share(counts: np.ndarray) -> np.ndarray:
    """Counts to probabilities; one more count is spread evenly, so that none is 0."""
    return (counts + 1 / len(counts)) / (counts.sum() + 1)


def _smoothed(counts: np.ndarray, weight: float, coarse: np.ndarray) -> np.ndarray:
    return (counts + weight * coarse) / (counts.sum(-1, keepdims=True) + weight)


def count_relations(
    relations: np.ndarray, num_objects: int, num_predicates: int
) -> RelationCounts:
    """Count int [n, 3]: class indices of subject and object, and the predicate's."""
    table = np.zeros((num_objects, num_objects, num_predicates), np.int64)
    np.add.at(table, tuple(np.reshape(relations, (-1, 3)).T), 1)
    return RelationCounts(table)


def name_indices(
    relations: Sequence[tuple[str, str, str]], vocabulary: Vocabulary
) -> np.ndarray:
    """Turn names of subject, object and predicate to indices, int [n, 3].

    Raises InputError for a name that the vocabulary lacks.
    """
    places = [{name: i for i, name in enumerate(vocabulary.objects)}] * 2
    places.append({name: i for i, name in enumerate(vocabulary.predicates)})
    kinds = "object categories", "object categories", "predicates"
    rows = []
    for names in relations:
        for name, known, kind in zip(names, places, kinds, strict=True):
            if name not in known:
                raise InputError(
                    f"{name!r} is not among the {len(known)} {kind} of the vocabulary: "
                    "correct the name, or give the vocabulary that has it"
                )
        rows.append([known[n] for n, known in zip(names, places, strict=True)])
    return np.array(rows, np.int64).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class Prior:
    """Counts of a data set with their vocabulary and weights; `prior.json`.

    origin: what was counted: "sha256" of the annotation file, and "split", "videos",
    "relations", "folds" (of the cross-validation; 0: the weights are the defaults).
    """

    vocabulary: Vocabulary
    counts: RelationCounts
    weights: PriorWeights = PriorWeights()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def predicates(self, subject: str, other: str) -> dict[str, float]:
        """P(predicate | subject, object) by name, the likeliest first."""
        pair = self._indices(subject, other)
        (row,) = self.counts.predicates(*pair, self.weights)
        return _ranked(self.vocabulary.predicates, row)

    def objects(self, subject: str) -> dict[str, float]:
        """P(object | subject) by name, the likeliest first."""
        (row,) = self.counts.objects(*self._indices(subject), self.weights)
        return _ranked(self.vocabulary.objects, row)

    def _indices(self, *names: str) -> list[list[int]]:
        known = self.vocabulary.objects
        for name in names:
            if name not in known:
                raise InputError(
                    f"{name!r} is not an object category of the prior: use one of its "
                    f"{len(known)}"
                )
        return [[known.index(name)] for name in names]

    def to_json(self) -> dict[str, Any]:
        """Return the content of prior.json; counts are [s, o, p, n] where n > 0."""
        table = self.counts.table
        where = np.argwhere(table)
        return {
            "schema_version": SCHEMA_VERSION,
            "origin": dict(self.origin),
            "weights": asdict(self.weights),
            "vocabulary": self.vocabulary.to_json(),
            "counts": np.c_[where, table[tuple(where.T)]].tolist(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Prior":
        """Build from what `to_json` returns. Raises ValueError if it is not that."""
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"its schema_version is not {SCHEMA_VERSION}")
        vocabulary = Vocabulary.from_json(content["vocabulary"])
        weights = {
            f.name: float(content["weights"][f.name]) for f in fields(PriorWeights)
        }
        if not all(0 <= w < math.inf for w in weights.values()) or weights["share"] > 1:
            raise ValueError("its weights are not numbers from 0, share not one to 1")
        size = len(vocabulary.objects), len(vocabulary.predicates)
        rows = np.array(content["counts"] or np.zeros((0, 4), int))
        sizes = (size[0], size[0], size[1])
        if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind != "i":
            raise ValueError("its counts are not rows of four whole numbers")
        if (rows[:, 3] < 1).any():
            raise ValueError("a count is below 1")
        if (rows < 0).any() or (rows[:, :3] >= sizes).any():
            raise ValueError("its counts are of names that its vocabulary lacks")
        table = np.zeros(sizes, np.int64)
        np.add.at(table, tuple(rows[:, :3].T), rows[:, 3])
        origin = dict(content["origin"])
        return cls(vocabulary, RelationCounts(table), PriorWeights(**weights), origin)


def _ranked(names: Sequence[str], row: np.ndarray) -> dict[str, float]:
    """Names with their values, the greatest first; equal ones in the names' order."""
    order = np.argsort(-row.round(DIGITS), kind="stable")
    return {names[i]: float(row[i]) for i in order}


def write_prior(path: str | Path, prior: Prior) -> None:
    """Write prior.json, atomically."""
    content = prior.to_json()
    counts = ",\n  ".join(json.dumps(row) for row in content.pop("counts"))
    head = json.dumps(content, indent=1, ensure_ascii=False).rstrip("\n }")
    write_text(path, f'{head}\n }},\n "counts": [\n  {counts}\n ]\n}}\n')


def read_prior(path: str | Path, vocabulary: Vocabulary | None = None) -> Prior:
    """Read prior.json; InputError if it is not one, or not of this vocabulary."""
    try:
        prior = Prior.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: give a prior.json") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(
            f"{path} is not a prior.json ({reason}): write one with "
            "python -m c2g_jax.prepare --prior"
        ) from error
    if vocabulary is not None and prior.vocabulary != vocabulary:
        first = difference(prior.vocabulary, vocabulary)
        raise InputError(
            f"{path} has another vocabulary ({first}): give a prior of the same "
            f"{len(vocabulary.objects)} categories and {len(vocabulary.predicates)} "
            "predicates, in the same order"
        )
    return prior


def difference(found: Vocabulary, wanted: Vocabulary) -> str:
    """Say which name is the first that differs between two vocabularies."""
    pairs = (
        (kind, number, names)
        for kind in ("things", "stuff", "predicates")
        for number, names in enumerate(
            itertools.zip_longest(getattr(found, kind), getattr(wanted, kind)), 1
        )
    )
    kind, number, names = next(pair for pair in pairs if len(set(pair[2])) > 1)
    there, here = ("nothing" if name is None else repr(name) for name in names)
    return f"{kind}, name {number}: {there}, not {here}"
