"""What the pairs of a session are called: the trained head, corrections, and fixes.

Everything follows from the features and pointers of observations, so a new word of a
person changes all labels without a look at the video.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from c2g_jax.click2graph import Click2Graph
from c2g_jax.sch import Sch, SchLogits
from c2g_jax.session.adapt import AdaptConfig, Prototypes, adapt_logits
from c2g_jax.session.state import Observation, SessionState
from c2g_jax.types import SubjectFrame, Triplet

_BATCH = 64  # pairs that are classified at once
_HELD = 50_000  # pairs whose logits are held

Pair = tuple[Observation, Observation]


class Guess(NamedTuple):
    """What one pair is on one frame; `fixed` where a person said the predicate."""

    subject_id: int
    object_id: int
    subject_category: str
    object_category: str
    predicate: str
    confidence: float
    fixed: bool
    subject_score: float  # how likely the categories are
    object_score: float


class _Known(NamedTuple):
    subject: Prototypes
    object: Prototypes
    predicate: Prototypes


@jax.jit
def _classify(sch: Sch, *inputs: jax.Array) -> SchLogits:
    return sch(*inputs)


class Labeller:
    """Names pairs; holds logits of pairs, and nothing of any state."""

    def __init__(self, model: Click2Graph, config: AdaptConfig):
        self.config, self._sch = config, model.sch
        vocabulary = model.config.vocabulary
        self.objects, self.predicates = vocabulary.objects, vocabulary.predicates
        self._logits: dict[Pair, tuple[np.ndarray, ...]] = {}
        self._last: tuple[SessionState | None, _Known | None] = (None, None)

    def guesses(
        self, state: SessionState, frames: Iterable[int]
    ) -> dict[int, list[Guess]]:
        """By frame, the best guess for each pair that is in view, as ids are shown."""
        places, pairs = [], []
        for frame in frames:
            for subject_id, object_id in _shown_pairs(state, frame):
                subject = state.observation(subject_id, frame)
                other = state.observation(object_id, frame)
                fix = _fix(state, subject_id, object_id, frame)
                rejected = fix is not None and fix.predicate is None
                if subject is None or other is None or rejected:
                    continue
                places.append((frame, subject_id, object_id, fix))
                pairs.append((subject, other))
        found: dict[int, list[Guess]] = {}
        if not pairs:
            return found
        owners = np.array([_owner(s, o) for _, s, o, _ in places])
        probabilities = self._probabilities(state, pairs, owners)
        for row, (frame, subject_id, object_id, fix) in enumerate(places):
            p_subject, p_object, p_predicate = (p[row] for p in probabilities)
            names, sure = [], []
            for i, p in ((subject_id, p_subject), (object_id, p_object)):
                said = state.category(i)
                names.append(said or self.objects[int(np.argmax(p))])
                sure.append(1.0 if said else float(p.max()))
            if fix is not None:
                predicate, confidence = fix.predicate, 1.0
            else:
                predicate = self.predicates[int(np.argmax(p_predicate))]
                confidence = sure[0] * sure[1] * float(p_predicate.max())
            found.setdefault(frame, []).append(
                Guess(
                    subject_id,
                    object_id,
                    *names,
                    predicate,
                    confidence,
                    fix is not None,
                    *sure,
                )
            )
        return found

    def subject_frames(
        self,
        state: SessionState,
        frames: Iterable[int],
        guesses: Mapping[int, Sequence[Guess]],
    ) -> dict[int, list[SubjectFrame]]:
        """Guesses in the words of a graph, with the points looked at."""
        nowhere, found = np.zeros((0, 2), np.float32), {}
        for frame in frames:
            note = state.notes.get(frame)
            points = {} if note is None else note.points
            by_subject: dict[int, list[Triplet]] = {i: [] for i in points}
            for guess in guesses.get(frame, ()):
                by_subject.setdefault(guess.subject_id, []).append(
                    Triplet(guess.object_id, *guess[2:6])
                )
            found[frame] = [
                SubjectFrame(frame, i, points.get(i, nowhere), tuple(triplets))
                for i, triplets in by_subject.items()
                if state.alive(i)
            ]
        return found

    def _probabilities(
        self, state: SessionState, pairs: Sequence[Pair], owners: np.ndarray
    ) -> list[np.ndarray]:
        """Adapted probabilities of subject, object, predicate; "none" left out."""
        logits = self._classified(pairs)
        known = self._known(state)
        features = (
            np.stack([s.feature for s, _ in pairs]),
            np.stack([o.feature for _, o in pairs]),
            _joined(pairs),
        )
        adapted = [
            adapt_logits(x, f, k, self.config, owners)
            for x, f, k in zip(logits, features, known, strict=True)
        ]
        sizes = (len(self.objects), len(self.objects), len(self.predicates))
        return [_softmax(x)[:, :size] for x, size in zip(adapted, sizes, strict=True)]

    def _classified(self, pairs: Sequence[Pair]) -> list[np.ndarray]:
        """The head's own logits of pairs, each computed once."""
        if len(self._logits) > _HELD:
            self._logits.clear()
        missing = [p for p in dict.fromkeys(pairs) if p not in self._logits]
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            rows = batch + batch[:1] * (_BATCH - len(batch))
            inputs = (
                np.stack([s.feature for s, _ in rows]),
                np.stack([o.feature for _, o in rows]),
                np.stack([s.pointer for s, _ in rows]),
                np.stack([o.pointer for _, o in rows]),
            )
            logits = jax.device_get(_classify(self._sch, *inputs))
            for row, pair in enumerate(batch):
                self._logits[pair] = tuple(x[row] for x in logits)
        rows = (self._logits[pair] for pair in pairs)
        return [np.stack(column) for column in zip(*rows, strict=True)]

    def _known(self, state: SessionState) -> _Known:
        """The examples that people's words give, found once for each state."""
        if self._last[0] is not state:
            things = [
                (self.objects.index(state.category(i)), found)
                for i, group in state.shown.items()
                if state.category(i) in self.objects
                for found in self._sample(
                    state.observation(i, t) for t in _frames(group)
                )
            ]
            pairs = [
                (self.predicates.index(fix.predicate), pair, _owner(*fix.pair))
                for fix in state.standing_fixes
                if fix.predicate in self.predicates
                for pair in self._sample(_fixed_pairs(state, fix))
            ]
            alone = self._classified([(o, o) for _, o in things]) if things else None
            both = self._classified([p for _, p, _ in pairs]) if pairs else None
            nothing = Prototypes(np.zeros((0, 1)), np.zeros(0, int), np.zeros((0, 1)))
            subject = other = predicate = nothing
            if things:
                features = np.stack([o.feature for _, o in things])
                classes = np.array([c for c, _ in things])
                subject = Prototypes(features, classes, alone[0])
                other = Prototypes(features, classes, alone[1])
            if pairs:
                classes = np.array([c for c, _, _ in pairs])
                joined = _joined([p for _, p, _ in pairs])
                owners = np.array([owner for _, _, owner in pairs])
                predicate = Prototypes(joined, classes, both[2], owners)
            self._last = state, _Known(subject, other, predicate)
        return self._last[1]

    def _sample(self, found: Iterable) -> list:
        """So many of them, evenly over time, that one track does not drown another."""
        found = [x for x in found if x is not None]
        count = min(len(found), self.config.examples)
        return [found[round(k)] for k in np.linspace(0, len(found) - 1, count)]


