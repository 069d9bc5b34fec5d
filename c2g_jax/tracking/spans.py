"""Smooth a relation's confidences on frames to the spans in which it holds."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from c2g_jax.click2graph.settings import SpanConfig


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
