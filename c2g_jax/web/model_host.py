"""The model and the sessions opened on it; every call runs in the worker's thread."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.checkpoints.description import describe_weights
from c2g_jax.checkpoints.heads import heads_manifest, load_model
from c2g_jax.checkpoints.pretrained import find_checkpoint
from c2g_jax.checkpoints.released.cache import report_on_stderr
from c2g_jax.checkpoints.safetensors import read_manifest
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.prior import Prior
from c2g_jax.sam2.config import default_dtype
from c2g_jax.session.core import SUGGEST, TAKE
from c2g_jax.session.file import SavedSession, read_session
from c2g_jax.session.opening import open_video
from c2g_jax.session.ranking import check_prior
from c2g_jax.session.session import Session
from c2g_jax.session.session_graph import Source
from c2g_jax.vocabulary import load_vocabulary
from c2g_jax.web.clips import Clip

WARM_FRAMES, WARM_SIDE = 3, 96


class ModelHost:
    """Loads the model and opens sessions."""

    def __init__(
        self,
        checkpoint: Path | None,
        cache: Path | None = None,
        heads: Path | None = None,
        prior: Prior | None = None,
        dtype: str | None = None,
    ):
        """`heads`: a heads.safetensors, used in place of the checkpoint's.

        `prior` ranks the names that the page offers. `dtype` is that of the
        computation, by default the device's.
        """
        self.checkpoint, self.cache, self.heads = checkpoint, cache, heads
        self.prior, self.dtype = prior, dtype
        self.vocabulary = load_vocabulary()
        self._model = self._source = self._other = None
        self.weights: str | None = None  # what they are, once they are loaded

    def load(self, report: Callable[[str], None] | None = None) -> str | None:
        """Load the weights; returns a warning to show to the user, if any.

        report: called with lines about a conversion; by default on stderr, where the
        line about the weights goes.
        """
        if self.cache is not None:
            keep_compiled(self.cache)
        folder = find_checkpoint(self.checkpoint, report)
        self.weights = describe_weights(folder, self.heads, self.checkpoint)
        dtype = self.dtype or default_dtype()
        report_on_stderr(f"{self.weights}; computes in {dtype}")
        self._model, warning = load_model(
            folder, self.heads, dtype=dtype, named=self.checkpoint
        )
        if self.heads is None:  # that nothing is guessed, which `weights` says
            warning = None
        self.vocabulary = self._model.config.vocabulary
        if self.prior is not None:
            check_prior(self.prior, self.vocabulary)
        sha256 = read_manifest(folder)["sha256"]
        heads = ()
        if self.heads is not None:
            heads = (str(self.heads), heads_manifest(self.heads)["sha256"])
        self._source = lambda clip, model: Source(
            str(clip.folder),
            {"fps": clip.fps} | _settings(model),
            str(self.checkpoint or folder),
            sha256,
            *heads,
        )
        return warning

    def warm_up(self, report: Callable[[str], None]) -> None:
        """Compile the programs for the first clicks.

        report: called with the name of each stage.
        """
        with self._warm_session() as session:
            report("compiling the first click")
            self._warm_clicks(session)

    def warm_tracking(self, report: Callable[[str], None]) -> None:
        """Compile the programs of tracking, in any thread, beside a session's use.

        report: called with what is compiled, before each step of it; it may wait.
        """
        with self._warm_session() as session:
            stage = "compiling tracking"
            report(stage)
            self._warm_clicks(session)
            for _ in session.track():
                report(stage)
            stage = "compiling tracking of two subjects"
            report(stage)
            session.click(0, WARM_SIDE / 2, WARM_SIDE / 4)
            for _ in session.track(start=0):
                report(stage)
            session.relations()

    @contextlib.contextmanager
    def _warm_session(self) -> Iterator[Session]:
        ramp = np.arange(WARM_SIDE, dtype=np.uint8)
        image = np.broadcast_to(ramp[:, None, None], (WARM_SIDE, WARM_SIDE, 3))
        session = open_video([image] * WARM_FRAMES, model=self._model)
        try:
            yield session
        finally:
            session.close()

    def _warm_clicks(self, session: Session) -> None:
        middle = WARM_SIDE / 2
        session.click(0, middle, middle)
        session.click(0, middle + 9, middle, object_id=1)
        session.click(0, 2, 2, positive=False, object_id=1)

    def open(self, clip: Clip, saved: Path) -> Session:
        """Open a session on a clip, restored from `saved` if that exists.

        It goes on with the image size and dtype that it was saved with. A new one
        suggests what it finds.
        """
        was = read_session(saved) if saved.exists() else None
        model = self._model if was is None else self._model_for(was)
        session = open_video(
            clip.folder,
            model=model,
            fps=clip.fps or 5.0,
            guesses=SUGGEST if was is None or was.suggests else TAKE,
            prior=self.prior,
        )
        session.source = self._source(clip, model)
        session.video.name, session.video.fps = clip.name, clip.fps
        session.video.times = clip.times
        if was is not None:
            session.restore(was)
        session.autosave = saved
        return session

    def _model_for(self, saved: SavedSession) -> Click2Graph:
        """Return the model with the settings that a session was saved with."""
        own, options = _settings(self._model), saved.source.options
        wanted = own | {k: options[k] for k in own if options.get(k) is not None}
        if wanted == own:
            return self._model
        if self._other is None or _settings(self._other) != wanted:
            self._other = None  # its memory, before that of the next one
            folder = find_checkpoint(self.checkpoint)
            self._other, _ = load_model(
                folder, self.heads, named=self.checkpoint, **wanted
            )
        return self._other


def _settings(model: Click2Graph) -> dict[str, Any]:
    """Return the options of a checkpoint's loading that a session file holds."""
    sam2 = model.config.sam2
    return dict(
        image_size=sam2.image_size,
        dtype=sam2.dtype,
        discover_every=model.config.discover_every,
    )
