"""What the parts of a `Session` share: the video, the model, the state, the views."""

from collections.abc import Callable
from typing import Any

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.media.video import Video
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.arguments import check_frame
from c2g_jax.session.engine import Engine
from c2g_jax.session.history import History
from c2g_jax.session.session_graph import Source
from c2g_jax.session.session_state import SessionState
from c2g_jax.session.viewer import Viewer
from c2g_jax.session.views import FrameView, ObjectSummary, RelationSummary
from c2g_jax.tracking.spans import SpanConfig
from c2g_jax.types import InputError, whole
from c2g_jax.vocabulary import Vocabulary

TAKE, SUGGEST, OFF = "take", "suggest", "off"


class SessionCore:
    """The state of a session and its views. For the arguments see `Session`."""

    def __init__(
        self,
        video: Video,
        model: Click2Graph,
        source: Source | None = None,
        spans: SpanConfig | None = None,
        adapt: AdaptConfig | None = None,
        cached_frames: int = 8,
        guesses: str = TAKE,
    ):
        self.video, self.model, self.source = video, model, source or Source()
        self.spans = _config(spans, "spans", model.config.spans)
        adapt = _config(adapt, "adapt", model.config.adapt)
        suggests = _check_guesses(guesses) == SUGGEST
        self._engine = Engine(model, video, cached_frames)
        self._viewer = Viewer(model, video, adapt, suggests)
        self._history = History(self._changed)

    @property
    def adapt(self) -> AdaptConfig:
        """How corrections change the labels of similar objects; may be replaced."""
        return self._viewer.adapt

    @adapt.setter
    def adapt(self, config: AdaptConfig) -> None:
        self._viewer.adapt = _config(config, "adapt", self.model.config.adapt)

    @property
    def guesses(self) -> str:
        """How the model's guesses are treated; may be set to "take" or "suggest".

        "take": they count at once. "suggest": they count once a person accepts them.
        "off": the checkpoint holds SAM2.1 alone, and nothing is guessed.
        """
        if not self.model.config.trained:
            return OFF
        return SUGGEST if self._viewer.suggests else TAKE

    @guesses.setter
    def guesses(self, what: str) -> None:
        self._viewer.suggests = _check_guesses(what) == SUGGEST

    @property
    def vocabulary(self) -> Vocabulary:
        """The names that may be given: the session's own, by default the model's."""
        return self._history.now.vocabulary or self.model.config.vocabulary

    # Views

    def view(self, frame: int) -> FrameView:
        """Return the view of a frame: objects, masks, prompts, relations."""
        return self._viewer.view(self._history.now, self._frame(frame))

    def objects(self, threshold: float | None = None) -> list[ObjectSummary]:
        """Return all objects over the clip, in the order of creation.

        With a `threshold`, suggested ones without a relation in `relations(threshold)`
        are left out.
        """
        found = self._viewer.objects(self._history.now)
        if threshold is None or self.guesses != SUGGEST:
            return found
        related = {
            i for r in self.relations(threshold) for i in (r.subject_id, r.object_id)
        }
        accepted = self._history.now.accepted
        return [o for o in found if o.object_id in accepted | related]

    def relations(self, threshold: float | None = None) -> list[RelationSummary]:
        """Return the relations with their spans; those that are suggested come last.

        `threshold` is the least confidence of a prediction on a frame; None: that of
        `spans`.
        """
        return self._viewer.relations(self._history.now, self.spans.at_least(threshold))

    # For the parts

    def _frame(self, frame: int) -> int:
        """Return a frame number as an int; InputError unless the video has it."""
        return check_frame(frame, self.video.num_frames)

    def _shown(self, object_id: int, name: str = "object_id") -> int:
        """Return the id under which an object is shown; InputError for none."""
        object_id = whole(object_id, name)
        self._history.now.object(object_id)
        return self._history.now.shown_id(object_id)

    def _act(self, what: str, change: Callable[[SessionState], SessionState]) -> None:
        """Make a change, under a name for undo, and save."""
        self._history.act(what, change)

    def _changed(self) -> None:
        """Called after every change; `Saving` saves."""


def _check_guesses(what: str) -> str:
    if what not in (TAKE, SUGGEST):
        raise InputError(f"guesses is {what!r}: give {TAKE!r} or {SUGGEST!r}")
    return what


def _config(given: Any, name: str, default: Any) -> Any:
    """Return a configuration, for None the default; InputError for another type."""
    kind = type(default)
    if given is not None and not isinstance(given, kind):
        raise InputError(f"{name} is {given!r}: give {kind.__name__}(...)")
    return default if given is None else given
