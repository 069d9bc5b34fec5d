"""The scene graph of a session's state, and its provenance."""

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from c2g_jax import __version__
from c2g_jax.media.rle import encode_mask
from c2g_jax.media.video import Video
from c2g_jax.session.labels import Labeller, PairPrediction
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.views import as_json
from c2g_jax.tracking.scene_graph import GraphBuilder, annotated_graph, vote
from c2g_jax.tracking.spans import SpanConfig, frames_of, merge_spans
from c2g_jax.types import Relation, SceneGraph, SubjectFrame, Triplet, VideoInfo
from c2g_jax.vocabulary import UNKNOWN


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a session's video and model come from, for its file and its graphs."""

    path: str | None = None  # of the video
    options: dict = dataclasses.field(default_factory=dict)  # how it is sampled
    checkpoint: str | None = None
    sha256: str | None = None  # of the checkpoint's weights
    heads: str | None = None  # file of DIDM and SCH, if not the checkpoint's
    heads_sha256: str | None = None


def build_graph(
    state: SessionState,
    labeller: Labeller,
    spans: SpanConfig,
    video: Video,
    accepted: bool = False,
) -> SceneGraph:
    """Return the scene graph of a state, without its provenance.

    accepted: leave out what the model alone vouches for: objects, relations and names.
    """
    builder = GraphBuilder(encode_mask, spans)
    frames = sorted(
        {t for obj in state.objects.values() for t in obj.observations}
        | state.records.keys()
    )
    predictions = labeller.predict(state, frames)
    certain = collections.defaultdict(set)  # triplet -> frames on which a person set it
    shown = [i for i in state.shown if not accepted or i in state.accepted]
    prompted_by = {i: _prompted_by(state, i) for i in shown}
    for frame in frames:
        seen = {i: state.observation(i, frame) for i in shown}
        masks = {i: o.mask for i, o in seen.items() if o is not None}
        found = predictions.get(frame, [])
        if accepted:
            found = [_with_told_names(state, p) for p in found if p.fixed]
        subjects = _subject_frames(state, frame, found)
        builder.add_encoded(frame, masks, subjects, prompted_by)
        for p in found:
            if p.fixed:
                certain[p.subject_id, p.object_id, p.predicate].add(frame)
    info = VideoInfo(video.name, video.width, video.height, video.fps, video.times)
    graph = builder.build(info, {}, certain)
    named = {i: state.category(i) for i in shown if state.category(i) is not None}
    drawn = [
        Relation(*pair, predicate, merge_spans(frames_of(own)), 1.0)
        for pair, relations in state.drawn_of.items()
        for predicate, own in relations.items()
    ]
    graph = annotated_graph(graph, named, drawn)
    if not accepted:
        return graph
    objects = tuple(
        track
        if track.object_id in named
        else dataclasses.replace(track, category=UNKNOWN, score=0.0)
        for track in graph.objects
    )
    return dataclasses.replace(graph, objects=objects)


def category_of(
    state: SessionState, shown_id: int, predictions: Sequence[PairPrediction]
) -> tuple[str, float, bool]:
    """Return category, score, and whether a person gave it."""
    category = state.category(shown_id)
    if category is not None:
        return category, 1.0, True
    votes = [
        (g.subject_category, g.subject_score) for g in predictions if g[0] == shown_id
    ]
    votes += [
        (g.object_category, g.object_score) for g in predictions if g[1] == shown_id
    ]
    name, _ = vote(votes)
    agreed = sum(score for other, score in votes if other == name)
    return name, agreed / max(len(votes), 1), False


def provenance(state: SessionState, size: str, source: Source) -> dict:
    """Return what is needed to make a session's graph again, as JSON values."""
    checkpoint = None
    if source.checkpoint is not None:
        name = Path(source.checkpoint).name
        checkpoint = {"name": name, "sha256": source.sha256}
    heads = {}
    if source.heads is not None:
        name = Path(source.heads).name
        heads = {"heads": {"name": name, "sha256": source.heads_sha256}}
    prompts = [
        {"frame": t, "object": obj.object_id, **as_json(item)}
        for obj in state.objects.values()
        if not obj.removed
        for t, prompts in sorted(obj.prompts.items())
        for item in prompts.items
    ]
    return {
        "program": f"click2graph-jax {__version__}",
        "checkpoint": checkpoint,
        **heads,
        "size": size,
        "options": dict(source.options),
        "prompts": prompts,
        "corrections": {
            "categories": {
                str(i): state.category(i)
                for i in state.shown
                if state.category(i) is not None
            },
            "predicates": [list(dataclasses.astuple(f)) for f in state.active_fixes],
            "relations": [
                [*pair, predicate, [list(span) for span in spans]]
                for pair, drawn in state.drawn_of.items()
                for predicate, spans in drawn.items()
            ],
        },
        "dropped_tracks": sum(record.dropped for record in state.records.values()),
    }


def _subject_frames(
    state: SessionState, frame: int, predictions: Sequence[PairPrediction]
) -> list[SubjectFrame]:
    """Return the triplets of a frame by subject, with DIDM's points."""
    record = state.records.get(frame)
    points = {} if record is None else record.points
    triplets: dict[int, list[Triplet]] = {i: [] for i in points}
    for prediction in predictions:
        triplets.setdefault(prediction.subject_id, []).append(
            Triplet(prediction.object_id, *prediction[2:6])
        )
    no_points = np.zeros((0, 2), np.float32)
    return [
        SubjectFrame(frame, i, points.get(i, no_points), tuple(own))
        for i, own in triplets.items()
        if state.alive(i)
    ]


def _with_told_names(state: SessionState, pair: PairPrediction) -> PairPrediction:
    """Return a prediction with the categories that a person gave, else "unknown"."""
    subject, other = (state.category(i) for i in (pair.subject_id, pair.object_id))
    return pair._replace(
        subject_category=subject or UNKNOWN, object_category=other or UNKNOWN
    )


def _prompted_by(state: SessionState, shown_id: int) -> int | None:
    """Return the subject of an object, None if a person prompted it."""
    if any(obj.pinned for obj in state.shown[shown_id]):
        return None
    subjects = state.subjects_of(shown_id)
    return subjects[0] if subjects else None
