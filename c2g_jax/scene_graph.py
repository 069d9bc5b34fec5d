"""From guesses on single frames to relations that hold over spans of frames."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from c2g_jax.types import (
    FrameResult,
    ObjectTrack,
    Relation,
    SceneGraph,
    SubjectFrame,
    VideoInfo,
)

UNKNOWN = "unknown"  # the category of an object that nothing was said about


@dataclass(frozen=True)
class SpanConfig:
    """How guesses become spans; lengths count sampled frames.

    max_gap: a span runs across this many frames without the relation.
    min_length: shorter spans are dropped (in a shorter video: its own length).
    min_confidence: guesses below it do not count.
    """

    max_gap: int = 2
    min_length: int = 2
    min_confidence: float = 0.0


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


def vote(weights: Iterable[tuple[str, float]]) -> tuple[str, float]:
    """The name with the largest sum of weights, and its share of all of them.

    A tie goes to the name met first; without votes the name is "unknown", share 0.
    """
    sums: dict[str, float] = defaultdict(float)
    for name, weight in weights:
        sums[name] += weight
    if not sums:
        return UNKNOWN, 0.0
    name = max(sums, key=sums.get)
    total = sum(sums.values())
    return name, sums[name] / total if total else 0.0


class GraphBuilder:
    """Takes the results frame by frame and builds the graph of what it has seen.

    encode_mask turns bool [H, W] into a COCO RLE, so that no dense mask is kept.
    """

    def __init__(
        self,
        encode_mask: Callable[[np.ndarray], Mapping],
        config: SpanConfig = SpanConfig(),
    ):
        self._encode_mask = encode_mask
        self._config = config
        self._masks: dict[int, dict[int, Mapping]] = defaultdict(dict)
        self._subjects: list[SubjectFrame] = []
        self._prompted_by: dict[int, int | None] = {}
        self._merged: dict[int, int] = {}

    def add(self, result: FrameResult) -> None:
        """Take in one frame; empty masks are left out."""
        for object_id, mask in result.masks.items():
            if mask.any():
                self._masks[object_id][result.frame] = self._encode_mask(mask)
        self._subjects.extend(result.subjects)
        self._prompted_by |= result.prompted_by
        for subject in result.subjects:  # even what was never seen has its entry
            self._prompted_by.setdefault(subject.subject_id, None)
            for triplet in subject.triplets:
                self._prompted_by.setdefault(triplet.object_id, subject.subject_id)
        self._merged |= result.merged

    def build(self, video: VideoInfo, provenance: Mapping) -> SceneGraph:
        """The graph of all frames added; ids merged along the way become one."""
        subjects = tuple(self._renamed(subject) for subject in self._subjects)
        return SceneGraph(
            video=video,
            objects=self._objects(subjects),
            relations=self._relations(subjects, video.num_frames),
            provenance=provenance,
            frames=subjects,
        )

    def _now(self, object_id: int) -> int:
        while object_id in self._merged:
            object_id = self._merged[object_id]
        return object_id

    def _renamed(self, subject: SubjectFrame) -> SubjectFrame:
        """The same with ids of now, without self-relations and doubled guesses."""
        subject_id = self._now(subject.subject_id)
        best = {}
        for triplet in subject.triplets:
            triplet = replace(triplet, object_id=self._now(triplet.object_id))
            key = triplet.object_id, triplet.predicate
            known = best.get(key)
            if triplet.object_id == subject_id:
                continue
            if known is None or triplet.confidence > known.confidence:
                best[key] = triplet
        return replace(subject, subject_id=subject_id, triplets=tuple(best.values()))

    def _objects(self, subjects):
        masks = defaultdict(dict)
        # Merged ids first: where both have a mask, the one that stays wins.
        for old in sorted(self._masks, key=lambda i: i not in self._merged):
            masks[self._now(old)].update(self._masks[old])
        votes = defaultdict(list)
        for subject in subjects:
            for triplet in subject.triplets:
                said = triplet.confidence
                votes[subject.subject_id].append((triplet.subject_category, said))
                votes[triplet.object_id].append((triplet.object_category, said))
        prompted_by: dict[int, int | None] = {}
        for old, by in self._prompted_by.items():
            now = self._now(old)
            # What the user pointed at stays the user's, whatever it merged with.
            if by is None or now not in prompted_by:
                prompted_by[now] = None if by is None else self._now(by)
        return tuple(
            ObjectTrack(
                object_id,
                *vote(votes[object_id]),
                prompted_by=prompted_by[object_id],
                masks=dict(sorted(masks[object_id].items())),
            )
            for object_id in sorted(prompted_by)
        )

    def _relations(self, subjects, num_frames):
        config = self._config
        said = defaultdict(dict)  # triplet -> frame -> confidence
        for subject in subjects:
            for triplet in subject.triplets:
                if triplet.confidence < config.min_confidence:
                    continue
                key = subject.subject_id, triplet.object_id, triplet.predicate
                known = said[key].get(subject.frame, 0.0)
                said[key][subject.frame] = max(known, triplet.confidence)
        min_length = min(config.min_length, num_frames)
        relations = []
        for key, by_frame in said.items():
            spans = merge_spans(by_frame, config.max_gap, min_length)
            inside = [
                confidence
                for frame, confidence in by_frame.items()
                if any(first <= frame <= last for first, last in spans)
            ]
            if spans:
                relations.append(Relation(*key, spans, float(np.mean(inside))))
        return tuple(
            sorted(
                relations,
                key=lambda r: (-r.score, r.subject_id, r.object_id, r.predicate),
            )
        )
