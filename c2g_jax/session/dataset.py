"""Many sessions as one download in the layout of OpenPVSG, for `prepare`."""

import contextlib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from c2g_jax.export.open_pvsg import TRAIN, VAL, AnnotatedVideo, write_videos
from c2g_jax.media.outputs import path_named
from c2g_jax.media.video import Video
from c2g_jax.session.session import Session
from c2g_jax.session.unfinished import Unfinished
from c2g_jax.types import InputError, SceneGraph
from c2g_jax.vocabulary import Vocabulary

VAL_EVERY = 5  # by default each fifth video is for validation
# What becomes of videos whose frames are not all tracked, or are stale.
REFUSE, LEAVE_OUT, AS_IT_IS = CHOICES = "refuse", "leave_out", "take"


class AnnotatedSession(NamedTuple):
    """What a data set takes of a session."""

    graph: SceneGraph
    video: Video
    vocabulary: Vocabulary
    unfinished: Unfinished

    @classmethod
    def of(cls, session: Session, threshold: float | None = None) -> "AnnotatedSession":
        graph = session.graph(threshold)
        return cls(graph, session.video, session.vocabulary, session.unfinished())


def export_sessions(
    sessions: Sequence[Session],
    folder: str | Path,
    splits: Sequence[str] | None = None,
    leave_out: bool = False,
    threshold: float | None = None,
    unfinished: str = REFUSE,
) -> None:
    """Write the graphs of sessions as one folder that `prepare` reads.

    splits: "train" or "val" for each; by default each fifth is "val", at least the last
    of several. Objects without a name are listed by an InputError, and nothing is
    written, unless `leave_out`: then they are left out. What is suggested is not in it.
    unfinished: videos with frames that are not tracked, or stale, are listed by an
    InputError too ("refuse"), left out ("leave_out"), or written as they are ("take"):
    training then learns that their objects are not there.
    """
    annotated = [AnnotatedSession.of(session, threshold) for session in sessions]
    write_dataset(folder, annotated, splits, leave_out, unfinished)


def write_dataset(
    folder: str | Path,
    annotated: Sequence[AnnotatedSession],
    splits: Sequence[str] | None = None,
    leave_out: bool = False,
    unfinished: str = REFUSE,
) -> None:
    """Do the same with what is taken of each session."""
    folder = path_named(folder, "folder")
    if unfinished not in CHOICES:
        listed = ", ".join(map(repr, CHOICES))
        raise InputError(f"unfinished is {unfinished!r}: give one of {listed}")
    if splits is not None and len(splits) != len(annotated):
        raise InputError(
            f"{len(annotated)} videos have {len(splits)} splits: give one for each"
        )
    if unfinished == LEAVE_OUT:
        kept = [k for k, own in enumerate(annotated) if not own.unfinished]
        if annotated and not kept:
            raise InputError("every video is unfinished: track on, or take them so")
        annotated = [annotated[k] for k in kept]
        splits = None if splits is None else [splits[k] for k in kept]
    splits = default_splits(len(annotated)) if splits is None else list(splits)
    names = None
    for own in annotated:
        names = own.vocabulary if names is None else names.joined(own.vocabulary)
    with contextlib.ExitStack() as closing:
        videos = []
        for own, split in zip(annotated, splits, strict=True):
            frames = functools.partial(_frames, own.video, closing)
            left = "" if unfinished == AS_IT_IS else str(own.unfinished)
            videos.append(AnnotatedVideo(own.graph, frames, split, left))
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
