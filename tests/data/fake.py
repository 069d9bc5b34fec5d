"""A synthetic data set in memory, with the records of a prepared one."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from c2g_jax.data.dataset import CHUNK, Dataset
from c2g_jax.data.records import video_record
from c2g_jax.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
SIZES = ((40, 56), (32, 32), (50, 30))  # height, width


def spans(flags) -> list[tuple[int, int]]:
    """Return the inclusive spans in which flags [n] are set."""
    found = []
    for i, flag in enumerate(flags):
        if flag and (i == 0 or not flags[i - 1]):
            found.append([i, i])
        if flag:
            found[-1][1] = i
    return [tuple(span) for span in found]


def draw(rng: np.random.Generator, total: int, height: int, width: int, objects: int):
    """Segments uint8 [t, H, W]: rectangles that move, come and go; ids 1..objects."""
    segments = np.zeros((total, height, width), np.uint8)
    for object_id in range(1, objects + 1):
        h, w = rng.integers(1, height // 2), rng.integers(1, width // 2)
        y, x = rng.integers(0, height - h), rng.integers(0, width - w)
        there = np.repeat(rng.random(-(-total // 4)) < 0.7, 4)[:total]
        for t in np.flatnonzero(there):
            left = (x + t) % (width - w)
            segments[t, y : y + h, left : left + w] = object_id
    return segments


def encode(array: np.ndarray, form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


def frames_of(segments: np.ndarray, number: int) -> np.ndarray:
    """uint8 [t, H, W, 3] that tell video, frame and object."""
    t = np.arange(len(segments), dtype=np.uint8)[:, None, None]
    return np.stack(
        [10 + 20 * segments, 4 * t + 0 * segments, 0 * segments + 30 * number], -1
    ).astype(np.uint8)


def columns(names: str, rows: Sequence[tuple]) -> dict[str, list]:
    """Rows as records keep them: a list for each name."""
    lists = list(zip(*rows, strict=True)) or [()] * len(names.split())
    return dict(zip(names.split(), map(list, lists), strict=True))


def plain_record(
    name: str,
    segments: np.ndarray,
    categories: Mapping[int, int],
    relations: Sequence[tuple],
) -> dict:
    """A record of segments uint8 [t, H, W] without a word in it, of the source toy.

    relations: (subject, object, predicate, first frame, last frame).
    """
    total, height, width = segments.shape
    visible = [
        (i, *span)
        for i in categories
        for span in spans((segments == i).any(axis=(1, 2)))
    ]
    return {
        "video_id": name,
        "source": "toy",
        "height": height,
        "width": width,
        "num_frames": total,
        "fps": 5.0,
        "summary": "",
        "objects": {
            "object_id": list(categories),
            "category": list(categories.values()),
            "is_thing": [True] * len(categories),
        },
        "visible": columns("object_id start end", visible),
        "relations": columns("subject_id object_id predicate start end", relations),
        "captions": {"time": [], "description": []},
        "questions": {"time": [], "question": [], "answer": []},
        "status": {"object_id": [], "name": [], "start": [], "end": []},
    }


def chunks_of(
    name: str, source: str, frames: Sequence[np.ndarray], masks: np.ndarray
) -> list[dict]:
    """The records of a video's frames and masks."""
    return [
        {
            "video_id": name,
            "source": source,
            "start": start,
            "frames": [encode(f, "PNG") for f in frames[start : start + CHUNK]],
            "masks": [encode(m, "PNG") for m in masks[start : start + CHUNK]],
        }
        for start in range(0, len(masks), CHUNK)
    ]


def make_record(rng, name: str, source: str, segments: np.ndarray) -> dict:
    total, height, width = segments.shape
    ids = list(range(1, int(segments.max()) + 1))
    seen = {i: (segments == i).any(axis=(1, 2)) for i in ids}
    visible = [(i, *span) for i in ids for span in spans(seen[i])]
    relations = []
    for _ in range(int(rng.integers(8, 16))):
        subject, other = rng.choice(ids, 2, replace=False)
        start = int(rng.integers(0, total))
        end = int(rng.integers(start, total))
        relations.append((int(subject), int(other), int(rng.integers(57)), start, end))

    return {
        "video_id": name.encode(),
        "source": source.encode(),
        "height": height,
        "width": width,
        "num_frames": total,
        "fps": 5.0,
        "summary": b"A drawn video.",
        "objects": {
            "object_id": ids,
            "category": [int(i) for i in rng.integers(0, 126, len(ids))],
            "is_thing": [bool(i % 3) for i in ids],
        },
        "visible": columns("object_id start end", visible),
        "relations": columns("subject_id object_id predicate start end", relations),
        "captions": {"time": [b"0000-0008"], "description": [b"It moves."]},
        "questions": {"time": [], "question": [], "answer": []},
        "status": {"object_id": [], "name": [], "start": [], "end": []},
    }


def fake_dataset(
    videos: int = 7, lengths=(9, 21, 13, 30, 5), objects: int = 6, seed: int = 0
) -> tuple[Dataset, dict[str, np.ndarray]]:
    """Splits toy_train, more_train and toy_val; and {video_id: segments} drawn."""
    rng = np.random.default_rng(seed)
    records, chunks, drawn = {}, {}, {}
    for split in ("toy_train", "more_train", "toy_val"):
        records[split], chunks[split] = (), []
        for i in range(videos):
            source, name = split.rpartition("_")[0], f"{split}-{i}"
            segments = draw(rng, lengths[i % len(lengths)], *SIZES[i % 3], objects)
            record = make_record(rng, name, source, segments)
            records[split] += (video_record(record, split, len(chunks[split])),)
            drawn[name] = segments
            chunks[split] += chunks_of(name, source, frames_of(segments, i), segments)
    return Dataset("fake", VOCABULARY, records, chunks), drawn
