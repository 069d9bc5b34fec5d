"""`Session`: prompt, track, correct, annotate, undo and export, on one video.

Its methods are all that the page or a script needs. A session is used by one thread at
a time; `cancel` and the views may be called from others while it tracks or finds.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.prior import Prior
from c2g_jax.media.video import Video
from c2g_jax.session.adapt import AdaptConfig
from c2g_jax.session.core import SUGGEST, TAKE
from c2g_jax.session.frame_ranges import FORWARD, choose_ranges
from c2g_jax.session.identity import Identity
from c2g_jax.session.likely_names import LikelyNames
from c2g_jax.session.prompting import Prompting
from c2g_jax.session.saving import Saving
from c2g_jax.session.session_graph import Source
from c2g_jax.session.suggestions import Suggestions
from c2g_jax.session.tracking_pass import track_frames
from c2g_jax.session.unfinished import Unfinished, unfinished
from c2g_jax.session.views import TrackUpdate, as_json
from c2g_jax.tracking.spans import SpanConfig


class Session(Prompting, Suggestions, Identity, LikelyNames, Saving):
    """An interactive session on a video; made by `c2g_jax.open`.

    `spans` configure the smoothing of relations, `adapt` the feedback of corrections,
    by default as in the model's settings. A model without any shows the best relations
    of each subject. With `autosave` the session is saved to that file after every
    action. `guesses`: "take" what the model finds and guesses, or "suggest" it, to be
    accepted or dismissed; a model without trained heads guesses nothing. `prior`
    ranks the names that are likely next.
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
        guesses: str = TAKE,
        prior: Prior | None = None,
    ):
        super().__init__(video, model, source, spans, adapt, cached_frames, guesses)
        self.prior = prior
        self.autosave = autosave

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
        error or a closed iterator, it is one action, and the frames done stay. When it
        ends, found objects that queries met on one frame alone are dropped, unless a
        person told anything of them, or the next frame may meet them again.
        """
        self._history.check_open()
        count, state = self.video.num_frames, self._history.now
        return self._track(choose_ranges(state, count, start, stop, direction))

    def cancel(self) -> None:
        """End `track` or `finding` after the current frame; for any thread."""
        self._history.cancel()

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

    def unfinished(self) -> Unfinished:
        """Return the frames that are left to track, for a data set of the session.

        They are those where an object is neither followed nor told, and those that are
        stale.
        """
        state, suggests = self._history.now, self.guesses == SUGGEST
        ids = [i for i in state.shown if not suggests or i in state.accepted]
        return unfinished(state, ids, self.video.num_frames)

    def _track(self, ranges: list[range]) -> Iterator[TrackUpdate]:
        total = sum(map(len, ranges))
        track = functools.partial(track_frames, self._engine)
        with contextlib.closing(self._history.follow(ranges, track)) as frames:
            for done, frame in enumerate(frames, 1):
                yield TrackUpdate(frame, done, total, self.view(frame))

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

    # The video, and the end

    def image(self, frame: int) -> np.ndarray:
        """Return a frame, uint8 [H, W, 3]."""
        self._history.check_open()
        return self._viewer.image(self._frame(frame))

    def prepare(self, frame: int) -> None:
        """Encode a frame now, so that the next click on it is quick."""
        frame = self._frame(frame)
        self._history.check_open()
        self._engine.features(frame)

    as_json: Any = staticmethod(as_json)

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
