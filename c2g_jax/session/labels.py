"""Classify the pairs of a session: the trained SCH, adapted logits, a person's fixes.

All labels follow from the features, pointers and moments of observations, so that a
correction changes them without the video.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.sch import Sch, SchLogits
from c2g_jax.session.adapt import AdaptConfig, Prototypes, adapt_logits, unit
from c2g_jax.session.pairs import (
    Pair,
    drawn_pairs,
    fixed_pairs,
    frames_of,
    pair_number,
    shown_pairs,
    told_predicates,
)
from c2g_jax.session.session_state import SessionState
from c2g_jax.vocabulary import UNKNOWN

_BATCH = 64  # pairs classified at once, the batch size of the compiled function
_BLOCK = 4096  # pairs whose adapted logits are in memory at once
_HELD = 50_000  # pairs whose logits are cached

# The prototypes of subject, object and predicate, None without corrections.
_Known = tuple[Prototypes | None, Prototypes | None, Prototypes | None]


class PairPrediction(NamedTuple):
    """The label of one pair on one frame; `fixed` if a person set the predicate.

    A category that the model does not guess, or whose name the session's vocabulary
    lacks, is "unknown" with the score 0.
    """

    subject_id: int
    object_id: int
    subject_category: str
    object_category: str
    predicate: str
    confidence: float
    fixed: bool
    subject_score: float  # probabilities of the categories
    object_score: float


@jax.jit
def _classify(sch: Sch, *inputs: jax.Array) -> SchLogits:
    return sch(*inputs)


class Labeller:
    """Classifies pairs; caches logits of pairs, and the last state's prototypes."""

    def __init__(self, model: Click2Graph, config: AdaptConfig):
        self.config, self._sch = config, model.sch
        self.trained = model.config.trained
        vocabulary = model.config.vocabulary
        self.objects, self.predicates = vocabulary.objects, vocabulary.predicates
        self._logits: dict[Pair, tuple[np.ndarray, ...]] = {}
        self._last: tuple[SessionState | None, _Known | None] = (None, None)

    def clear(self) -> None:
        """Empty the caches."""
        self._logits.clear()
        self._last = (None, None)

    def predict(
        self, state: SessionState, frames: Iterable[int]
    ) -> dict[int, list[PairPrediction]]:
        """Return, by frame, the labels of each pair in view, by the ids shown.

        A pair has several labels on a frame only where a person drew several.
        """
        places, pairs = [], []
        for frame in frames:
            for subject_id, object_id in shown_pairs(state, frame):
                subject = state.observation(subject_id, frame)
                other = state.observation(object_id, frame)
                told = told_predicates(state, subject_id, object_id, frame)
                silent = told == () or (told is None and not self.trained)
                if subject is None or other is None or silent:
                    continue
                places.append((frame, subject_id, object_id, told))
                pairs.append((subject, other))
        found: dict[int, list[PairPrediction]] = {}
        for start in range(0, len(pairs), _BLOCK):
            block = places[start : start + _BLOCK]
            rows = [()] * len(block)
            if self.trained:
                owners = np.array([pair_number(s, o) for _, s, o, _ in block])
                own = self._probabilities(state, pairs[start : start + _BLOCK], owners)
                rows = zip(*own, strict=True)
            for (frame, *pair, told), own in zip(block, rows, strict=True):
                found.setdefault(frame, []).extend(
                    self._predictions(state, *pair, told, own)
                )
        return {frame: own for frame, own in found.items() if own}

    def _predictions(
        self,
        state: SessionState,
        subject_id: int,
        object_id: int,
        told: Sequence[str] | None,
        probabilities: Sequence[np.ndarray],
    ) -> list[PairPrediction]:
        """Return the labels of a pair: what a person told, else the most probable ones.

        probabilities: of subject, object and predicate; empty if nothing is guessed.
        """
        names, scores, chance = [], [], 1.0
        guessed = probabilities[:2] if probabilities else (None, None)
        for i, own in zip((subject_id, object_id), guessed, strict=True):
            category, score = state.category(i), 1.0
            if category is None and own is not None:
                category, score = self.objects[int(np.argmax(own))], float(own.max())
                chance *= score
            if not self._known_name(state, category):
                category, score = UNKNOWN, 0.0
            names.append(category)
            scores.append(score)
        pair = subject_id, object_id
        if told is not None:
            return [PairPrediction(*pair, *names, p, 1.0, True, *scores) for p in told]
        predicate = self.predicates[int(np.argmax(probabilities[2]))]
        chance *= float(probabilities[2].max())
        own = state.vocabulary
        if (
            predicate in state.drawn_of.get(pair, {})
            or (*pair, predicate) in state.active_dismissed
            or (own is not None and predicate not in own.predicates)
        ):
            return []
        return [PairPrediction(*pair, *names, predicate, chance, False, *scores)]

    @staticmethod
    def _known_name(state: SessionState, category: str | None) -> bool:
        """Whether a category may be shown: a name of the session's vocabulary."""
        own = state.vocabulary
        return category is not None and (own is None or category in own.objects)

    def _probabilities(
        self, state: SessionState, pairs: Sequence[Pair], owners: np.ndarray
    ) -> list[np.ndarray]:
        """Return adapted probabilities of subject, object, predicate without "none"."""
        logits = self._classified(pairs)
        known = self._known(state)
        features = (
            np.stack([s.feature for s, _ in pairs]),
            np.stack([o.feature for _, o in pairs]),
            _joined(pairs),
        )
        adapted = [
            x if k is None else adapt_logits(x, f, k, self.config, owners)
            for x, f, k in zip(logits, features, known, strict=True)
        ]
        sizes = (len(self.objects), len(self.objects), len(self.predicates))
        return [_softmax(x)[:, :size] for x, size in zip(adapted, sizes, strict=True)]

    def _classified(self, pairs: Sequence[Pair]) -> list[np.ndarray]:
        """Return the SCH's logits of pairs, from the cache if they are there."""
        if len(self._logits) > _HELD:
            self._logits.clear()
        missing = [p for p in dict.fromkeys(pairs) if p not in self._logits]
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            rows = batch + batch[:1] * (_BATCH - len(batch))
            inputs = (
                np.stack([getattr(observation, part) for observation in side])
                for part in ("feature", "pointer", "moments")
                for side in zip(*rows, strict=True)
            )
            logits = jax.device_get(_classify(self._sch, *inputs))
            for row, pair in enumerate(batch):
                self._logits[pair] = tuple(x[row] for x in logits)
        rows = (self._logits[pair] for pair in pairs)
        return [np.stack(column) for column in zip(*rows, strict=True)]

    def _known(self, state: SessionState) -> _Known:
        """Return the prototypes of a state's corrections, computed once per state."""
        if self._last[0] is state:
            return self._last[1]
        objects = [
            (self.objects.index(state.category(i)), found)
            for i, group in state.shown.items()
            if state.category(i) in self.objects
            for found in self._sample(state.observation(i, t) for t in frames_of(group))
        ]
        pairs = [
            (self.predicates.index(fix.predicate), pair, pair_number(*fix.pair))
            for fix in state.active_fixes
            if fix.predicate in self.predicates
            for pair in self._sample(fixed_pairs(state, fix))
        ]
        pairs += [
            (self.predicates.index(predicate), found, pair_number(*pair))
            for pair, drawn in state.drawn_of.items()
            for predicate, spans in drawn.items()
            if predicate in self.predicates
            for found in self._sample(drawn_pairs(state, pair, spans))
        ]
        subject = other = predicate = None
        if objects:
            classes, found = zip(*objects, strict=True)
            features = np.stack([o.feature for o in found])
            as_subject, as_object, _ = self._classified([(o, o) for o in found])
            subject = Prototypes(features, np.array(classes), as_subject)
            other = Prototypes(features, np.array(classes), as_object)
        if pairs:
            classes, found, owners = zip(*pairs, strict=True)
            _, _, logits = self._classified(found)
            predicate = Prototypes(
                _joined(found), np.array(classes), logits, np.array(owners)
            )
        self._last = state, (subject, other, predicate)
        return self._last[1]

    def _sample(self, found: Iterable) -> list:
        """Sample observations evenly over time, so that no long track dominates."""
        found = [x for x in found if x is not None]
        count = min(len(found), self.config.examples)
        return [found[round(k)] for k in np.linspace(0, len(found) - 1, count)]


def _joined(pairs: Sequence[Pair]) -> np.ndarray:
    """Return pointer pairs [n, 2c], each half of unit length."""
    halves = np.array([[s.pointer, o.pointer] for s, o in pairs])
    return unit(halves).reshape(len(pairs), -1)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
