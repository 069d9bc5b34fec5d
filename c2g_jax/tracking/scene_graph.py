"""From guesses on single frames to relations that hold over spans of frames."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from c2g_jax.tracking.object_tracks import find_id
from c2g_jax.tracking.spans import SpanConfig, held_spans, merge_spans
from c2g_jax.types import (
    FrameResult,
    ObjectTrack,
    Relation,
    SceneGraph,
    SubjectFrame,
    VideoInfo,
)

__all__ = ["UNKNOWN", "GraphBuilder", "SpanConfig", "merge_spans", "vote"]

UNKNOWN = "unknown"  # the category of an object that nothing was said about


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
        config: SpanConfig | None = None,
    ):
        self._encode_mask = encode_mask
        self._config = config or SpanConfig()
        self._masks: dict[int, dict[int, Mapping]] = defaultdict(dict)
        self._subjects: list[SubjectFrame] = []
        self._prompted_by: dict[int, int | None] = {}
        self._merged: dict[int, int] = {}

    def add(self, result: FrameResult) -> None:
        """Take in one frame; empty masks are left out."""
        masks = {
            object_id: self._encode_mask(mask)
            for object_id, mask in result.masks.items()
            if mask.any()
        }
        prompted_by = dict(result.prompted_by)
        self.add_encoded(result.frame, masks, result.subjects, prompted_by)
        self._merged |= result.merged

    def add_encoded(
        self,
        frame: int,
        masks: Mapping[int, Mapping],
        subjects: Iterable[SubjectFrame],
        prompted_by: Mapping[int, int | None],
    ) -> None:
        """Take in one frame, its masks encoded already and none of them empty."""
        for object_id, mask in masks.items():
            self._masks[object_id][frame] = mask
        subjects = tuple(subjects)
        self._subjects.extend(subjects)
        for object_id, leader in prompted_by.items():
            self._prompted_by.setdefault(object_id, leader)
        for subject in subjects:  # even what was never seen has its entry
            self._prompted_by.setdefault(subject.subject_id, None)
            for triplet in subject.triplets:
                self._prompted_by.setdefault(triplet.object_id, subject.subject_id)

    def build(
        self,
        video: VideoInfo,
        provenance: Mapping,
        certain: Mapping[tuple[int, int, str], Collection[int]] | None = None,
    ) -> SceneGraph:
        """The graph of all frames added; ids merged along the way become one.

        `certain` names, by (subject, object, predicate), frames on which a person said
        that it holds.
        """
        subjects = tuple(self._renamed(subject) for subject in self._subjects)
        return SceneGraph(
            video=video,
            objects=self._objects(subjects),
            relations=self._relations(subjects, video.num_frames, certain or {}),
            provenance=provenance,
            frames=subjects,
        )

    def _renamed(self, subject: SubjectFrame) -> SubjectFrame:
        """The same with ids of now, without self-relations and doubled guesses."""
        subject_id = find_id(subject.subject_id, self._merged)
        best = {}
        for triplet in subject.triplets:
            triplet = replace(
                triplet, object_id=find_id(triplet.object_id, self._merged)
            )
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
            masks[find_id(old, self._merged)].update(self._masks[old])
        votes = defaultdict(list)
        for subject in subjects:
            for triplet in subject.triplets:
                said = triplet.confidence
                votes[subject.subject_id].append((triplet.subject_category, said))
                votes[triplet.object_id].append((triplet.object_category, said))
        prompted_by: dict[int, int | None] = {}
        for old, by in self._prompted_by.items():
            now = find_id(old, self._merged)
            # What the user pointed at stays the user's, whatever it merged with.
            if by is None or now not in prompted_by:
                prompted_by[now] = None if by is None else find_id(by, self._merged)
        return tuple(
            ObjectTrack(
                object_id,
                *vote(votes[object_id]),
                prompted_by=prompted_by[object_id],
                masks=dict(sorted(masks[object_id].items())),
            )
            for object_id in sorted(prompted_by)
        )

    def _relations(self, subjects, num_frames, certain):
        said = defaultdict(dict)  # triplet -> frame -> confidence
        for subject in subjects:
            for triplet in subject.triplets:
                key = subject.subject_id, triplet.object_id, triplet.predicate
                known = said[key].get(subject.frame, 0.0)
                said[key][subject.frame] = max(known, triplet.confidence)
        relations = []
        for key, by_frame in said.items():
            sure = certain.get(key, ())
            spans = held_spans(by_frame, self._config, num_frames, sure)
            inside = [
                confidence
                for frame, confidence in by_frame.items()
                if (confidence >= self._config.min_confidence or frame in sure)
                and any(first <= frame <= last for first, last in spans)
            ]
            if spans:
                relations.append(Relation(*key, spans, float(np.mean(inside))))
        return tuple(
            sorted(
                relations,
                key=lambda r: (-r.score, r.subject_id, r.object_id, r.predicate),
            )
        )
