"""The possible start frames of a video's clips and their subjects, from annotations."""

from collections.abc import Sequence

import numpy as np

from c2g_jax.data.prompts import stable_seed
from c2g_jax.data.records import VideoRecord
from c2g_jax.types import InputError

Videos = tuple[VideoRecord, ...]


def hold_out(videos: Sequence[VideoRecord], count: int) -> tuple[Videos, Videos]:
    """Divide videos into those to train on, and `count` kept for tuning settings.

    The choice depends on their names alone, so that it is the same in every process and
    for any seed. Raises InputError unless some are left to train on.
    """
    if not 0 <= count < max(len(videos), 1):
        raise InputError(
            f"--config.data.held_out={count} keeps {count} of {len(videos)} training "
            "videos from training: give 0, or a number that leaves some"
        )
    ranked = sorted(videos, key=lambda v: stable_seed("held out", v.video_id))
    kept = {video.video_id for video in ranked[:count]}
    return (
        tuple(video for video in videos if video.video_id not in kept),
        tuple(video for video in videos if video.video_id in kept),
    )


def clip_span(num_frames: int, stride: int) -> int:
    """Return the number of video frames from a clip's first to its last, inclusive."""
    return stride * (num_frames - 1) + 1


def any_in_clip(flags: np.ndarray, num_frames: int, stride: int = 1) -> np.ndarray:
    """Return whether `flags` [..., N] is set on any frame of the clip from each frame.

    bool [..., N]; False at frames where no whole clip can start.
    """
    total = flags.shape[-1]
    starts = max(total - clip_span(num_frames, stride) + 1, 0)
    found = np.zeros(flags.shape, bool)
    for i in range(num_frames):
        found[..., :starts] |= flags[..., i * stride : i * stride + starts]
    return found


def valid_subjects(
    video: VideoRecord, num_frames: int, stride: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return subject ids int32 [s], and where a clip can prompt them: bool [s, N].

    A clip from a frame can prompt a subject that is visible on that frame and has, on
    some frame of the clip, a relation that holds with both masks visible.
    """
    subjects = np.unique(video.relations[:, 0])
    related = np.zeros((len(subjects), video.num_frames), bool)
    for relation, valid in zip(video.relations, video.valid_relations, strict=True):
        related[np.searchsorted(subjects, relation[0])] |= valid
    possible = any_in_clip(related, num_frames, stride)
    for row, subject in zip(possible, subjects, strict=True):
        row &= video.visible_mask(subject)
    return subjects, possible


def relation_starts(video: VideoRecord, num_frames: int, stride: int = 1) -> np.ndarray:
    """Return the frames from which a clip has a subject to prompt: int32 [k]."""
    _, possible = valid_subjects(video, num_frames, stride)
    return np.flatnonzero(possible.any(axis=0)).astype(np.int32)


def segment_starts(video: VideoRecord, num_frames: int, stride: int = 1) -> np.ndarray:
    """Return the frames with a visible object from which a clip fits: int32 [k]."""
    starts = max(video.num_frames - clip_span(num_frames, stride) + 1, 0)
    seen = video.visible_table.any(axis=0)
    return np.flatnonzero(seen[:starts]).astype(np.int32)
