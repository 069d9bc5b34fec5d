"""Files of the prepared set: assignment of videos to files, and their records."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import frames, masks
from .annotations import Video
from .download import VideoFiles
from .scan import Scan
from .workers import advance

CHUNK = 8  # frames per record
VIDEOS = "videos"  # the config with one record per video
SIZES = {
    "default": None,
    "1024": 1024,
}  # side in pixels; None: original
SHARD_BYTES = 64 << 20
_BYTES_PER_PIXEL = 0.3  # of a JPEG, estimated
KEYS_PER_VIDEO = 1_000_000  # above the number of chunks of any video


@dataclass(frozen=True)
class Entry:
    """A video with its annotations, files and scan. index: position in its split."""

    index: int
    video: Video
    files: VideoFiles
    scan: Scan


@dataclass(frozen=True)
class Shard:
    """One file of the set. Calling it yields (key, record) pairs in key order."""

    config: str
    entries: tuple[Entry, ...]

    def __call__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for entry in self.entries:
            first = entry.index * KEYS_PER_VIDEO
            if self.config == VIDEOS:
                yield first, video_record(entry)
                continue
            for number, record in enumerate(chunk_records(entry, SIZES[self.config])):
                yield first + number, record
                advance(len(record["frames"]))


def plan_shards(config: str, entries: Sequence[Entry]) -> list[Shard]:
    """Assign whole videos, in order, to files of about SHARD_BYTES; deterministic."""
    if config == VIDEOS:
        return [Shard(config, tuple(entries))]
    weights = [_estimated_bytes(entry, SIZES[config]) for entry in entries]
    count = min(max(1, math.ceil(sum(weights) / SHARD_BYTES)), len(entries))
    groups = [[] for _ in range(count)]
    before, total = 0.0, sum(weights)
    for entry, weight in zip(entries, weights, strict=True):
        middle = (before + weight / 2) / total
        groups[min(int(middle * count), count - 1)].append(entry)
        before += weight
    return [Shard(config, tuple(group)) for group in groups if group]


def _estimated_bytes(entry: Entry, size: int | None) -> float:
    pixels = size**2 if size else entry.scan.height * entry.scan.width
    return pixels * entry.scan.num_frames * _BYTES_PER_PIXEL


def video_record(entry: Entry) -> dict[str, Any]:
    """Return the record of the config `videos`, spans clipped to usable frames."""
    video, scan = entry.video, entry.scan
    last = scan.num_frames - 1
    return {
        "video_id": video.video_id,
        "source": video.source,
        "height": scan.height,
        "width": scan.width,
        "num_frames": scan.num_frames,
        "fps": video.fps,
        "summary": video.summary,
        "objects": [
            {"object_id": o.object_id, "category": o.category, "is_thing": o.is_thing}
            for o in video.objects
        ],
        "visible": [
            {"object_id": object_id, "start": start, "end": end}
            for object_id, start, end in scan.visible
        ],
        "relations": [
            {
                "subject_id": span.subject_id,
                "object_id": span.object_id,
                "predicate": span.predicate,
                "start": span.start,
                "end": min(span.end, last),
            }
            for span in video.spans
            if span.start <= last
        ],
        "captions": [dict(row) for row in video.captions],
        "questions": [dict(row) for row in video.questions],
        "status": [
            {
                "object_id": status.object_id,
                "name": status.name,
                "start": status.start,
                "end": min(status.end, last),
            }
            for status in video.status
            if status.start <= last
        ],
    }


def chunk_records(entry: Entry, size: int | None) -> Iterator[dict[str, Any]]:
    """Yield records of CHUNK consecutive frames; the last one may be shorter."""
    usable = entry.scan.num_frames
    pictures = zip(range(usable), frames.decode(entry.files.video), strict=False)
    jpegs, pngs, start = [], [], 0
    for number, picture in pictures:
        jpegs.append(frames.encode_jpeg(frames.to_rgb(picture), size))
        pngs.append(_mask(entry, number))
        if len(jpegs) == CHUNK or number == usable - 1:
            yield {
                "video_id": entry.video.video_id,
                "source": entry.video.source,
                "start": start,
                "frames": jpegs,
                "masks": pngs,
            }
            jpegs, pngs, start = [], [], number + 1
    if start != usable:
        raise OSError(
            f"{entry.files.video}: {start} frames decode, but {usable} did when it was "
            "scanned: the file has changed, run the preparation again"
        )


def _mask(entry: Entry, number: int) -> bytes:
    scan = entry.scan
    if number in scan.void:
        return masks.void_png(scan.height, scan.width)
    mask = masks.read_mask(entry.files.masks[number])
    known = [o.object_id for o in entry.video.objects]
    return masks.encode_png(masks.void_unknown(mask, known))
