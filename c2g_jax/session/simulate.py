"""Simulated users who correct labels: what a session gains from n corrections.

A user sees the truth, points at each subject once, lets the session track, and then
mends the label that is wrong on most frames; again and again. After each correction the
session names everything anew, so that one may mend several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from c2g_jax.prompts import interior_distance
from c2g_jax.rle import decode_mask, encode_mask, mask_iou
from c2g_jax.session.session import Session
from c2g_jax.types import SceneGraph

MATCH = 0.5  # overlap from which on a mask is that of a true object


class TrueSpan(NamedTuple):
    """A relation that holds on the frames first to last, both included."""

    subject_id: int
    object_id: int
    predicate: str
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Truth:
    """What a video shows: categories by id, masks (COCO RLE) by id and frame."""

    categories: Mapping[int, str]
    masks: Mapping[int, Mapping[int, Mapping]]
    spans: tuple[TrueSpan, ...]

    @classmethod
    def of(
        cls,
        segments: np.ndarray,
        categories: Mapping[int, str],
        spans: Sequence[TrueSpan],
    ) -> "Truth":
        """From uint8 [T, H, W], whose pixels are object ids."""
        masks: dict[int, dict[int, Mapping]] = {i: {} for i in categories}
        for t, frame in enumerate(segments):
            for i in np.intersect1d(np.unique(frame), list(categories)).tolist():
                masks[i][t] = encode_mask(frame == i)
        return cls(categories, masks, tuple(spans))

    def triplets(self) -> list[tuple[int, TrueSpan]]:
        """(frame, relation) wherever it holds and both are in view."""
        return [
            (t, span)
            for span in self.spans
            for t in range(span.first, span.last + 1)
            if t in self.masks[span.subject_id] and t in self.masks[span.object_id]
        ]


class Correction(NamedTuple):
    """A label that is wrong on `weight` true (frame, relation)s, and the right one."""

    weight: int
    subject_id: int | None  # None: the category of the object; else the predicate
    object_id: int
    name: str
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Outcome:
    """After so many corrections: which true (frame, relation)s are found.

    touched: the names that were given by then, of categories and predicates.
    """

    corrections: int
    hits: Mapping[tuple[int, TrueSpan], bool]
    touched: frozenset[str]

    @property
    def recall(self) -> float:
        return float(np.mean(list(self.hits.values()))) if self.hits else 0.0


def simulate(
    session: Session,
    truth: Truth,
    counts: Sequence[int] = (0, 1, 2, 4),
    k: int = 3,
) -> list[Outcome]:
    """Let a user work on a new session; what is found after each count of `counts`.

    A user who finds nothing wrong corrects nothing: counts beyond that repeat.
    """
    point_at_subjects(session, truth)
    outcomes, done, touched = [], 0, set()
    for count in sorted(counts):
        while done < count:
            wrong = wrong_labels(session, truth)
            if not wrong:
                break
            touched.add(apply_correction(session, wrong[0]))
            done += 1
        hits = found_triplets(session.graph(), truth, k)
        outcomes.append(Outcome(count, hits, frozenset(touched)))
    return outcomes


def point_at_subjects(session: Session, truth: Truth) -> None:
    """A click on each subject where it is first seen, and tracking to the end."""
    for subject_id in dict.fromkeys(span.subject_id for span in truth.spans):
        seen = truth.masks[subject_id]
        if seen:
            frame = min(seen)
            depth = interior_distance(decode_mask(seen[frame]))
            y, x = np.unravel_index(np.argmax(depth), depth.shape)
            session.click(frame, int(x), int(y))
    if session.objects():
        for _ in session.track():
            pass


def match_tracks(session: Session, truth: Truth) -> dict[int, int]:
    """Id in the session -> true id, each once, those first whose masks agree most.

    They agree by the overlap summed over frames, a quarter at least of all frames on
    which either is seen.
    """
    graph, matches = session.graph(), {}
    scores = []
    for track in graph.objects:
        for i, masks in truth.masks.items():
            both = track.masks.keys() & masks.keys()
            shared = sum(mask_iou(track.masks[t], masks[t]) for t in both)
            union = len(track.masks.keys() | masks.keys())
            if union and shared / union >= MATCH / 2:
                scores.append((shared / union, track.object_id, i))
    for _, object_id, i in sorted(scores, reverse=True):
        if object_id not in matches and i not in matches.values():
            matches[object_id] = i
    return matches


def wrong_labels(session: Session, truth: Truth) -> list[Correction]:
    """What a user would mend, what concerns most frames first."""
    graph, matches = session.graph(), match_tracks(session, truth)
    ids = {i: object_id for object_id, i in matches.items()}
    frames_of: dict[int, int] = {}
    for _, span in truth.triplets():
        for i in (span.subject_id, span.object_id):
            frames_of[i] = frames_of.get(i, 0) + 1
    found = []
    for object_id, i in matches.items():
        if graph.object(object_id).category != truth.categories[i]:
            weight = frames_of.get(i, 0)
            found.append(Correction(weight, None, object_id, truth.categories[i]))
    said = {
        (s.frame, s.subject_id, t.object_id): t.predicate
        for s in graph.frames
        for t in s.triplets
    }
    for span in truth.spans:
        if span.subject_id not in ids or span.object_id not in ids:
            continue
        pair = ids[span.subject_id], ids[span.object_id]
        right = {
            (t, other.predicate)
            for other in truth.spans
            if other[:2] == span[:2]
            for t in range(other.first, other.last + 1)
        }
        frames = [t for t, other in truth.triplets() if other == span]
        weight = sum((t, said.get((t, *pair))) not in right for t in frames)
        if 2 * weight > len(frames):
            found.append(Correction(weight, *pair, *span[2:]))
    wrong = [c for c in found if c.weight]
    return sorted(wrong, key=lambda c: (-c.weight, c.object_id, c.name))


def apply_correction(session: Session, correction: Correction) -> str:
    """Do as the user would; returns the name given."""
    if correction.subject_id is None:
        session.rename(correction.object_id, correction.name)
    else:
        session.set_predicate(*correction[1:])
    return correction.name


def found_triplets(
    graph: SceneGraph, truth: Truth, k: int = 3
) -> dict[tuple[int, TrueSpan], bool]:
    """Whether each true (frame, relation) is among the k best guesses of its subject.

    Names must be right, and both masks overlap the true ones by half.
    """
    spoken: dict[int, list] = {}
    for subject in graph.frames:
        spoken.setdefault(subject.frame, []).append(subject)
    masks = {track.object_id: track.masks for track in graph.objects}

    def agrees(object_id: int, true_id: int, frame: int) -> bool:
        seen = masks[object_id].get(frame)
        return seen is not None and mask_iou(seen, truth.masks[true_id][frame]) >= MATCH

    def hit(frame: int, span: TrueSpan) -> bool:
        names = (
            truth.categories[span.subject_id],
            truth.categories[span.object_id],
            span.predicate,
        )
        for subject in spoken.get(frame, ()):
            best = sorted(subject.triplets, key=lambda t: -t.confidence)[:k]
            for t in best:
                said = (t.subject_category, t.object_category, t.predicate)
                if (
                    said == names
                    and agrees(subject.subject_id, span.subject_id, frame)
                    and agrees(t.object_id, span.object_id, frame)
                ):
                    return True
        return False

    return {(frame, span): hit(frame, span) for frame, span in truth.triplets()}


def untouched(outcome: Outcome, truth: Truth) -> float | None:
    """The recall over relations none of whose names was given; None without any."""
    hits = [
        found
        for (_, span), found in outcome.hits.items()
        if outcome.touched.isdisjoint(
            (
                truth.categories[span.subject_id],
                truth.categories[span.object_id],
                span.predicate,
            )
        )
    ]
    return float(np.mean(hits)) if hits else None
