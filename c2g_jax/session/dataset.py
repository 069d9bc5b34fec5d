"""Many sessions as one download in the layout of OpenPVSG, for `prepare`."""

import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path

from c2g_jax.export.open_pvsg import TRAIN, VAL, AnnotatedVideo, write_videos
from c2g_jax.media.outputs import path_named
from c2g_jax.media.video import Video
from c2g_jax.session.session import Session
from c2g_jax.types import InputError, SceneGraph
from c2g_jax.vocabulary import Vocabulary

VAL_EVERY = 5  # by default each fifth video is for validation


def export_sessions(
    sessions: Sequence[Session],
    folder: str | Path,
    splits: Sequence[str] | None = None,
    leave_out: bool = False,
    threshold: float | None = None,
) -> None:
    """Write the graphs of sessions as one folder that `prepare` reads.

    splits: "train" or "val" for each; by default each fifth is "val", at least the last
    of several. Objects without a name are listed by an InputError, and nothing is
    written, unless `leave_out`: then they are left out. What is suggested is not in it.
    """
    annotated = [(s.graph(threshold), s.video, s.vocabulary) for s in sessions]
    write_dataset(folder, annotated, splits, leave_out)


def write_dataset(
    folder: str | Path,
    annotated: Sequence[tuple[SceneGraph, Video, Vocabulary]],
    splits: Sequence[str] | None = None,
    leave_out: bool = False,
) -> None:
    """Do the same with the graph, video and vocabulary of each session."""
    folder = path_named(folder, "folder")
    splits = default_splits(len(annotated)) if splits is None else list(splits)
    if len(splits) != len(annotated):
        raise InputError(
            f"{len(annotated)} videos have {len(splits)} splits: give one for each"
        )
    names = None
    for _, _, own in annotated:
        names = own if names is None else names.joined(own)
    with contextlib.ExitStack() as closing:
        videos = []
        for (graph, video, _), split in zip(annotated, splits, strict=True):
            frames = functools.partial(_frames, video, closing)
            videos.append(AnnotatedVideo(graph, frames, split))
        try:
            write_videos(folder, videos, names, leave_out)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror or error}): name "
                "another folder"
            ) from error


def default_splits(count: int) -> list[str]:
    """Return the splits of so many videos."""
    chosen = [VAL if (k + 1) % VAL_EVERY == 0 else TRAIN for k in range(count)]
    if count > 1 and VAL not in chosen:
        chosen[-1] = VAL
    return chosen


def _frames(video: Video, closing: contextlib.ExitStack):
    return closing.enter_context(contextlib.closing(video.read_from(0)))
