"""Smooth a relation's confidences on frames to the spans in which it holds."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from c2g_jax.types import InputError, real


@dataclass(frozen=True)
class SpanConfig:
    """Temporal smoothing of relations, with hysteresis; lengths in sampled frames.

    max_gap: gaps of up to this many frames without the relation are closed.
    min_length: shorter spans are dropped (in a shorter video: than its own length).
    min_confidence: predictions below it are ignored.
    start_confidence: a span needs a prediction of at least this confidence; if it is
    above min_confidence, weaker predictions extend a span but do not start one.

    The defaults are the best on 24 training videos of the drawn world, by
    `benchmarks.spans`: F1 of spans 0.31, against 0.12 for every relation that is
    predicted on 2 frames.
    """

    max_gap: int = 2
    min_length: int = 5
    min_confidence: float = 0.3
    start_confidence: float = 0.5

    def at_least(self, threshold: float | None) -> "SpanConfig":
        """Return the configuration with min_confidence `threshold`; None: unchanged.

        A threshold below the present min_confidence is start_confidence as well, so
        that a request for uncertain relations returns all of them.
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
    """Return frame numbers, in any order, as ascending inclusive spans."""
    frames = np.unique(np.fromiter(frames, np.int64))
    if not len(frames):
        return ()
    breaks = np.flatnonzero(np.diff(frames) > max_gap + 1)
    firsts = frames[np.concatenate(([0], breaks + 1))].tolist()
    lasts = frames[np.concatenate((breaks, [len(frames) - 1]))].tolist()
    spans = zip(firsts, lasts, strict=True)
    return tuple((a, b) for a, b in spans if b - a + 1 >= min_length)


def frames_of(spans: Iterable[tuple[int, int]]) -> set[int]:
    """Return all frames of inclusive spans."""
    return {t for first, last in spans for t in range(first, last + 1)}


def held_spans(
    confidences: Mapping[int, float],
    config: SpanConfig,
    num_frames: int,
    certain: Collection[int] = (),
) -> tuple[tuple[int, int], ...]:
    """Return the spans in which a relation holds, from its confidence by frame.

    On the frames in `certain` it holds whatever its confidence and length.
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
