"""Views of a session's states, from any thread, also while it tracks."""

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.media.video import Video
from c2g_jax.sam2.predictors.frame_reader import FrameReader
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.fingerprint import Fingerprint, fingerprint_of
from c2g_jax.session.labels import Labeller, PairPrediction
from c2g_jax.session.session_graph import build_graph
from c2g_jax.session.session_state import OBJECT, SUBJECT, SessionState, TrackedObject
from c2g_jax.session.views import (
    FrameView,
    ObjectSummary,
    ObjectView,
    PromptView,
    RelationSummary,
    RelationView,
)
from c2g_jax.tracking.scene_graph import vote
from c2g_jax.tracking.spans import SpanConfig, merge_spans
from c2g_jax.types import Relation, SceneGraph


class Viewer:
    """Makes views of states; caches a few frames, labels of pairs and the last graph.

    Views wait for each other, but not for a step of tracking.
    """

    def __init__(self, model: Click2Graph, video: Video, adapt: AdaptConfig):
        self._video, self._labeller = video, Labeller(model, adapt)
        # A reader of its own: views must not make tracking seek in the video.
        self._reader = FrameReader(video, None)
        self._finalizer = weakref.finalize(self, self._reader.close)
        self._lock = threading.RLock()
        self._last: tuple[tuple, SceneGraph] | None = None
        self._fingerprint: Fingerprint | None = None

    @property
    def adapt(self) -> AdaptConfig:
        """How corrections change the labels of others."""
        return self._labeller.config

    @adapt.setter
    def adapt(self, config: AdaptConfig) -> None:
        with self._lock:
            self._labeller.config, self._last = config, None
            self._labeller.clear()

    def image(self, frame: int) -> np.ndarray:
        """Return a frame, uint8 [H, W, 3]."""
        with self._lock:
            return self._reader.read(frame)

    def fingerprint(self) -> Fingerprint:
        """Return the video's fingerprint, read once."""
        with self._lock:
            if self._fingerprint is None:
                self._fingerprint = fingerprint_of(self._reader, self._video.num_frames)
            return self._fingerprint

    def view(self, state: SessionState, frame: int) -> FrameView:
        """Return the view of a frame of a state."""
        with self._lock:
            predictions = self._labeller.predict(state, [frame]).get(frame, [])
            return view_frame(state, frame, predictions)

    def objects(self, state: SessionState) -> list[ObjectSummary]:
        """Return all objects of a state over the clip, in the order of creation."""
        with self._lock:
            predictions = self._labeller.predict(state, sorted(state.records))
            return summarise_objects(state, predictions)

    def relations(
        self, state: SessionState, spans: SpanConfig
    ) -> list[RelationSummary]:
        """Return the relations of a state with their spans."""
        return summarise_relations(state, self.graph(state, spans).relations)

    def graph(self, state: SessionState, spans: SpanConfig) -> SceneGraph:
        """Return the scene graph of a state, without its provenance."""
        key = state, spans
        with self._lock:
            if self._last is None or self._last[0] != key:
                graph = build_graph(state, self._labeller, spans, self._video)
                self._last = key, graph
            return self._last[1]

    def close(self) -> None:
        """Stop decoding ahead and empty all caches."""
        with self._lock:
            self._finalizer()
            self._labeller.clear()
            self._last = None


def view_frame(
    state: SessionState, frame: int, predictions: Sequence[PairPrediction]
) -> FrameView:
    """Return the view of one frame, from its state and the predictions on it."""
    objects = []
    for shown_id, group in state.shown.items():
        category, score, fixed = _category(state, shown_id, predictions)
        seen = state.observation(shown_id, frame)
        objects.append(
            ObjectView(
                shown_id,
                _role(group),
                state.subjects_of(shown_id),
                category,
                fixed,
                score,
                seen.mask if seen is not None else None,
                tuple(_prompts(group, frame)),
            )
        )
    relations = tuple(
        RelationView(g.subject_id, g.object_id, g.predicate, g.confidence, g.fixed)
        for g in sorted(predictions, key=lambda g: -g.confidence)
    )
    tracked, stale = frame in state.records, state.is_stale(frame)
    return FrameView(frame, tuple(objects), relations, tracked, stale)


def summarise_objects(
    state: SessionState, predictions: Mapping[int, list[PairPrediction]]
) -> list[ObjectSummary]:
    """Summarise all objects, in the order of creation."""
    flat = [prediction for found in predictions.values() for prediction in found]
    summaries = []
    for shown_id, group in state.shown.items():
        category, score, fixed = _category(state, shown_id, flat)
        frames = {
            t
            for obj in group
            for t, found in obj.observations.items()
            if found.mask is not None
        }
        prompted = sorted({t for obj in group for t in obj.prompts})
        summaries.append(
            ObjectSummary(
                shown_id,
                _role(group),
                state.subjects_of(shown_id),
                category,
                fixed,
                score,
                merge_spans(frames),
                tuple(prompted),
            )
        )
    return summaries


def summarise_relations(
    state: SessionState, relations: Sequence[Relation]
) -> list[RelationSummary]:
    """Summarise the relations of a graph; mark those that a person fixed."""
    fixed = {(*fix.pair, fix.predicate) for fix in state.active_fixes}
    return [
        RelationSummary(*key, r.spans, r.score, key in fixed)
        for r in relations
        for key in [(r.subject_id, r.object_id, r.predicate)]
    ]


def _role(group: tuple[TrackedObject, ...]) -> str:
    return SUBJECT if any(t.role == SUBJECT for t in group) else OBJECT


def _category(
    state: SessionState, shown_id: int, predictions: Sequence[PairPrediction]
) -> tuple[str, float, bool]:
    """Return category, score, and whether a person fixed it."""
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


def _prompts(group: tuple[TrackedObject, ...], frame: int) -> Iterator[PromptView]:
    for obj in group:
        if frame not in obj.prompts:
            continue
        for item in obj.prompts[frame].items:
            if item.kind == "point":
                yield PromptView("point", *item.point, int(item.positive))
            else:
                yield PromptView(item.kind, box=item.box)
