"""Looking at a session, from any thread, also while it tracks."""

import threading
import weakref

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.media.video import Video
from c2g_jax.sam2.predictors.frame_reader import FrameReader
from c2g_jax.session import summaries
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.graphs import build_graph
from c2g_jax.session.labels import Labeller
from c2g_jax.session.likeness import Likeness, take
from c2g_jax.session.state import SessionState
from c2g_jax.session.views import FrameView, ObjectSummary, RelationSummary
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.types import SceneGraph


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
        self._likeness: Likeness | None = None

    def image(self, frame: int) -> np.ndarray:
        """uint8 [H, W, 3]."""
        with self._lock:
            return self._reader.read(frame)

    def likeness(self) -> Likeness:
        """What the video looks like, by which it is known again; read once."""
        with self._lock:
            if self._likeness is None:
                self._likeness = take(self._reader, self._video.num_frames)
            return self._likeness

    def view(self, state: SessionState, frame: int) -> FrameView:
        """What a state knows of a frame, with the model's guesses."""
        with self._lock:
            guesses = self._labeller.guesses(state, [frame]).get(frame, [])
            return summaries.view_frame(state, frame, guesses)

    def objects(self, state: SessionState) -> list[ObjectSummary]:
        """All objects of a state over the whole clip, in the order they came."""
        with self._lock:
            guesses = self._labeller.guesses(state, sorted(state.notes))
            return summaries.summarise_objects(state, guesses)

    def relations(
        self, state: SessionState, spans: SpanConfig
    ) -> list[RelationSummary]:
        """What holds between whom and when."""
        return summaries.summarise_relations(state, self.graph(state, spans).relations)

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
