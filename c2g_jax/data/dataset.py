"""A prepared data set on disk: its videos, and the frames of any of them at random.

`python -m c2g_jax.prepare` writes it through TFDS, in ArrayRecord files. Frames are
stored in chunks of eight as JPEG, masks beside them as PNG, so that a clip decodes the
frames it needs and no other.
"""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from c2g_jax.data.records import VideoRecord, video_record
from c2g_jax.types import InputError
from c2g_jax.vocabulary import Vocabulary, load_vocabulary

CHUNK = 8  # frames a record, as the builder stores them
VIDEOS = "videos"  # the config with one record a video


class Dataset:
    """A prepared data set. Pickles, so that worker processes can read it too.

    chunks: {split: rows}, where rows[i] gives a dict with video_id, source, start and
    the encoded frames and masks of one chunk. records: {split: VideoRecords in order}.
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
        """The stored splits, SOURCE_train and SOURCE_val."""
        return tuple(self._records)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources in order: vidor, epic_kitchen, ego4d in the real data set."""
        return tuple(dict.fromkeys(split.rpartition("_")[0] for split in self.splits))

    def videos(self, split: str) -> tuple[VideoRecord, ...]:
        """The videos of a stored split, or of "train" or "val" over all sources."""
        names = [s for s in self.splits if split in (s, s.rpartition("_")[2])]
        if not names:
            known = ", ".join(("train", "val", *self.splits))
            raise InputError(f"{self.name} has no split {split!r}: use one of {known}")
        return sum((self._records[name] for name in names), ())

    def read(
        self, video: VideoRecord, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames start to stop - 1: uint8 [t, H, W, 3], and object ids uint8 [t, H, W].

        Both at the video's own size (frames at 1024x1024 from the config "1024").
        """
        return self.read_frames(video, range(start, stop))

    def read_frames(
        self, video: VideoRecord, numbers: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `read`, for any frames in any order; decodes these alone."""
        if not len(numbers) or not 0 <= min(numbers) <= max(numbers) < video.num_frames:
            raise ValueError(
                f"frames {list(numbers)} of {video.video_id}, which has "
                f"{video.num_frames} (0 to {video.num_frames - 1})"
            )
        found = {
            n: self._chunk(video, n) for n in sorted({t // CHUNK for t in numbers})
        }
        frames, segments = [], []
        for number in numbers:
            chunk, offset = found[number // CHUNK], number % CHUNK
            frames.append(_decode(chunk["frames"][offset], "RGB"))
            segments.append(_decode(chunk["masks"][offset]))
        return np.stack(frames), np.stack(segments)

    def _chunk(self, video: VideoRecord, number: int) -> dict[str, Any]:
        chunk = self._chunks[video.split][video.first_row + number]
        found = (chunk["video_id"], chunk["start"])
        wanted = (video.video_id, number * CHUNK)
        if found != wanted:
            raise InputError(
                f"{self.name}: row {video.first_row + number} of {video.split} holds "
                f"{found[0]} from frame {found[1]}, not {wanted[0]} from frame "
                f"{wanted[1]}: prepare the data set anew"
            )
        return chunk


def _decode(data: bytes, mode: str | None = None) -> np.ndarray:
    """An encoded image as uint8; of a palette image the indices, which are the ids."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode) if mode else image)


class ChunkRows:
    """Chunk records of a stored split, their images left encoded.

    Parses the bytes itself: TFDS's SkipDecoding does not work on a sequence of images
    without TensorFlow.
    """

    def __init__(self, open_rows: Callable[[], Any]):
        self._rows = open_rows()
        self._features = _chunk_features()

    def __getstate__(self):
        return self._rows  # features hold locks and build in no time

    def __setstate__(self, rows):
        self._rows, self._features = rows, _chunk_features()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        record = self._features.deserialize_example_np(self._rows[row])
        text = {key: record[key].decode("utf-8") for key in ("video_id", "source")}
        return {**record, **text, "start": int(record["start"])}


def _chunk_features() -> tfds.features.FeaturesDict:
    images = tfds.features.Sequence(tfds.features.Tensor(shape=(), dtype=np.object_))
    return tfds.features.FeaturesDict(
        {
            "video_id": tfds.features.Text(),
            "source": tfds.features.Text(),
            "start": tfds.features.Scalar(np.int32),
            "frames": images,
            "masks": images,
        }
    )


def open_dataset(
    data_dir: str | Path, name: str = "open_pvsg", config: str = "default"
) -> Dataset:
    """What `prepare` wrote to data_dir; config "default" or "1024" (resized frames).

    Raises InputError where there is no such data set, or its parts disagree.
    """
    videos = _builder(data_dir, name, VIDEOS)
    chunks = _builder(data_dir, name, config)
    records, rows = {}, {}
    for split in videos.info.splits:
        source = videos.as_data_source(split)
        records[split] = _records(source, split)
        rows[split] = ChunkRows(lambda s=split: chunks.as_data_source(s).data_source)
        want = sum(-(-video.num_frames // CHUNK) for video in records[split])
        if want != len(rows[split]):
            raise InputError(
                f"{data_dir}/{name}: {split} has {len(rows[split])} chunks in {config} "
                f"but its videos need {want}: prepare the data set anew"
            )
    size = None if config == "default" else int(config)
    return Dataset(name, _vocabulary(videos.info.features), records, rows, size)


def _builder(data_dir: str | Path, name: str, config: str):
    folder = Path(data_dir) / name / config
    # A run that was killed leaves VERSION.incomplete… beside them.
    versions = [
        file.parent
        for file in folder.glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", file.parent.name)
    ]
    if not versions:
        raise InputError(
            f"{folder}: no prepared data set: make one with "
            f"python -m c2g_jax.prepare --data_dir={data_dir}"
        )
    newest = max(versions, key=lambda v: tuple(map(int, v.name.split("."))))
    return tfds.builder_from_directory(newest)


def _records(source: Sequence[Any], split: str) -> tuple[VideoRecord, ...]:
    videos, row = [], 0
    for record in source:
        videos.append(video_record(record, split, row))
        row += -(-videos[-1].num_frames // CHUNK)
    return tuple(videos)


def _vocabulary(features) -> Vocabulary:
    """The names that the labels of the data set stand for, in their order."""
    names = features["objects"]["category"].names
    predicates = features["relations"]["predicate"].names
    stuff = load_vocabulary().stuff  # TFDS keeps the names, not which are stuff
    first = next((i for i, name in enumerate(names) if name in stuff), len(names))
    return Vocabulary(tuple(names[:first]), tuple(names[first:]), tuple(predicates))
