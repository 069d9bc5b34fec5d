"""Smooth a relation's confidences on frames to the spans in which it holds."""

import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from c2g_jax.click2graph.settings import SpanConfig
from c2g_jax.types import InputError

Spans = tuple[tuple[int, int], ...]


def check_spans(
    spans: Any, num_frames: int | None, name: str, some: bool = False
) -> Spans:
    """Return spans that a person or a file gives, ascending; InputError if they cannot.

    They are pairs (first, last) of frames of the video, and do not overlap. `name` says
    in the message what they are of. num_frames None: the length is not known yet.
    some: there must be one.
    """
    form = f"{name}: spans must be [[start, end], ...]"
    try:
        found = sorted(tuple(span) for span in spans)
    except TypeError:
        raise InputError(f"{form}: write them so") from None
    for span in found:
        kinds = [isinstance(x, int | np.integer) for x in span]
        if kinds != [True, True] or any(isinstance(x, bool) for x in span):
            raise InputError(f"{form}: write them so, in whole frames")
        first, last = span
        if first < 0:
            raise InputError(
                f"{name}: the span {first} to {last} begins before the video: begin it "
                "at frame 0 or later"
            )
        if last < first:
            raise InputError(f"{name}: the span {first} to {last} is empty: mend it")
        if num_frames is not None and last >= num_frames:
            raise InputError(
                f"{name}: the span {first} to {last} goes beyond the video: end it by "
                f"frame {num_frames - 1}"
            )
    if some and not found:
        raise InputError(f"{name}: there is no span: give one, or leave it out")
    for (first, last), (begin, end) in itertools.pairwise(found):
        if begin <= last:
            raise InputError(
                f"{name}: the spans {first} to {last} and {begin} to {end} overlap: "
                "join them"
            )
    return tuple((int(first), int(last)) for first, last in found)


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


def cut_spans(spans: Iterable[tuple[int, int]], starts: Collection[int]) -> Spans:
    """Return spans cut before each of the frames `starts` that lies within one."""
    found = []
    for first, last in spans:
        inner = sorted(t for t in starts if first < t <= last)
        firsts, lasts = [first, *inner], [*(t - 1 for t in inner), last]
        found += zip(firsts, lasts, strict=True)
    return tuple(found)


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
