"""`Session`: prompt, track, correct, undo and export, on one video.

Its methods are all that the page or a script needs. A session is used by one thread at
a time; `cancel` and the views may be called from others while it tracks.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.prior import Prior
from c2g_jax.media.video import Video
from c2g_jax.session import arguments, automatic, edits
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.arguments import check_frame, choose_span, writable_path, writing
from c2g_jax.session.engine import Engine
from c2g_jax.session.exporting import check_kind, write_export
from c2g_jax.session.file import SavedSession, write_session
from c2g_jax.session.frame_ranges import FORWARD, choose_ranges
from c2g_jax.session.history import History, Step
from c2g_jax.session.ranking import NameRanking, relations_made
from c2g_jax.session.session_graph import Source, provenance
from c2g_jax.session.session_state import PredicateFix, PromptItem, SessionState
from c2g_jax.session.tracking_pass import track_frames
from c2g_jax.session.viewer import Viewer
from c2g_jax.session.views import (
    FOLDERS,
    FrameView,
    ObjectSummary,
    RelationSummary,
    TrackUpdate,
    as_json,
)
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.types import AutoRules, InputError, SceneGraph, whole


class Session:
    """An interactive session on a video; made by `c2g_jax.open`.

    `spans` configure the smoothing of relations, `adapt` the feedback of corrections,
    by default as in the model's settings. A model without any shows the best relations
    of each subject.
    With `autosave` the session is saved to that file after every action.
    """

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
        self.spans = _config(spans, "spans", model.config.spans)
        adapt = _config(adapt, "adapt", model.config.adapt)
        self.autosave = autosave
        self._engine = Engine(model, video, cached_frames)
        self._viewer = Viewer(model, video, adapt)
        self._history = History(self._save_automatically)
        self.prior = None

    @property
    def adapt(self) -> AdaptConfig:
        """How corrections change the labels of similar objects; may be replaced."""
        return self._viewer.adapt

    @adapt.setter
    def adapt(self, config: AdaptConfig) -> None:
        self._viewer.adapt = _config(config, "adapt", AdaptConfig())

    @property
    def autosave(self) -> Path | None:
        """The file that the session is saved to after every action, if any."""
        return self._autosave

    @autosave.setter
    def autosave(self, path: str | Path | None) -> None:
        self._autosave = None if path is None else writable_path(path, self.source.path)

    # Prompts

    def click(
        self,
        frame: int,
        x: float,
        y: float,
        positive: bool = True,
        object_id: int | None = None,
    ) -> FrameView:
        """Add a point on an object, or (`positive` False) on what is not part of it.

        Without an `object_id` the point begins a new subject; with one it corrects that
        object, on any frame. Other frames change when they are tracked again.
        """
        frame = self._frame(frame)
        item = arguments.point(self.video, frame, x, y, positive)
        return self._prompt(frame, item, object_id)

    def box(
        self,
        frame: int,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        object_id: int | None = None,
    ) -> FrameView:
        """Add a box around an object; it replaces the object's prompts on the frame."""
        frame = self._frame(frame)
        item = arguments.box(self.video, frame, (x1, y1, x2, y2))
        return self._prompt(frame, item, object_id)

    def mask(
        self, frame: int, mask: np.ndarray, object_id: int | None = None
    ) -> FrameView:
        """Set an object's mask, bool [H, W]; it replaces its prompts on the frame.

        Also 0 and 1, 0 and 255, numbers from 0 to 1, or a PIL image (`media.masks`).
        """
        frame = self._frame(frame)
        return self._prompt(frame, arguments.mask(self.video, frame, mask), object_id)

    def add_object(self, subject_id: int, frame: int, x: float, y: float) -> FrameView:
        """Add an object of a subject by a point on it, where the model found none."""
        subject_id = whole(subject_id, "subject_id")
        frame = self._frame(frame)
        item = arguments.point(self.video, frame, x, y)

        self._history.act(
            f"object of {subject_id} on frame {frame}",
            lambda s: edits.add_object(self._engine, s, subject_id, frame, item),
        )
        return self.view(frame)

    def find_everything(
        self,
        rules: AutoRules | None = None,
        advance: Callable[[int], Any] = lambda frames: None,
    ) -> list[int]:
        """Find every object that stays in view; each is a new subject, by its mask.

        Objects that the session has already are left out. It is one action; returns
        the ids of the new subjects. `advance` is called with the frames done.
        """
        self._history.check_open()
        found = automatic.find_objects(self._engine, rules or AutoRules(), advance)
        known = set(self._history.now.objects)
        self._history.act(
            "everything found",
            lambda s: automatic.with_found(self._engine, s, found),
        )
        return sorted(set(self._history.now.objects) - known)

    def delete_prompt(self, frame: int, object_id: int, index: int) -> FrameView:
        """Delete a point, box or mask, by its index in the view's list of prompts.

        The tracked mask of the frame is restored. An object that a person added is
        removed with its last prompt.
        """
        frame, index = self._frame(frame), whole(index, "index")
        object_id = whole(object_id, "object_id")

        self._history.act(
            f"prompt deleted on frame {frame}",
            lambda s: edits.delete_prompt(self._engine, s, object_id, frame, index),
        )
        return self.view(frame)

    def remove(self, object_id: int) -> None:
        """Remove an object; with a subject, also the objects of that subject alone."""
        object_id = whole(object_id, "object_id")
        self._history.act(
            f"object {object_id} removed", lambda s: edits.remove(s, object_id)
        )

    # Tracking

    def track(
        self,
        start: int | None = None,
        stop: int | None = None,
        direction: str = FORWARD,
    ) -> Iterator[TrackUpdate]:
        """Track all objects frame by frame; yield each frame as soon as it is done.

        Forward from `start` to `stop` (both included), or backward from `start` down to
        `stop`; "both" goes forward from the first prompt to the end of the range, then
        back from that prompt. By default it starts at new prompts that were not tracked
        yet, else at the first frame that is stale or was not tracked, else anew. A
        correction changes frames on both sides of it. However it ends, by `cancel`, an
        error or a closed iterator, it is one action, and the frames done stay.
        """
        self._history.check_open()
        count, state = self.video.num_frames, self._history.now
        return self._track(choose_ranges(state, count, start, stop, direction))

    def cancel(self) -> None:
        """End `track` after the current frame; may be called from any thread."""
        self._history.cancel()

    # Labels

    def rename(self, object_id: int, category: str | None) -> None:
        """Set an object's category; None restores the model's.

        The categories of other objects that look alike may change too.
        """
        object_id = whole(object_id, "object_id")
        names = self.model.config.vocabulary.objects
        what = f"object {object_id} is {category or 'named by the model'}"
        self._history.act(what, lambda s: edits.rename(s, object_id, category, names))

    def set_predicate(
        self,
        subject_id: int,
        object_id: int,
        predicate: str | None,
        start: int | None = None,
        stop: int | None = None,
    ) -> None:
        """Set the predicate of two objects, on a span or (None) the whole clip.

        A predicate of None says that they are not related.
        """
        subject_id = whole(subject_id, "subject_id")
        object_id = whole(object_id, "object_id")
        first, last = choose_span(start, stop, self.video.num_frames)
        fix = PredicateFix(subject_id, object_id, predicate, first, last)
        names = self.model.config.vocabulary.predicates
        what = f"{subject_id} {predicate or 'not related to'} {object_id}"
        self._history.act(what, lambda s: edits.fix_predicate(s, fix, names))

    @property
    def prior(self) -> Prior | None:
        """What annotations say of named pairs, for both rankings; may be replaced."""
        return self._prior

    @prior.setter
    def prior(self, prior: Prior | None) -> None:
        self._prior = prior
        self._ranking = NameRanking(self.model.config.vocabulary, prior)

    def likely_predicates(self, subject_id: int, object_id: int) -> list[str]:
        """Return all predicates, the likeliest for two objects first.

        By `prior`, and by the relations that a person made in the session.
        """
        names = self._names()
        pair = [names.get(self._known(i)) for i in (subject_id, object_id)]
        made = relations_made(self._history.now, names)
        return self._ranking.predicates(*pair, made)

    def likely_objects(self, subject_id: int) -> list[str]:
        """Return all categories, the likeliest for an object of a subject first."""
        names = self._names()
        made = relations_made(self._history.now, names)
        return self._ranking.objects(names.get(self._known(subject_id)), made)

    def _known(self, object_id: int) -> int:
        """Return the id under which an object is shown; InputError for none."""
        object_id = whole(object_id, "object_id")
        self._history.now.object(object_id)
        return self._history.now.shown_id(object_id)

    def _names(self) -> dict[int, str]:
        return {o.object_id: o.category for o in self.objects()}

    # Undo

    @property
    def can_undo(self) -> bool:
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        return self._history.can_redo

    def undo(self) -> str:
        """Undo the last action and return its name."""
        return self._history.undo()

    def redo(self) -> str:
        """Redo the action undone last and return its name."""
        return self._history.redo()

    # Views

    def image(self, frame: int) -> np.ndarray:
        """Return a frame, uint8 [H, W, 3]."""
        self._history.check_open()
        return self._viewer.image(self._frame(frame))

    def view(self, frame: int) -> FrameView:
        """Return the view of a frame: objects, masks, prompts, relations."""
        return self._viewer.view(self._history.now, self._frame(frame))

    def objects(self) -> list[ObjectSummary]:
        """Return all objects over the clip, in the order of creation."""
        return self._viewer.objects(self._history.now)

    def relations(self, threshold: float | None = None) -> list[RelationSummary]:
        """Return the relations with their spans.

        `threshold` is the least confidence of a prediction on a frame; None: that of
        `spans`.
        """
        return self._viewer.relations(self._history.now, self.spans.at_least(threshold))

    def tracked_frames(self) -> list[int]:
        """Return the tracked frames, stale or not."""
        return sorted(self._history.now.records)

    def stale_frames(self) -> list[int]:
        """Return the tracked frames that would change if they were tracked again.

        Prompts act on both sides of their frame: a new, changed or deleted one makes
        all frames stale on which its object is followed and has no own prompt.
        """
        state = self._history.now
        return [t for t in sorted(state.records) if state.is_stale(t)]

    def graph(self, threshold: float | None = None) -> SceneGraph:
        """Return the scene graph so far, in the form of `predict`'s.

        `threshold` as in `relations`.
        """
        state = self._history.now
        graph = self._viewer.graph(state, self.spans.at_least(threshold))
        made_by = provenance(state, self.model.config.sam2.size, self.source)
        return dataclasses.replace(graph, provenance=made_by)

    as_json = staticmethod(as_json)

    # Files

    def save_graph(self, path: str | Path, threshold: float | None = None) -> None:
        """Write the graph as scene_graph.json."""
        self.export("scene_graph", path, threshold)

    def save(self, path: str | Path) -> None:
        """Write the session to a file, for `c2g_jax.open_session`."""
        with self._history.lock, writing(path, self.source.path) as place:
            self._history.check_open()
            write_session(self._saved(place), self._engine.logits.get)

    def export(
        self,
        kind: str,
        path: str | Path,
        threshold: float | None = None,
        frames: bool = False,
    ) -> None:
        """Write the graph as one of `views.EXPORTS`: scene_graph, open_pvsg, coco,
        graphml, csv or overlay. "open_pvsg" makes a folder, all others a file. With
        `frames`, "coco" writes the frames too, to the folder that its names name."""
        check_kind(kind, frames)
        graph, names = self.graph(threshold), self.model.config.vocabulary
        with writing(path, self.source.path, kind in FOLDERS) as place:
            write_export(kind, place, graph, self.video, names, frames)

    def history(self) -> tuple[SessionState, list[Step], list[Step]]:
        """Return the state, and the actions done and undone as (name, state)."""
        history = self._history
        return history.now, list(history.done), list(history.undone)

    def restore(self, saved: SavedSession) -> None:
        """Continue from a saved session.

        InputError if it was saved on another video, or with another model.
        """
        fingerprint, config = self._viewer.fingerprint(), self.model.config.sam2
        saved.check(self.video, fingerprint, self.source, config)
        for observation, logits in saved.logits:
            self._engine.logits.put(observation, logits)
        self._history.resume(saved.now, saved.done, saved.undone)

    def close(self) -> None:
        """Stop reading the video and empty all caches.

        Views and exports remain possible, but for frames of the video. A running
        `track` ends.
        """
        try:
            self._history.close()
        finally:
            self._engine.close()
            self._viewer.close()

    # Internal

    def _frame(self, frame: int) -> int:
        """Return a frame number as an int; InputError unless the video has it."""
        return check_frame(frame, self.video.num_frames)

    def _prompt(self, frame: int, item: PromptItem, object_id: int | None) -> FrameView:
        if object_id is not None:
            object_id = whole(object_id, "object_id")
        whom = "a new subject" if object_id is None else f"object {object_id}"
        self._history.act(
            f"{item.kind} for {whom} on frame {frame}",
            lambda s: edits.prompt(self._engine, s, object_id, frame, item),
        )
        return self.view(frame)

    def _saved(self, path: Path) -> SavedSession:
        """Return the contents of the session's file."""
        video, config = self.video, self.model.config.sam2
        shape = dict(
            name=video.name,
            width=video.width,
            height=video.height,
            num_frames=video.num_frames,
        )
        return SavedSession(
            path,
            shape,
            self._viewer.fingerprint(),
            self.source,
            self.spans,
            self.adapt,
            config.size,
            config.d_model,
            config.low_res_size,
            *self.history(),
        )

    def _save_automatically(self) -> None:
        """Save to the `autosave` file, if there is one."""
        if self.autosave is None:
            return
        try:
            self.save(self.autosave)
        except InputError as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"what was done stands, but could not be saved to {self.autosave} "
                f"({reason}): make room, or save elsewhere"
            ) from error

    def _track(self, ranges: list[range]) -> Iterator[TrackUpdate]:
        total = sum(map(len, ranges))
        track = functools.partial(track_frames, self._engine)
        with contextlib.closing(self._history.follow(ranges, track)) as frames:
            for done, frame in enumerate(frames, 1):
                yield TrackUpdate(frame, done, total, self.view(frame))


def _config(given: Any, name: str, default: Any) -> Any:
    """Return a configuration, for None the default; InputError for another type."""
    kind = type(default)
    if given is not None and not isinstance(given, kind):
        raise InputError(f"{name} is {given!r}: give {kind.__name__}(...)")
    return default if given is None else given
