"""The truth of a scripted world, as a prepared data set has it."""

from collections.abc import Sequence

import numpy as np

from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import video_record
from tests.data.fake import chunks_of, plain_record
from tests.session import scripted

VOCABULARY = scripted.CONFIG.vocabulary
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
    rows = [(s, o, VOCABULARY.predicates.index(p), a, b) for s, o, p, a, b in relations]
    videos, chunks = [], []
    for name in names:
        record = plain_record(name, masks, categories, rows)
        videos.append(video_record(record, "toy_val", len(chunks)))
        chunks += chunks_of(name, "toy", frames, masks)
    return Dataset("toy", VOCABULARY, {"toy_val": tuple(videos)}, {"toy_val": chunks})
