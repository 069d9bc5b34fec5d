"""The model and the sessions opened on it; every call runs in the worker's thread."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.checkpoints.description import describe_weights
from c2g_jax.checkpoints.heads import heads_manifest, load_model
from c2g_jax.checkpoints.pretrained import find_checkpoint
from c2g_jax.checkpoints.released.cache import report_on_stderr
from c2g_jax.checkpoints.safetensors import read_manifest
from c2g_jax.cli.compiled import keep_compiled
from c2g_jax.sam2.config import default_dtype
from c2g_jax.session.file import read_session
from c2g_jax.session.opening import open_video
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
    ):
        """`heads`: a heads.safetensors, used in place of the checkpoint's."""
        self.checkpoint, self.cache, self.heads = checkpoint, cache, heads
        self.vocabulary = load_vocabulary()
        self._model = self._source = None
        self.weights: str | None = None  # what they are, once they are loaded

    def load(self, report: Callable[[str], None] | None = None) -> str | None:
        """Load the weights; returns a warning to show to the user, if any.

        report: called with lines about a conversion; by default on stderr.
        """
        if self.cache is not None:
            keep_compiled(self.cache)
        folder = find_checkpoint(self.checkpoint, report)
        self.weights = describe_weights(folder, self.heads, self.checkpoint)
        (report or report_on_stderr)(self.weights)
        self._model, warning = load_model(
            folder, self.heads, dtype=default_dtype(), named=self.checkpoint
        )
        self.vocabulary = self._model.config.vocabulary
        sha256 = read_manifest(folder)["sha256"]
        heads = ()
        if self.heads is not None:
            heads = (str(self.heads), heads_manifest(self.heads)["sha256"])
        self._source = lambda clip: Source(
            str(clip.folder),
            {"fps": clip.fps},
            str(self.checkpoint or folder),
            sha256,
            *heads,
        )
        return warning

    def warm_up(self, report: Callable[[str], None]) -> None:
        """Compile the programs for the first clicks and tracked frames.

        report: called with the name of each stage.
        """
        ramp = np.arange(WARM_SIDE, dtype=np.uint8)
        image = np.broadcast_to(ramp[:, None, None], (WARM_SIDE, WARM_SIDE, 3))
        session = open_video([image] * WARM_FRAMES, model=self._model)
        middle = WARM_SIDE / 2
        try:
            report("compiling the first click")
            session.click(0, middle, middle)
            session.click(0, middle + 9, middle, object_id=1)
            session.click(0, 2, 2, positive=False, object_id=1)
            report("compiling tracking")
            for _ in session.track():
                pass
            report("compiling tracking of two subjects")
            session.click(0, middle, middle / 2)
            for _ in session.track(start=0):
                pass
            session.relations()
        finally:
            session.close()

    def open(self, clip: Clip, saved: Path) -> Any:
        """Open a session on a clip, restored from `saved` if that exists."""
        session = open_video(clip.folder, model=self._model, fps=clip.fps or 5.0)
        session.source = self._source(clip)
        session.video.name, session.video.fps = clip.name, clip.fps
        session.video.times = clip.times
        if saved.exists():
            session.restore(read_session(saved))
        session.autosave = saved
        return session
