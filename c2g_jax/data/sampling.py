"""Which clips a video offers, and which subjects in them, by its annotations alone."""

import numpy as np

from c2g_jax.data.records import VideoRecord


def clip_span(num_frames: int, stride: int) -> int:
    """Frames of the video from the first to the last of a clip, both counted."""
    return stride * (num_frames - 1) + 1


def any_in_clip(flags: np.ndarray, num_frames: int, stride: int = 1) -> np.ndarray:
    """bool [..., N]: is any of the clip's frames that starts here set in flags.

    Frames at which no whole clip can start are False.
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
    """Subject ids int32 [s] and bool [s, N]: can a clip from this frame prompt them.

    So it is where the subject is visible on the clip's first frame and, on a frame of
    the clip, one of its relations holds with both masks there.
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
    """int32 [k]: frames from which a clip has at least one subject to prompt."""
    _, possible = valid_subjects(video, num_frames, stride)
    return np.flatnonzero(possible.any(axis=0)).astype(np.int32)


def segment_starts(video: VideoRecord, num_frames: int, stride: int = 1) -> np.ndarray:
    """int32 [k]: frames from which a whole clip fits and some object is visible."""
    starts = max(video.num_frames - clip_span(num_frames, stride) + 1, 0)
    seen = video.visible_table.any(axis=0)
    return np.flatnonzero(seen[:starts]).astype(np.int32)
