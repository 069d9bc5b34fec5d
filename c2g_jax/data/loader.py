"""Endless batches of clips from worker processes, resumable bit for bit.

Clip i of the stream belongs to epoch i // clips; each epoch has one clip of every
usable video, in its own order. The order depends on (seed, epoch) alone, a clip on
(seed, epoch, video). So neither the number of workers nor a restart changes a batch,
and the state to save is the number of batches taken.
"""

import dataclasses
import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import grain
import numpy as np
from absl import flags

from c2g_jax.data.clip_config import ClipConfig
from c2g_jax.data.clips import Clip, make_clip
from c2g_jax.data.dataset import Dataset
from c2g_jax.data.records import VideoRecord
from c2g_jax.types import InputError


class ClipSource:
    """The endless stream of clips as a grain source: clip i by its index."""

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        config: ClipConfig,
        seed: int,
        videos: Sequence[VideoRecord] | None = None,
    ):
        if dataset.size not in (None, config.image_size):
            raise InputError(
                f"{dataset.name}: its frames are stored at {dataset.size}x"
                f"{dataset.size}, not {config.image_size}: use the config default"
            )
        if dataset.size is not None and config.crop < 1:
            # Frames are resized, masks are not: a crop would differ between them.
            raise InputError(
                f"{dataset.name}: crop {config.crop:g} needs frames of the video's own "
                "size: use the config default, or crop 1"
            )
        self.dataset, self.config, self.seed = dataset, config, seed
        self.split = split
        self.videos = dataset.videos(split) if videos is None else tuple(videos)
        starts = {i: config.starts(video) for i, video in enumerate(self.videos)}
        self.starts = {i: found for i, found in starts.items() if len(found)}
        if not self.starts:
            raise InputError(
                f"{dataset.name}: no video of {split!r} has a clip of "
                f"{config.num_frames} frames for {config.task}"
            )
        logging.info(
            "%s %s: a clip for %s in %d of %d videos",
            dataset.name, split, config.task, len(self.starts), len(self.videos),
        )  # fmt: skip

    @property
    def clips(self) -> int:
        """Clips per epoch: one for each video that has any."""
        return len(self.starts)

    def order(self, epoch: int) -> np.ndarray:
        """Return the indices of the videos in the order of an epoch: int [clips]."""
        return _shuffled(self.seed, epoch, tuple(self.starts))

    def __len__(self) -> int:
        return sys.maxsize // 2

    def __getitem__(self, number: int) -> Clip:
        epoch, position = divmod(int(number), self.clips)
        index = int(self.order(epoch)[position])
        # index + 1, because 0 seeds the order (NumPy pads seeds with zeros).
        rng = np.random.default_rng((self.seed, epoch, index + 1))
        start = int(rng.choice(self.starts[index]))
        donor = None
        if self.config.pasted:
            other = int(rng.choice(list(self.starts)))
            donor = self.videos[other], int(rng.choice(self.starts[other]))
        video = self.videos[index]
        clip = make_clip(self.dataset, video, start, self.config, rng, donor)
        return {**clip, "video_index": np.int32(index)}


@functools.lru_cache(maxsize=8)
def _shuffled(seed: int, epoch: int, indices: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng((seed, epoch, 0)).permutation(np.array(indices))


class ClipIterator(Iterator[Clip]):
    """Iterator over batches; `get_state` and `set_state` resume bit for bit."""

    def __init__(self, loader: "ClipLoader"):
        self._loader, self._batches, self._batch_iterator = loader, 0, None

    def __next__(self) -> Clip:
        if self._batch_iterator is None:
            self._batch_iterator = iter(self._loader.batches(self._batches))
        batch = next(self._batch_iterator)
        self._batches += 1
        if not self._loader.num_workers:
            return batch
        # Copies, because a worker's arrays occupy shared memory.
        return {key: np.array(value) for key, value in batch.items()}

    def get_state(self) -> dict[str, Any]:
        """Return the state as JSON values: batches taken, and the stream's identity."""
        return {"batches": self._batches, **self._loader.identity}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue after the state's last batch; InputError for another stream's."""
        for key, ours in self._loader.identity.items():
            if state[key] != ours:
                raise InputError(
                    f"the saved position in the data has {key} {state[key]}, this run "
                    f"{ours}: use the same data and settings"
                )
        self.close()
        self._batches = int(state["batches"])

    def close(self) -> None:
        """Stop the worker processes; the next batch starts them again."""
        if self._batch_iterator is not None:
            self._batch_iterator.close()
            self._batch_iterator = None


def _worker(index: int, count: int) -> None:
    """Initialise a worker process: ignore Ctrl-C, and end with the parent process."""
    del index, count
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        # Workers outlive a killed parent otherwise.
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@dataclasses.dataclass(frozen=True)
class ClipLoader:
    """Iterable of batches: dicts of arrays with a leading axis b (see `data.clips`)."""

    source: ClipSource
    batch_size: int
    num_workers: int
    shard: tuple[int, int]  # index and count

    @property
    def identity(self) -> dict[str, Any]:
        """What must be equal for a saved position to be valid in another stream."""
        config = self.source.config
        return {
            "split": self.source.split,
            "seed": self.source.seed,
            "clips": self.source.clips,
            "task": config.task,
            "frames": [config.num_frames, config.stride],
            "batch_size": self.batch_size,
            "shard": list(self.shard),
        }

    def batches(self, first: int) -> grain.IterDataset:
        """Return this shard's stream from batch `first`, as a grain data set."""
        index, count = self.shard
        skip = index + first * self.batch_size * count
        clips = grain.MapDataset.source(self.source)[skip::count]
        batches = clips.batch(self.batch_size, drop_remainder=True)
        # Decoding dominates, and is spread over processes instead of threads.
        stream = batches.to_iter_dataset(grain.ReadOptions(1, 1))
        if not self.num_workers:
            return stream
        if not flags.FLAGS.is_parsed():  # grain reads absl flags of its own
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(self.num_workers, 2)
        return stream.mp_prefetch(options, worker_init_fn=_worker)

    def __iter__(self) -> ClipIterator:
        return ClipIterator(self)


def clip_loader(
    dataset: Dataset,
    split: str,
    config: ClipConfig,
    batch_size: int,
    seed: int = 0,
    num_workers: int = 0,
    shard: tuple[int, int] = (0, 1),
    videos: Sequence[VideoRecord] | None = None,
) -> ClipLoader:
    """Return batches of clips of a split, for shard (index, count) of the processes.

    With `videos`, only of these of the split. Clip i goes to shard i % count;
    batch_size is per shard. Raises InputError if there is no clip.
    """
    index, count = shard
    if not 0 <= index < count:
        raise InputError(f"shard {index} of {count}: count from 0")
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: give at least 1")
    for name, value in (("num_workers", num_workers), ("seed", seed)):
        if value < 0:
            raise InputError(f"{name} {value}: give 0 or more")
    source = ClipSource(dataset, split, config, seed, videos)
    return ClipLoader(source, batch_size, num_workers, shard)
