"""Looking at a session, from any thread, also while it tracks."""

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.media.video import Video
from c2g_jax.sam2.predictors.frame_reader import FrameReader
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.fingerprint import Fingerprint, take
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
    """What states look like. Holds a few frames, labels of pairs and the last graph.

    Views wait for each other, and not for the step that tracking is in.
    """

    def __init__(self, model: Click2Graph, video: Video, adapt: AdaptConfig):
        self._video, self._labeller = video, Labeller(model, adapt)
        # Of its own, so that looking around does not make tracking seek.
        self._reader = FrameReader(video, None)
        self._finalizer = weakref.finalize(self, self._reader.close)
        self._lock = threading.RLock()
        self._last: tuple[tuple, SceneGraph] | None = None
        self._likeness: Fingerprint | None = None

    def image(self, frame: int) -> np.ndarray:
        """uint8 [H, W, 3]."""
        with self._lock:
            return self._reader.read(frame)

    def fingerprint(self) -> Fingerprint:
        """What the video looks like, by which it is known again; read once."""
        with self._lock:
            if self._likeness is None:
                self._likeness = take(self._reader, self._video.num_frames)
            return self._likeness

    def view(self, state: SessionState, frame: int) -> FrameView:
        """What a state knows of a frame, with the model's guesses."""
        with self._lock:
            guesses = self._labeller.guesses(state, [frame]).get(frame, [])
            return view_frame(state, frame, guesses)

    def objects(self, state: SessionState) -> list[ObjectSummary]:
        """All objects of a state over the whole clip, in the order they came."""
        with self._lock:
            guesses = self._labeller.guesses(state, sorted(state.records))
            return summarise_objects(state, guesses)

    def relations(
        self, state: SessionState, spans: SpanConfig
    ) -> list[RelationSummary]:
        """What holds between whom and when."""
        return summarise_relations(state, self.graph(state, spans).relations)

    def graph(self, state: SessionState, spans: SpanConfig) -> SceneGraph:
        """The graph of a state, without its provenance."""
        key = state, spans
        with self._lock:
            if self._last is None or self._last[0] != key:
                graph = build_graph(state, self._labeller, spans, self._video)
                self._last = key, graph
            return self._last[1]

    def close(self) -> None:
        """Stop decoding ahead, and hold nothing any more."""
        with self._lock:
            self._finalizer()
            self._labeller.clear()
            self._last = None


def view_frame(
    state: SessionState, frame: int, guesses: Sequence[PairPrediction]
) -> FrameView:
    """What is known of one frame, with the guesses on it."""
    objects = []
    for shown_id, group in state.shown.items():
        category, score, fixed = _category(state, shown_id, guesses)
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
        for g in sorted(guesses, key=lambda g: -g.confidence)
    )
    tracked, stale = frame in state.records, state.is_stale(frame)
    return FrameView(frame, tuple(objects), relations, tracked, stale)


def summarise_objects(
    state: SessionState, guesses: Mapping[int, list[PairPrediction]]
) -> list[ObjectSummary]:
    """All objects, in the order they came."""
    spoken = [guess for found in guesses.values() for guess in found]
    summaries = []
    for shown_id, group in state.shown.items():
        category, score, fixed = _category(state, shown_id, spoken)
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
    """The relations of a graph, and which of them a person fixed."""
    said = {(*fix.pair, fix.predicate) for fix in state.active_fixes}
    return [
        RelationSummary(*key, r.spans, r.score, key in said)
        for r in relations
        for key in [(r.subject_id, r.object_id, r.predicate)]
    ]


def _role(group: tuple[TrackedObject, ...]) -> str:
    return SUBJECT if any(t.role == SUBJECT for t in group) else OBJECT


def _category(
    state: SessionState, shown_id: int, guesses: Sequence[PairPrediction]
) -> tuple[str, float, bool]:
    """Category, score, and whether a person fixed it."""
    said = state.category(shown_id)
    if said is not None:
        return said, 1.0, True
    votes = [(g.subject_category, g.subject_score) for g in guesses if g[0] == shown_id]
    votes += [(g.object_category, g.object_score) for g in guesses if g[1] == shown_id]
    name, _ = vote(votes)
    agreed = sum(score for said, score in votes if said == name)
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
