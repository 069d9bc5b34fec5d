"""The truth of a scripted world, as a prepared data set has it."""

from collections.abc import Sequence

import numpy as np

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import video_record
from tests.data.fake import encode, spans
from tests.session import scripted

VOCABULARY = scripted.CONFIG.vocabulary
CHUNK = 8
Related = tuple[int, int, str, int, int]  # subject, object, predicate, first, last


def object_class(name: str) -> int:
    return VOCABULARY.objects.index(name)


def segments(world: scripted.World, things: Sequence[int]) -> np.ndarray:
    """uint8 [12, 64, 64], the number of the thing at each pixel."""
    pictures = np.zeros((scripted.FRAMES, 64, 64), np.uint8)
    for t, picture in enumerate(pictures):
        for thing in things:
            picture[np.kron(world.mask(thing, t), np.ones((4, 4), bool)) > 0] = thing
    return pictures


def dataset(
    world: scripted.World,
    categories: dict[int, int],
    relations: Sequence[Related],
    names: Sequence[str] = ("a",),
) -> Dataset:
    """A split toy_val of videos, all alike: things by number, with their classes."""
    masks, frames = segments(world, list(categories)), scripted.video()
    visible = [
        (i, *span) for i in categories for span in spans((masks == i).any(axis=(1, 2)))
    ]
    rows = [(s, o, VOCABULARY.predicates.index(p), a, b) for s, o, p, a, b in relations]
    videos, chunks = [], []
    for name in names:
        videos.append(
            video_record(
                {
                    "video_id": name,
                    "source": "toy",
                    "height": 64,
                    "width": 64,
                    "num_frames": len(frames),
                    "fps": 5.0,
                    "summary": "",
                    "objects": {
                        "object_id": list(categories),
                        "category": list(categories.values()),
                        "is_thing": [True] * len(categories),
                    },
                    "visible": _columns("object_id start end", visible),
                    "relations": _columns(
                        "subject_id object_id predicate start end", rows
                    ),
                    "captions": {"time": [], "description": []},
                    "questions": {"time": [], "question": [], "answer": []},
                    "status": {"object_id": [], "name": [], "start": [], "end": []},
                },
                "toy_val",
                len(chunks),
            )
        )
        for start in range(0, len(frames), CHUNK):
            part = slice(start, start + CHUNK)
            chunks.append(
                {
                    "video_id": name,
                    "source": "toy",
                    "start": start,
                    "frames": [encode(f, "PNG") for f in frames[part]],
                    "masks": [encode(m, "PNG") for m in masks[part]],
                }
            )
    return Dataset("toy", VOCABULARY, {"toy_val": tuple(videos)}, {"toy_val": chunks})


def _columns(names: str, rows: Sequence[tuple]) -> dict[str, list[int]]:
    columns = list(zip(*rows, strict=True)) or [()] * len(names.split())
    return dict(zip(names.split(), map(list, columns), strict=True))
