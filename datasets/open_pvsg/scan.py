"""Read the frames and masks of a video once: size, faults, visibility of objects."""

from dataclasses import dataclass

import numpy as np

from . import frames, masks
from .annotations import Video
from .download import VideoFiles
from .quirks import Finding


@dataclass(frozen=True)
class Task:
    """A video to scan."""

    video: Video
    files: VideoFiles


@dataclass(frozen=True)
class Scan:
    """Result of scanning a video; num_frames is 0 if it is excluded for `reason`.

    visible: spans (object_id, start, end), inclusive. void: frames without a usable
    mask.
    """

    video_id: str
    height: int = 0
    width: int = 0
    num_frames: int = 0
    visible: tuple[tuple[int, int, int], ...] = ()
    void: frozenset[int] = frozenset()
    frame_pairs: int = 0  # distinct annotated (frame, subject, object)
    findings: tuple[Finding, ...] = ()
    reason: str | None = None


def scan_video(task: Task) -> Scan:
    """Decode the video and read every mask. Does not raise for damaged files."""
    video, found = task.video, _Findings(task.video.video_id)
    decoded, size = _count_frames(task, found)
    if not decoded:
        return found.exclude()
    if (video.height, video.width) != size:
        found("video_size", size=size, stated=(video.height, video.width))
    if decoded < video.num_frames:
        found("decodes_short", frames=decoded, num_frames=video.num_frames)
    if decoded > video.num_frames:
        found("decodes_long", frames=decoded, num_frames=video.num_frames)
    if not task.files.masks:
        found("missing_masks")
        return found.exclude()
    masked = max(task.files.masks) + 1
    if masked < video.num_frames:
        found("masks_short", frames=masked, num_frames=video.num_frames)
    if masked > video.num_frames:
        found("masks_long", frames=masked, num_frames=video.num_frames)
    usable = min(decoded, masked, video.num_frames)
    return _scan_masks(task, usable, size, found)


def _scan_masks(task: Task, usable: int, size, found: "_Findings") -> Scan:
    known = {o.object_id for o in task.video.objects}
    table = np.zeros((usable, 256), np.int64)  # pixels per frame and id
    void = set()
    for number in range(usable):
        place = task.files.masks.get(number)
        if place is None:
            found("missing_mask", frame=number)
            void.add(number)
            continue
        try:
            mask = masks.read_mask(place)
        except masks.UnreadableMask as error:
            found("unreadable_mask", frame=number, file=str(place), error=str(error))
            void.add(number)
            continue
        if mask.shape != size:
            found("mask_size", frame=number, size=mask.shape, video=size)
            void.add(number)
            continue
        table[number] = np.bincount(mask.reshape(-1), minlength=256)
        unknown = [i for i in np.flatnonzero(table[number]) if i and i not in known]
        if unknown:
            ids = [int(i) for i in unknown]
            pixels = int(table[number, ids].sum())
            found("unknown_mask_id", frame=number, ids=ids, pixels=pixels)
            table[number, ids] = 0
        if not table[number, 1:].any():
            found("void_frame", frame=number)
    return Scan(
        video_id=task.video.video_id,
        height=size[0],
        width=size[1],
        num_frames=usable,
        visible=_visible(table > 0, task.video, found),
        frame_pairs=_count_pairs(table > 0, task.video, found),
        void=frozenset(void),
        findings=tuple(found.findings),
    )


def _visible(seen: np.ndarray, video: Video, found) -> tuple[tuple[int, int, int], ...]:
    """Return the spans of `seen`, bool [frames, 256], of each object."""
    spans = []
    for item in video.objects:
        runs = true_runs(seen[:, item.object_id])
        if not runs:
            found("object_without_pixels", id=item.object_id, category=item.category)
        spans += [(item.object_id, start, end) for start, end in runs]
    return tuple(spans)


def _count_pairs(seen: np.ndarray, video: Video, found) -> int:
    """Count distinct (frame, subject, object); record those that lack a mask."""
    pairs: dict[tuple[int, int], np.ndarray] = {}
    for span in video.spans:
        key = (span.subject_id, span.object_id)
        related = pairs.setdefault(key, np.zeros(len(seen), bool))
        related[span.start : span.end + 1] = True
    for ids, related in pairs.items():
        lacks = [int((related & ~seen[:, i]).sum()) for i in ids]
        lacking = int((related & ~(seen[:, ids[0]] & seen[:, ids[1]])).sum())
        if lacking:
            place = {"ids": list(ids), "no_subject": lacks[0], "no_object": lacks[1]}
            found("participant_without_mask", lacking, **place)
    return sum(int(related.sum()) for related in pairs.values())


def true_runs(row: np.ndarray) -> list[tuple[int, int]]:
    """Return (first, last) of every run of True in bool [n]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _count_frames(task: Task, found) -> tuple[int, tuple[int, int]]:
    """Return the number of frames that decode (0 without a video), (height, width)."""
    if task.files.video is None:
        found("missing_video")
        return 0, (0, 0)
    count, size = 0, (0, 0)
    try:
        for frame in frames.decode(task.files.video):
            shown = frames.shown_size(frame)
            if count and shown != size:
                found("video_size_changes", frame=count, size=shown, first=size)
                break
            size = shown
            count += 1
    except OSError as error:
        found("unreadable_video", file=str(task.files.video), error=str(error))
        return 0, (0, 0)
    if not count:
        found("unreadable_video", file=str(task.files.video), error="no frame decodes")
    return count, size


class _Findings:
    """Collects the findings of one video."""

    def __init__(self, video_id: str):
        self.video_id, self.findings = video_id, []

    def __call__(self, quirk: str, count: int = 1, /, **place) -> None:
        self.findings.append(Finding(quirk, self.video_id, place, count))

    def exclude(self) -> Scan:
        reason = self.findings[-1].quirk
        return Scan(self.video_id, findings=tuple(self.findings), reason=reason)
