"""Build a video's scene graph from the triplets predicted on its frames."""

from collections import defaultdict
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace

import numpy as np

from c2g_jax.click2graph.settings import RANKED
from c2g_jax.tracking.object_tracks import find_id, share_ids
from c2g_jax.tracking.spans import SpanConfig, held_spans
from c2g_jax.types import (
    FrameResult,
    ObjectTrack,
    Relation,
    SceneGraph,
    SubjectFrame,
    TrackRules,
    VideoInfo,
)
from c2g_jax.vocabulary import UNKNOWN


def vote(weights: Iterable[tuple[str, float]]) -> tuple[str, float]:
    """Return the name with the largest sum of weights, and its share of the total.

    Of equal sums the first name wins; without votes it is "unknown", with share 0.
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
    """Collects the results of frames and builds their scene graph.

    encode_mask encodes bool [H, W] as a COCO RLE, so that no dense mask is kept.
    config: by default that of models without settings.
    """

    def __init__(
        self,
        encode_mask: Callable[[np.ndarray], Mapping],
        config: SpanConfig = RANKED,
    ):
        self._encode_mask = encode_mask
        self._config = config
        self._masks: dict[int, dict[int, Mapping]] = defaultdict(dict)
        self._subjects: list[SubjectFrame] = []
        self._prompted_by: dict[int, int | None] = {}
        self._merged: dict[int, int] = {}

    def add(self, result: FrameResult) -> None:
        """Add one frame; empty masks are left out."""
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
        """Add one frame whose masks are encoded already and not empty."""
        for object_id, mask in masks.items():
            self._masks[object_id][frame] = mask
        subjects = tuple(subjects)
        self._subjects.extend(subjects)
        for object_id, leader in prompted_by.items():
            self._prompted_by.setdefault(object_id, leader)
        for subject in subjects:  # objects that were never visible are listed too
            self._prompted_by.setdefault(subject.subject_id, None)
            for triplet in subject.triplets:
                self._prompted_by.setdefault(triplet.object_id, subject.subject_id)

    @property
    def ids(self) -> set[int]:
        """The ids of all objects added, merged ones included."""
        return self._prompted_by.keys() | self._masks.keys() | self._merged.keys()

    def drop_short(self, least: int) -> None:
        """Remove the found objects that are in view on fewer than `least` frames."""
        frames = defaultdict(set)
        for i, masks in self._masks.items():
            frames[find_id(i, self._merged)] |= masks.keys()
        self._keep_found(lambda i: len(frames[i]) >= least)

    def drop_met_once(self) -> None:
        """Remove the found objects that queries met on one frame alone.

        What is met on the last frame stays: there may be more of it. So does all where
        a relation may last for one frame. A session does the same at the end of each
        pass (`SessionState.without_lost`).
        """
        if self._config.min_length <= 1:
            return
        met = defaultdict(set)
        for entry in self._subjects:
            for triplet in entry.triplets:
                met[find_id(triplet.object_id, self._merged)].add(entry.frame)
        last = max((entry.frame for entry in self._subjects), default=None)
        self._keep_found(lambda i: len(met[i]) > 1 or last in met[i])

    def _keep_found(self, keep: Callable[[int], bool]) -> None:
        """Remove the found objects whose kept ids are not to `keep`."""
        prompted = {
            find_id(i, self._merged)
            for i, by in self._prompted_by.items()
            if by is None
        }
        gone = {
            i
            for i in self.ids
            if (kept := find_id(i, self._merged)) not in prompted and not keep(kept)
        }
        for i in gone:
            self._masks.pop(i, None)
            self._prompted_by.pop(i, None)
        self._subjects = [
            replace(
                entry,
                triplets=tuple(t for t in entry.triplets if t.object_id not in gone),
            )
            for entry in self._subjects
        ]

    def share_across(
        self,
        wave_of: Mapping[int, int],
        ious: Callable[[Sequence[Mapping], Sequence[Mapping]], np.ndarray],
        rules: TrackRules,
    ) -> None:
        """Merge objects that were tracked in different passes over the same video.

        `wave_of` has the pass of each object. As in one pass, frame by frame, those
        whose masks overlap by `share_iou` or more are one object (`share_ids`).
        """
        frames = sorted({t for masks in self._masks.values() for t in masks})
        for t in frames:
            ids = sorted(i for i, masks in self._masks.items() if t in masks)
            codes = [self._masks[i][t] for i in ids]
            waves = np.array([wave_of[i] for i in ids])
            overlaps = np.where(
                waves[:, None] == waves, 0.0, ious(codes, codes)
            )  # those of one pass are decided already
            subjects = [self._prompted_by.get(i) for i in ids]
            self._merged |= share_ids(ids, subjects, overlaps, self._merged, rules)
        self._subjects.sort(key=lambda entry: (entry.frame, entry.subject_id))

    def build(
        self,
        video: VideoInfo,
        provenance: Mapping,
        certain: Mapping[tuple[int, int, str], Collection[int]] | None = None,
    ) -> SceneGraph:
        """Return the graph of all frames added, with merged ids replaced.

        `certain` are, by (subject, object, predicate), the frames on which a person
        said that the relation holds.
        """
        subjects = tuple(self._renamed(subject) for subject in self._subjects)
        return SceneGraph(
            video=video,
            objects=self._objects(subjects),
            relations=self._relations(subjects, video.num_frames, certain or {}),
            provenance=provenance,
            frames=subjects,
        )

    def kept_id(self, object_id: int) -> int:
        """Return the id of an object after the merges of all frames added."""
        return find_id(object_id, self._merged)

    def _renamed(self, subject: SubjectFrame) -> SubjectFrame:
        """Replace merged ids; drop self-relations and the weaker of equal triplets."""
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
        # Old ids first: where both have a mask, that of the kept id wins.
        for old in sorted(self._masks, key=lambda i: i not in self._merged):
            masks[find_id(old, self._merged)].update(self._masks[old])
        votes = defaultdict(list)
        for subject in subjects:
            for triplet in subject.triplets:
                weight = triplet.confidence
                votes[subject.subject_id].append((triplet.subject_category, weight))
                votes[triplet.object_id].append((triplet.object_category, weight))
        prompted_by: dict[int, int | None] = {}
        for old, by in self._prompted_by.items():
            now = find_id(old, self._merged)
            # A prompted object stays prompted, whatever it is merged with.
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
        confidences = defaultdict(dict)  # triplet -> frame -> confidence
        for subject in subjects:
            for triplet in subject.triplets:
                key = subject.subject_id, triplet.object_id, triplet.predicate
                known = confidences[key].get(subject.frame, 0.0)
                confidences[key][subject.frame] = max(known, triplet.confidence)
        relations, told = [], set()
        for key, by_frame in confidences.items():
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
                told |= {relations[-1]} if sure else set()
        relations.sort(key=_order)
        return tuple(self._best(relations, told))

    def _best(
        self, relations: Sequence[Relation], told: Collection[Relation]
    ) -> Iterator[Relation]:
        """Yield the `top` relations of each subject, and those that a person told."""
        count: dict[int, int] = defaultdict(int)
        for relation in relations:
            count[relation.subject_id] += 1
            top = self._config.top
            if top is None or count[relation.subject_id] <= top or relation in told:
                yield relation


def annotated_graph(
    graph: SceneGraph, names: Mapping[int, str], relations: Iterable[Relation]
) -> SceneGraph:
    """Return a graph with the categories and relations that a person gave it.

    A relation replaces what the graph has of the same objects and predicate, whatever
    its spans; relations of an object with itself are left out.
    """
    told = [r for r in relations if r.subject_id != r.object_id]
    keys = {(r.subject_id, r.object_id, r.predicate) for r in told}
    found = [
        r
        for r in graph.relations
        if (r.subject_id, r.object_id, r.predicate) not in keys
    ]
    objects = tuple(
        replace(track, category=names[track.object_id], score=1.0)
        if track.object_id in names
        else track
        for track in graph.objects
    )
    relations = tuple(sorted([*told, *found], key=_order))
    return replace(graph, objects=objects, relations=relations)


def in_view(graph: SceneGraph) -> SceneGraph:
    """Return a graph without the objects that have no mask, and all that is of them."""
    seen = {track.object_id for track in graph.objects if track.masks}
    if len(seen) == len(graph.objects):
        return graph
    frames = tuple(
        replace(
            subject,
            triplets=tuple(t for t in subject.triplets if t.object_id in seen),
        )
        for subject in graph.frames
        if subject.subject_id in seen
    )
    return replace(
        graph,
        objects=tuple(t for t in graph.objects if t.object_id in seen),
        relations=tuple(
            r for r in graph.relations if {r.subject_id, r.object_id} <= seen
        ),
        frames=frames,
    )


def _order(relation: Relation) -> tuple:
    """The best first; else by ids and predicate."""
    r = relation
    return -r.score, r.subject_id, r.object_id, r.predicate


def relations_of(graph: SceneGraph, config: SpanConfig) -> tuple[Relation, ...]:
    """Return the relations of a graph's frames, made with another configuration."""
    builder = GraphBuilder(dict, config)
    for subject in graph.frames:
        builder.add_encoded(subject.frame, {}, [subject], {})
    return builder.build(graph.video, {}).relations
