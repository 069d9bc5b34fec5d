"""Open a session on a video, or from a session file."""

import functools
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from c2g_jax.checkpoints.description import TOY, describe_weights
from c2g_jax.checkpoints.heads import heads_manifest, load_model
from c2g_jax.checkpoints.pretrained import find_checkpoint
from c2g_jax.checkpoints.safetensors import read_manifest
from c2g_jax.click2graph.model import Click2Graph
from c2g_jax.click2graph.prior import Prior, read_prior
from c2g_jax.media.outputs import path_named
from c2g_jax.media.video import DEFAULT_FPS, check_sampling
from c2g_jax.media.video import open_video as read_video
from c2g_jax.sam2.config import default_dtype
from c2g_jax.session.core import SUGGEST, TAKE
from c2g_jax.session.file import read_session
from c2g_jax.session.session import Session
from c2g_jax.session.session_graph import Source
from c2g_jax.types import InputError, whole

_GIVE = 'checkpoint="sam2.1_hiera_large.pt"'


@functools.cache
def _warn_of_toy(line: str) -> None:
    """Warn, once in a process, that the weights are the toy."""
    if TOY in line:
        # Level 4: the caller of c2g_jax.open.
        warnings.warn(line, stacklevel=4)


def open_video(
    video: str | Path | Iterable[np.ndarray],
    checkpoint: str | Path | None = None,
    *,
    model: Click2Graph | None = None,
    heads: str | Path | None = None,
    fps: float | None = DEFAULT_FPS,
    start: float | None = None,
    end: float | None = None,
    max_frames: int | None = None,
    image_size: int | None = None,
    dtype: str | None = None,
    discover_every: int = 1,
    prior: Prior | str | Path | None = None,
    **options: Any,
) -> Session:
    """Open a session on a video file, a folder of frames, an image or a list of arrays.

    `checkpoint` is a folder of weights, or SAM2.1 as released (.pt, .safetensors, a
    folder of Hugging Face), by default the shipped toy; alternatively `model` is a
    model in memory. `heads` is a heads.safetensors whose DIDM and SCH are
    used in place of the checkpoint's. `fps` frames per second are sampled by time
    (None: every frame), from `start` to `end` seconds. `image_size`, `dtype` (by
    default bfloat16 on a GPU, else float32) and `discover_every` apply to a checkpoint;
    a `model` has its own. `prior` is a prior.json, or one in memory: the names likely
    next come first (`Session.likely_predicates`). Other options are those of `Session`.
    Raises InputError for what cannot be read, and warns of the toy, of a checkpoint
    with SAM2.1 alone, with which nothing is guessed, and of heads that were trained
    around another SAM2.1.
    """
    if model is not None and (checkpoint is not None or heads is not None):
        given = "heads" if checkpoint is None else "a checkpoint"
        raise InputError(f"a model and {given} are given: give one of them")
    if model is not None and not hasattr(model, "config"):
        raise InputError(f"model is {model!r}: give a Click2Graph")
    sampling = check_sampling(fps, start, end, max_frames)._asdict()
    prior = _read_if_path(prior)  # before a model is loaded
    opened = read_video(video, **sampling)
    sha256, heads_sha256 = None, None
    if model is None:
        discover_every = whole(discover_every, "discover_every", 1)
        folder = find_checkpoint(checkpoint)
        line = describe_weights(folder, heads, checkpoint, _GIVE)
        checkpoint = Path(os.path.abspath(path_named(checkpoint or folder)))
        sha256 = read_manifest(folder)["sha256"]
        if heads is not None:
            heads = path_named(heads).resolve()
            heads_sha256 = heads_manifest(heads)["sha256"]
        model, warning = load_model(
            folder,
            heads,
            image_size=image_size,
            dtype=dtype or default_dtype(),
            discover_every=discover_every,
            named=checkpoint,
        )
        if warning is not None:
            # Level 3: the caller of c2g_jax.open.
            warnings.warn(warning, stacklevel=3)
        else:
            _warn_of_toy(line)
    path = None
    if isinstance(video, (str, Path)):
        path = str(Path(os.path.expanduser(video)).resolve())
    config = model.config
    settings = dict(  # those of the model, also of a given one
        sampling,
        image_size=config.sam2.image_size,
        dtype=config.sam2.dtype,
        discover_every=config.discover_every,
    )
    files = (None if file is None else str(file) for file in (checkpoint, heads))
    named, heads_named = files
    source = Source(path, settings, named, sha256, heads_named, heads_sha256)
    return Session(opened, model, source, prior=prior, **options)


def _read_if_path(prior: Prior | str | Path | None) -> Prior | None:
    return read_prior(path_named(prior)) if isinstance(prior, (str, Path)) else prior


def open_session(
    path: str | Path,
    video: str | Path | Iterable[np.ndarray] | None = None,
    checkpoint: str | Path | None = None,
    *,
    model: Click2Graph | None = None,
    heads: str | Path | None = None,
    prior: Prior | str | Path | None = None,
    **options: Any,
) -> Session:
    """Open a session file, exactly as it was saved.

    `video`, `checkpoint` and `heads` are their paths, if they moved. `prior` and the
    other options are those of `open_video`. InputError if they
    are not the session's, or for a file that is no session.
    """
    saved, prior = read_session(path_named(path)), _read_if_path(prior)
    video = saved.source.path if video is None else video
    if video is None:
        raise InputError(f"{path}: its video was given as arrays: give it again")
    if model is None and checkpoint is None:
        checkpoint = saved.source.checkpoint
    if model is None and heads is None:
        heads = saved.source.heads
    # No autosave before the session is restored.
    autosave = options.pop("autosave", None)
    settings = dict(saved.source.options, spans=saved.spans, adapt=saved.adapt)
    settings["guesses"] = SUGGEST if saved.suggests else TAKE
    settings |= options
    session = open_video(video, checkpoint, model=model, heads=heads, **settings)
    try:
        session.restore(saved)
        session.prior = prior  # of the session's own vocabulary
        session.autosave = autosave
    except InputError:
        session.close()
        raise
    return session
