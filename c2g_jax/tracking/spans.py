"""From guesses on single frames to the spans in which something holds."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from c2g_jax.types import InputError, real


@dataclass(frozen=True)
class SpanConfig:
    """How guesses become spans; lengths count sampled frames.

    max_gap: a span runs across this many frames without the relation.
    min_length: shorter spans are dropped (in a shorter video: its own length).
    min_confidence: guesses below it do not count.
    start_confidence: a span needs one guess at least that reaches it; where it lies
    above min_confidence, weaker guesses carry a span on but do not begin one.

    The defaults are the best on 24 training videos of the drawn world, by
    `benchmarks.spans`: F1 of spans 0.31, where all that is said for 2 frames has 0.12.
    """

    max_gap: int = 2
    min_length: int = 5
    min_confidence: float = 0.3
    start_confidence: float = 0.5

    def at_least(self, threshold: float | None) -> "SpanConfig":
        """The same by guesses as sure as `threshold`; None changes nothing.

        Below min_confidence any guess that counts begins a span too: who asks for what
        is unsure sees all of it.
        """
        if threshold is None:
            return self
        threshold = real(threshold, "threshold")
        if math.isnan(threshold):
            raise InputError("threshold is nan: give a number")
        asked = threshold < self.min_confidence
        start = threshold if asked else self.start_confidence
        return replace(self, min_confidence=threshold, start_confidence=start)


def merge_spans(
    frames: Iterable[int], max_gap: int = 0, min_length: int = 1
) -> tuple[tuple[int, int], ...]:
    """Frame numbers in any order as ascending inclusive spans (first, last)."""
    frames = np.unique(np.fromiter(frames, np.int64))
    if not len(frames):
        return ()
    breaks = np.flatnonzero(np.diff(frames) > max_gap + 1)
    firsts = frames[np.concatenate(([0], breaks + 1))].tolist()
    lasts = frames[np.concatenate((breaks, [len(frames) - 1]))].tolist()
    spans = zip(firsts, lasts, strict=True)
    return tuple((a, b) for a, b in spans if b - a + 1 >= min_length)


def frames_of(spans: Iterable[tuple[int, int]]) -> set[int]:
    """All frames of inclusive spans."""
    return {t for first, last in spans for t in range(first, last + 1)}


def held_spans(
    confidences: Mapping[int, float],
    config: SpanConfig,
    num_frames: int,
    certain: Collection[int] = (),
) -> tuple[tuple[int, int], ...]:
    """The spans in which a relation holds, from its confidence on single frames.

    On the frames in `certain` it holds whatever the rest says.
    """
    certain = frozenset(certain)
    strong = {t for t, c in confidences.items() if c >= config.start_confidence}
    counted = {t for t, c in confidences.items() if c >= config.min_confidence}
    least = min(config.min_length, num_frames)

    def stands(first: int, last: int) -> bool:
        inside = range(first, last + 1)
        if not certain.isdisjoint(inside):
            return True
        return last - first + 1 >= least and not strong.isdisjoint(inside)

    spans = merge_spans(counted | certain, config.max_gap)
    return tuple(span for span in spans if stands(*span))
