"""A prepared data set on disk: its videos, and random access to their frames.

`python -m c2g_jax.prepare` writes it through TFDS, in ArrayRecord files. Frames are
stored in chunks of eight, each as a JPEG with a PNG of its masks, so that a clip
decodes only the frames it needs.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from c2g_jax.data.records import VideoRecord, video_record
from c2g_jax.data.stored import StoredConfig, damaged
from c2g_jax.media.frames import Video
from c2g_jax.types import Frame, InputError
from c2g_jax.vocabulary import Vocabulary

CHUNK = 8  # frames per record, as the builder (datasets/open_pvsg) stores them
VIDEOS = "videos"  # the config with one record per video
SIZES = {"default": None, "1024": 1024}  # configs of frames: side of the square


class Dataset:
    """A prepared data set. It can be pickled for worker processes.

    chunks: {split: rows}, where rows[i] is a dict with video_id, source, start and the
    encoded frames and masks of one chunk. records: {split: VideoRecords in order}.
    `size` is the side of square frames, or None for the videos' own sizes.
    """

    def __init__(
        self,
        name: str,
        vocabulary: Vocabulary,
        records: dict[str, tuple[VideoRecord, ...]],
        chunks: dict[str, Any],
        size: int | None = None,
    ):
        self.name, self.vocabulary, self.size = name, vocabulary, size
        self._records, self._chunks = records, chunks

    @property
    def splits(self) -> tuple[str, ...]:
        """The stored splits: SOURCE_train and SOURCE_val."""
        return tuple(self._records)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources in order: vidor, epic_kitchen, ego4d in the real data set."""
        return tuple(dict.fromkeys(split.rpartition("_")[0] for split in self.splits))

    def videos(self, split: str) -> tuple[VideoRecord, ...]:
        """Return the videos of a split; "train" and "val" are of all sources."""
        names = [s for s in self.splits if split in (s, s.rpartition("_")[2])]
        if not names:
            known = ", ".join(("train", "val", *self.splits))
            raise InputError(f"{self.name} has no split {split!r}: use one of {known}")
        return sum((self._records[name] for name in names), ())

    def read(
        self, video: VideoRecord, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read frames start to stop - 1 and their object ids.

        uint8 [t, H, W, 3] and uint8 [t, H, W], at the video's own size (frames at
        1024x1024 from the config "1024").
        """
        return self.read_frames(video, range(start, stop))

    def read_frames(
        self, video: VideoRecord, numbers: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read any frames in any order, as `read`; only these are decoded."""
        pictures, masks = zip(*self._stored(video, numbers), strict=True)
        frames = np.stack([_decode(data, "RGB") for data in pictures])
        return frames, np.stack([_decode(data) for data in masks])

    def read_masks(self, video: VideoRecord, numbers: Sequence[int]) -> np.ndarray:
        """Read the object ids of frames, uint8 [t, H, W]; no picture is decoded."""
        return np.stack([_decode(masks) for _, masks in self._stored(video, numbers)])

    def _stored(
        self, video: VideoRecord, numbers: Sequence[int]
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the encoded picture and masks of each frame."""
        if not len(numbers) or not 0 <= min(numbers) <= max(numbers) < video.num_frames:
            raise ValueError(
                f"frames {list(numbers)} of {video.video_id}, which has "
                f"{video.num_frames} (0 to {video.num_frames - 1})"
            )
        found = {
            n: self._chunk(video, n) for n in sorted({t // CHUNK for t in numbers})
        }
        for number in numbers:
            chunk, offset = found[number // CHUNK], number % CHUNK
            yield chunk["frames"][offset], chunk["masks"][offset]

    def _chunk(self, video: VideoRecord, number: int) -> dict[str, Any]:
        chunk = self._chunks[video.split][video.first_row + number]
        found = (chunk["video_id"], chunk["start"])
        wanted = (video.video_id, number * CHUNK)
        if found != wanted:
            raise InputError(
                f"{self.name}: row {video.first_row + number} of {video.split} holds "
                f"{found[0]} from frame {found[1]}, not {wanted[0]} from frame "
                f"{wanted[1]}: prepare the data set again"
            )
        return chunk


def _decode(data: bytes, mode: str | None = None) -> np.ndarray:
    """Decode an image to uint8; a palette image to its indices, the object ids."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode) if mode else image)


def open_dataset(
    data_dir: str | Path, name: str = "open_pvsg", config: str = "default"
) -> Dataset:
    """Open what `prepare` wrote to data_dir: config "default" or "1024" (resized).

    Raises InputError if there is no such data set, or its parts disagree.
    """
    if config not in SIZES:
        raise InputError(f"config {config!r} holds no frames: use {' or '.join(SIZES)}")
    videos = StoredConfig(data_dir, name, VIDEOS)
    chunks = StoredConfig(data_dir, name, config)
    records, rows = {}, {}
    for split in videos.splits:
        if split not in chunks.splits:
            raise damaged(chunks.folder, f"it has no split {split}")
        records[split] = _records(videos.records(split), split)
        rows[split] = chunks.chunks(split)
        want = sum(-(-video.num_frames // CHUNK) for video in records[split])
        if want != len(rows[split]):
            raise damaged(
                chunks.folder,
                f"{split} has {len(rows[split])} chunks, but its videos need {want}",
            )
    return Dataset(name, videos.vocabulary(), records, rows, SIZES[config])


def open_annotations(
    data_dir: str | Path, name: str = "open_pvsg"
) -> tuple[Vocabulary, tuple[VideoRecord, ...]]:
    """Read the config "videos" alone: names, and the videos of all splits in order.

    Raises InputError if there is no such data set.
    """
    videos = StoredConfig(data_dir, name, VIDEOS)
    found = (_records(videos.records(split), split) for split in videos.splits)
    return videos.vocabulary(), sum(found, ())


def open_prepared(dataset: Dataset, video: VideoRecord) -> Video:
    """Return a prepared video as a stream of frames, decoded one chunk at a time."""
    fps, count = video.fps, video.num_frames

    def frames(first: int) -> Iterator[Frame]:
        for start in range(first - first % CHUNK, count, CHUNK):
            rgb, _ = dataset.read(video, start, min(start + CHUNK, count))
            for t in range(max(first, start), start + len(rgb)):
                yield Frame(t, t / fps, rgb[t - start])

    times = [t / fps for t in range(count)]
    size = video.width, video.height
    return Video(f"{video.video_id}.mp4", size, fps, count, frames, times)


def _records(source: Iterable[Any], split: str) -> tuple[VideoRecord, ...]:
    videos, row = [], 0
    for record in source:
        videos.append(video_record(record, split, row))
        row += -(-videos[-1].num_frames // CHUNK)
    return tuple(videos)