def certain_frames(
    state: SessionState, guesses: Mapping[int, Sequence[Guess]]
) -> dict[tuple[int, int, str], set[int]]:
    """By (subject, object, predicate) the frames on which a person said so."""
    certain: dict[tuple[int, int, str], set[int]] = {}
    for frame, found in guesses.items():
        for guess in found:
            if guess.fixed:
                key = guess.subject_id, guess.object_id, guess.predicate
                certain.setdefault(key, set()).add(frame)
    return certain


def _shown_pairs(state: SessionState, frame: int) -> list[tuple[int, int]]:
    """Pairs of a frame by the ids shown, those that a person fixed there too."""
    note = state.notes.get(frame)
    pairs = [] if note is None else list(note.pairs)
    pairs = [p for p in pairs if state.alive(p[0]) and state.alive(p[1])]
    shown = [(state.shown_id(s), state.shown_id(o)) for s, o in pairs]
    shown += [
        (fix.subject_id, fix.object_id)
        for fix in state.standing_fixes
        if fix.start <= frame <= fix.stop and fix.predicate is not None
    ]
    return [(s, o) for s, o in dict.fromkeys(shown) if s != o]


def _fix(state: SessionState, subject_id: int, object_id: int, frame: int):
    """The last word on a pair on a frame."""
    for fix in reversed(state.standing_fixes):
        if fix.covers(subject_id, object_id, frame):
            return fix
    return None


def _fixed_pairs(state: SessionState, fix) -> Iterable[Pair]:
    for frame in _frames(state.shown.get(fix.object_id, ())):
        if fix is not _fix(state, fix.subject_id, fix.object_id, frame):
            continue
        subject = state.observation(fix.subject_id, frame)
        other = state.observation(fix.object_id, frame)
        if subject is not None and other is not None:
            yield subject, other


def _owner(subject_id: int, object_id: int) -> int:
    """A number for a pair."""
    return (subject_id << 32) + object_id


def _frames(group) -> list[int]:
    return sorted({t for thing in group for t in thing.observations})


def _joined(pairs: Sequence[Pair]) -> np.ndarray:
    """Pointer pairs [n, 2c], each half of length one so that both count alike."""

    def unit(x: np.ndarray) -> np.ndarray:
        return x / max(float(np.linalg.norm(x)), 1e-6)

    return np.stack(
        [np.concatenate([unit(s.pointer), unit(o.pointer)]) for s, o in pairs]
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
