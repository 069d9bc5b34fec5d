"""Views of a session's states, from any thread, also while it tracks."""

import itertools
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
from c2g_jax.session.session_graph import build_graph, category_of
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.state_parts import OBJECT, SUBJECT, TrackedObject
from c2g_jax.session.views import (
    ACCEPTED,
    SUGGESTED,
    FrameView,
    ObjectSummary,
    ObjectView,
    PromptView,
    RelationSummary,
    RelationView,
)
from c2g_jax.tracking.scene_graph import in_view
from c2g_jax.tracking.spans import SpanConfig, cut_spans, frames_of, merge_spans
from c2g_jax.types import Relation, SceneGraph


class Viewer:
    """Makes views of states; caches a few frames, labels of pairs and the last graph.

    Views wait for each other, but not for a step of tracking.
    """

    def __init__(
        self,
        model: Click2Graph,
        video: Video,
        adapt: AdaptConfig,
        suggests: bool = False,
    ):
        """`suggests`: what the model finds and guesses is suggested, not accepted."""
        self._video, self._labeller = video, Labeller(model, adapt)
        self.suggests = suggests
        # A reader of its own: views must not make tracking seek in the video.
        self._reader = FrameReader(video, None)
        self._finalizer = weakref.finalize(self, self._reader.close)
        self._lock = threading.RLock()
        self._graphs: dict[tuple, SceneGraph] = {}
        self._fingerprint: Fingerprint | None = None

    @property
    def adapt(self) -> AdaptConfig:
        """How corrections change the labels of others."""
        return self._labeller.config

    @adapt.setter
    def adapt(self, config: AdaptConfig) -> None:
        with self._lock:
            self._labeller.config = config
            self._graphs.clear()
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
            return view_frame(state, frame, predictions, self.suggests)

    def objects(self, state: SessionState) -> list[ObjectSummary]:
        """Return all objects of a state over the clip, in the order of creation."""
        with self._lock:
            frames = sorted(state.records) if self._labeller.trained else ()
            predictions = self._labeller.predict(state, frames)
            return summarise_objects(state, predictions, self.suggests)

    def relations(
        self, state: SessionState, spans: SpanConfig
    ) -> list[RelationSummary]:
        """Return the relations of a state with their spans, those accepted first."""
        everything = self._graph(state, spans, False).relations
        if not self.suggests:
            return summarise_relations(state, everything)
        accepted = self._graph(state, spans, True).relations
        found = summarise_relations(state, accepted)
        held = {(r.subject_id, r.object_id, r.predicate): r.spans for r in accepted}
        for r in everything:
            triple = r.subject_id, r.object_id, r.predicate
            left = frames_of(r.spans) - frames_of(held.get(triple, ()))
            drawn = r.predicate in state.drawn_of.get(triple[:2], {})
            if left and not drawn:
                spans = merge_spans(left)
                found.append(RelationSummary(*triple, spans, r.score, False, SUGGESTED))
        return found

    def graph(self, state: SessionState, spans: SpanConfig) -> SceneGraph:
        """Return the scene graph of a state, without its provenance.

        What is suggested is not in it, nor what has no mask: such a file could not be
        read again.
        """
        return in_view(self._graph(state, spans, self.suggests))

    def _graph(
        self, state: SessionState, spans: SpanConfig, accepted: bool
    ) -> SceneGraph:
        """Do the same; `accepted`: of what was accepted alone."""
        key = state, spans, accepted
        with self._lock:
            if key not in self._graphs:
                # Two of a state at most: everything, and what was accepted.
                if len(self._graphs) > self.suggests:
                    self._graphs.clear()
                self._graphs[key] = build_graph(
                    state, self._labeller, spans, self._video, accepted
                )
            return self._graphs[key]

    def close(self) -> None:
        """Stop decoding ahead and empty all caches."""
        with self._lock:
            self._finalizer()
            self._labeller.clear()
            self._graphs.clear()


def view_frame(
    state: SessionState,
    frame: int,
    predictions: Sequence[PairPrediction],
    suggests: bool = False,
) -> FrameView:
    """Return the view of one frame, from its state and the predictions on it."""
    objects = []
    for shown_id, group in state.shown.items():
        category, score, fixed = category_of(state, shown_id, predictions)
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
                _word(not suggests or shown_id in state.accepted),
            )
        )
    relations = tuple(
        RelationView(
            g.subject_id,
            g.object_id,
            g.predicate,
            g.confidence,
            g.fixed,
            _word(not suggests or g.fixed),
        )
        for g in sorted(predictions, key=lambda g: -g.confidence)
    )
    tracked, stale = frame in state.records, state.is_stale(frame)
    return FrameView(frame, tuple(objects), relations, tracked, stale)


def summarise_objects(
    state: SessionState,
    predictions: Mapping[int, list[PairPrediction]],
    suggests: bool = False,
) -> list[ObjectSummary]:
    """Summarise all objects, in the order of creation."""
    flat = [prediction for found in predictions.values() for prediction in found]
    summaries = []
    for shown_id, group in state.shown.items():
        category, score, fixed = category_of(state, shown_id, flat)
        # Where a person split: objects that were merged may touch without a split.
        starts = {
            first
            for obj in group
            for (_, last), (first, _) in itertools.pairwise(obj.presence or ())
            if first == last + 1
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
                cut_spans(merge_spans(state.visible(shown_id)), starts),
                tuple(prompted),
                _word(not suggests or shown_id in state.accepted),
            )
        )
    return summaries


def summarise_relations(
    state: SessionState, relations: Sequence[Relation]
) -> list[RelationSummary]:
    """Summarise the relations of a graph; mark those that a person fixed."""
    fixed = {(*fix.pair, fix.predicate) for fix in state.active_fixes}
    found = []
    for r in relations:
        triple = r.subject_id, r.object_id, r.predicate
        # Drawn spans may touch, which those of a graph do not.
        drawn = state.drawn_of.get(triple[:2], {}).get(r.predicate)
        told = drawn is not None or triple in fixed
        found.append(RelationSummary(*triple, drawn or r.spans, r.score, told))
    return found


def _word(accepted: bool) -> str:
    return ACCEPTED if accepted else SUGGESTED


def _role(group: tuple[TrackedObject, ...]) -> str:
    return SUBJECT if any(t.role == SUBJECT for t in group) else OBJECT


def _prompts(group: tuple[TrackedObject, ...], frame: int) -> Iterator[PromptView]:
    for obj in group:
        if frame not in obj.prompts:
            continue
        for item in obj.prompts[frame].items:
            if item.kind == "point":
                yield PromptView("point", *item.point, int(item.positive))
            else:
                yield PromptView(item.kind, box=item.box)
