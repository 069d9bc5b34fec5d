"""An interactive session on a video: click, track, correct, undo, take the graph away.

All that a page or a script does is a method here. A session is used by one thread at a
time; `cancel` and the views may be called from others while it tracks.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from c2g_jax.click2graph import Click2Graph
from c2g_jax.export import write_scene_graph
from c2g_jax.rle import encode_mask
from c2g_jax.session import edits, views
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.engine import Engine
from c2g_jax.session.exporting import write_export
from c2g_jax.session.file import write_session
from c2g_jax.session.graphs import Source, build_graph, provenance
from c2g_jax.session.labels import Labeller
from c2g_jax.session.propagate import propagate
from c2g_jax.session.ranges import FORWARD, check_frame, choose_ranges
from c2g_jax.session.state import (
    Observation,
    PredicateFix,
    PromptItem,
    SessionState,
    is_stale,
)
from c2g_jax.session.views import (
    FrameView,
    ObjectSummary,
    RelationSummary,
    TrackUpdate,
)
from c2g_jax.spans import SpanConfig
from c2g_jax.types import InputError, Prompt, SceneGraph
from c2g_jax.video import Video


class Session:
    """A video, what was said of it, and what follows; made by `c2g_jax.open`."""

    def __init__(
        self,
        video: Video,
        model: Click2Graph,
        source: Source | None = None,
        spans: SpanConfig | None = None,
        adapt: AdaptConfig | None = None,
        autosave: str | Path | None = None,
        cached_frames: int = 8,
    ):
        self.video, self.model, self.source = video, model, source or Source()
        self.spans, self.adapt = spans or SpanConfig(), adapt or AdaptConfig()
        self.autosave = None if autosave is None else Path(autosave)
        self._engine = Engine(model, video, cached_frames)
        self._labeller = Labeller(model, self.adapt)
        self._state = SessionState()
        self._done: list[tuple[str, SessionState]] = []  # what, and the state before
        self._undone: list[tuple[str, SessionState]] = []  # what, and the state after
        self._graph: tuple[SessionState, float, SceneGraph] | None = None  # the last
        # Views wait for each other, and not for the step that tracking is in.
        self._lock, self._seeing = threading.RLock(), threading.RLock()
        self._stop = threading.Event()
        self._tracking = False

    # What is said of objects

    def click(
        self,
        frame: int,
        x: float,
        y: float,
        positive: bool = True,
        object_id: int | None = None,
    ) -> FrameView:
        """Point at an object, or (`positive` False) at what is not part of it.

        Without an `object_id` the point begins a new subject; with one it corrects that
        object, on any frame. Tracking from there on takes it up.
        """
        point = PromptItem("point", (float(x), float(y)), bool(positive))
        return self._prompt(frame, point, object_id)

    def box(
        self,
        frame: int,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        object_id: int | None = None,
    ) -> FrameView:
        """Draw a box around an object; it takes the place of what was said there."""
        corners = (float(x1), float(y1), float(x2), float(y2))
        return self._prompt(frame, PromptItem("box", box=corners), object_id)

    def mask(
        self, frame: int, mask: np.ndarray, object_id: int | None = None
    ) -> FrameView:
        """Give an object's mask, bool [H, W]; it takes the place of what was said."""
        mask = np.asarray(mask, bool)
        Prompt(frame, object_id or 0, mask=mask).check(
            self.video.width, self.video.height, self.video.num_frames
        )
        return self._prompt(
            frame, PromptItem("mask", mask=encode_mask(mask)), object_id
        )

    def add_object(self, subject_id: int, frame: int, x: float, y: float) -> FrameView:
        """Point at an object that has to do with a subject, where none was found."""
        item = PromptItem("point", (float(x), float(y)))
        self._check_prompt(frame, item)

        def act(state: SessionState) -> SessionState:
            state, thing = edits.object_of(state, subject_id)
            return edits.prompt(self._engine, state, thing, frame, item)

        self._act(f"object of {subject_id} on frame {frame}", act)
        return self.view(frame)

    def delete_prompt(self, frame: int, object_id: int, index: int) -> FrameView:
        """Take back a point, box or mask, by its place in the list of the view.

        What tracking had found there comes back. An object that a person began goes
        with its last prompt.
        """

        def act(state: SessionState) -> SessionState:
            return edits.delete_prompt(self._engine, state, object_id, frame, index)

        self._check_frame(frame)
        self._act(f"prompt taken back on frame {frame}", act)
        return self.view(frame)

    def remove(self, object_id: int) -> None:
        """Take an object away; a subject takes along what it alone led to."""
        self._act(f"object {object_id} removed", lambda s: edits.remove(s, object_id))

    # Tracking

    def track(
        self,
        start: int | None = None,
        stop: int | None = None,
        direction: str = FORWARD,
    ) -> Iterator[TrackUpdate]:
        """Follow all objects frame by frame; yields each frame as soon as it is done.

        Forward from `start` to `stop` (both included), or backward from `start` down to
        `stop`; "both" goes forward to the end of the range and then back from where it
        began. By default it takes up what was said last and not tracked yet, else it
        goes on where tracking ended, else it begins anew. However it ends, by `cancel`,
        an error, or because nobody asks on, it is one action, and what is done stays.
        """
        count = self.video.num_frames
        return self._track(choose_ranges(self._state, count, start, stop, direction))

    def cancel(self) -> None:
        """Let `track` end after the step that runs; from any thread."""
        self._stop.set()

    # Labels

    def rename(self, object_id: int, category: str | None) -> None:
        """Fix an object's category; None leaves it to the model again.

        Other objects that look alike are named anew too.
        """
        names = self._labeller.objects
        what = f"object {object_id} is {category or 'named by the model'}"
        self._act(what, lambda s: edits.rename(s, object_id, category, names))

    def set_predicate(
        self,
        subject_id: int,
        object_id: int,
        predicate: str | None,
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        """Fix what holds between two objects, over a span or (None) the whole clip."""
        first = 0 if start is None else start
        last = self.video.num_frames - 1 if stop is None else stop
        self._check_frame(first)
        self._check_frame(last)
        if last < first:
            raise InputError(f"the span {first} to {last} is empty: end it later")
        fix = PredicateFix(subject_id, object_id, predicate, first, last)
        names = self._labeller.predicates
        what = f"{subject_id} {predicate or 'not related to'} {object_id}"
        self._act(what, lambda s: edits.fix_predicate(s, fix, names))

    def reject(
        self,
        subject_id: int,
        object_id: int,
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        """Say that two objects have nothing to do with each other."""
        self.set_predicate(subject_id, object_id, None, start, stop)

    # Undo

    @property
    def can_undo(self) -> bool:
        return bool(self._done) and not self._tracking

    @property
    def can_redo(self) -> bool:
        return bool(self._undone) and not self._tracking

    def undo(self) -> str:
        """Take back the last action, whatever it was; returns its name."""
        return self._turn(self._done, self._undone, "undo")

    def redo(self) -> str:
        """Do again what was undone last; returns its name."""
        return self._turn(self._undone, self._done, "redo")

    # Views

    def image(self, frame: int) -> np.ndarray:
        """A frame, uint8 [H, W, 3]."""
        self._check_frame(frame)
        with self._seeing:
            return self._engine.image(frame)

    def view(self, frame: int) -> FrameView:
        """What is known of a frame: objects, masks, prompts, relations."""
        self._check_frame(frame)
        with self._seeing:
            return views.view_frame(self._state, self._labeller, frame)

    def objects(self) -> list[ObjectSummary]:
        """All objects over the whole clip, in the order they came."""
        with self._seeing:
            state = self._state
            guesses = self._labeller.guesses(state, sorted(state.notes))
            return views.summarise_objects(state, guesses)

    def relations(self, threshold: float = 0.0) -> list[RelationSummary]:
        """What holds between whom and when, of guesses as sure as `threshold`."""
        with self._seeing:
            graph = self.graph(threshold)
            fixed = {
                (fix.subject_id, fix.object_id, fix.predicate)
                for fix in self._state.standing_fixes
            }
        return [
            RelationSummary(
                r.subject_id,
                r.object_id,
                r.predicate,
                r.spans,
                r.score,
                (r.subject_id, r.object_id, r.predicate) in fixed,
            )
            for r in graph.relations
        ]

    def tracked_frames(self) -> list[int]:
        """Frames that tracking has done, stale or not."""
        return sorted(self._state.notes)

    def stale_frames(self) -> list[int]:
        """Frames that would change if they were tracked anew."""
        state = self._state
        return [t for t in sorted(state.notes) if is_stale(state, t)]

    def graph(self, threshold: float = 0.0) -> SceneGraph:
        """The scene graph of all that is known so far, as `predict` makes it."""
        known = self._graph
        if known is not None and known[:2] == (self._state, threshold):
            return known[2]
        with self._seeing:
            state = self._state
            graph = build_graph(
                state, self._labeller, self.spans, self.video, threshold
            )
        made_by = provenance(state, self.model.config.sam2.size, self.source)
        graph = dataclasses.replace(graph, provenance=made_by)
        self._graph = state, threshold, graph
        return graph

    def save_graph(self, path: str | Path, threshold: float = 0.0) -> None:
        """Write the graph as scene_graph.json."""
        write_scene_graph(path, self.graph(threshold))

    def save(self, path: str | Path) -> None:
        """Write the session as one file, from which `c2g_jax.open_session` goes on."""
        with self._lock:
            write_session(Path(path), self)

    def history(self) -> tuple[SessionState, list, list]:
        """The state, and what was done and undone: (name, state to go back to)."""
        return self._state, list(self._done), list(self._undone)

    def resume(self, state: SessionState, done: list, undone: list) -> None:
        """Be where `history` says."""
        self._state, self._done, self._undone = state, list(done), list(undone)

    def logits_of(self, observation: Observation) -> np.ndarray | None:
        """The small logits of an observation, where they are held."""
        return self._engine.logits.get(observation)

    def keep_logits(self, observation: Observation, logits: np.ndarray) -> None:
        self._engine.logits.put(observation, logits)

    def export(self, kind: str, path: str | Path, threshold: float = 0.0) -> None:
        """Write the graph as one of `exporting.FILES`: scene_graph, open_pvsg, coco,
        graphml, csv or overlay. "open_pvsg" makes a folder, all others a file."""
        write_export(kind, Path(path), self.graph(threshold), self.video)

    def close(self) -> None:
        """Stop reading the video and drop all caches."""
        self._engine.close()

    as_json = staticmethod(views.as_json)

    # Within

    def _prompt(self, frame: int, item: PromptItem, object_id: int | None) -> FrameView:
        self._check_prompt(frame, item)

        def act(state: SessionState) -> SessionState:
            state, thing = edits.target(state, object_id)
            return edits.prompt(self._engine, state, thing, frame, item)

        whom = "a new subject" if object_id is None else f"object {object_id}"
        self._act(f"{item.kind} for {whom} on frame {frame}", act)
        return self.view(frame)

    def _act(self, what: str, act: Callable[[SessionState], SessionState]) -> None:
        """Go to the state that an action gives, with a way back."""
        with self._lock:
            self._check_idle()
            self._commit(what, self._state, act(self._state))

    def _commit(self, what: str, before: SessionState, after: SessionState) -> None:
        self._state = after
        self._done.append((what, before))
        self._undone.clear()
        self._save_by_itself()

    def _turn(self, source: list, target: list, word: str) -> str:
        with self._lock:
            self._check_idle()
            if not source:
                raise InputError(f"there is nothing to {word}")
            what, state = source.pop()
            target.append((what, self._state))
            self._state = state
            self._save_by_itself()
            return what

    def _save_by_itself(self) -> None:
        if self.autosave is None:
            return
        try:
            self.save(self.autosave)
        except OSError as error:
            raise InputError(
                f"what was done stands, but could not be saved to {self.autosave} "
                f"({error.strerror}): make room, or save elsewhere"
            ) from error

    def _track(self, legs: list[range]) -> Iterator[TrackUpdate]:
        with self._lock:
            self._check_idle()
            self._tracking, before = True, self._state
            self._stop.clear()
        done, total = 0, sum(map(len, legs))
        try:
            for leg in legs:
                steps = propagate(self._engine, self._state, leg)
                while not self._stop.is_set():
                    with self._lock:
                        found = next(steps, None)
                        if found is None:
                            break
                        frame, self._state = found
                        done += 1
                        view = self.view(frame)
                    yield TrackUpdate(frame, done, total, view)
        finally:
            with self._lock:
                self._tracking = False
                if done:
                    self._commit(f"tracked {done} frames", before, self._state)

    def _check_idle(self) -> None:
        if self._tracking:
            raise InputError("the video is being tracked: cancel that, or wait for it")

    def _check_frame(self, frame: int) -> None:
        check_frame(frame, self.video.num_frames)

    def _check_prompt(self, frame: int, item: PromptItem) -> None:
        """InputError unless a point or box lies within the frame."""
        points = np.zeros((0, 2)) if item.point is None else [item.point]
        if item.mask is None:
            Prompt(frame, 0, points, box=item.box).check(
                self.video.width, self.video.height, self.video.num_frames
            )
