"""Batches of clips without end, in worker processes, resumed where they stopped.

Clip number i of the stream belongs to epoch i // clips; each epoch takes one clip of
every usable video, in an order of its own. Order, start and everything drawn follow
from (seed, epoch, video) alone, so neither the number of workers nor a restart changes
a bit, and the state to save is how many batches were handed out.
"""

import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import grain
import numpy as np
from absl import flags

from c2g_jax.data.clips import Clip, ClipConfig, make_clip
from c2g_jax.data.dataset import Dataset
from c2g_jax.types import InputError


class ClipSource:
    """The endless stream of clips as a grain source: clip i by its number."""

    def __init__(self, dataset: Dataset, split: str, config: ClipConfig, seed: int):
        if dataset.size not in (None, config.image_size):
            raise InputError(
                f"{dataset.name}: its frames are stored at {dataset.size}x"
                f"{dataset.size}, not {config.image_size}: use the config default"
            )
        if dataset.size is not None and config.crop < 1:
            # Its masks are of the video's own size: a window would be two.
            raise InputError(
                f"{dataset.name}: crop {config.crop:g} needs frames of the video's own "
                "size: use the config default, or crop 1"
            )
        self.dataset, self.config, self.seed = dataset, config, seed
        self.split = split
        self.videos = dataset.videos(split)
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
        """Clips in an epoch: one for each video that has any."""
        return len(self.starts)

    def order(self, epoch: int) -> np.ndarray:
        """int [clips]: indices of the videos in the order of this epoch."""
        return _shuffled(self.seed, epoch, tuple(self.starts))

    def __len__(self) -> int:
        return sys.maxsize // 2

    def __getitem__(self, number: int) -> Clip:
        epoch, position = divmod(int(number), self.clips)
        index = int(self.order(epoch)[position])
        # Zero stands for the order: NumPy pads the seed with zeros.
        rng = np.random.default_rng((self.seed, epoch, index + 1))
        start = int(rng.choice(self.starts[index]))
        clip = make_clip(self.dataset, self.videos[index], start, self.config, rng)
        return {**clip, "video_index": np.int32(index)}


@functools.lru_cache(maxsize=8)
def _shuffled(seed: int, epoch: int, indices: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng((seed, epoch, 0)).permutation(np.array(indices))


class ClipIterator(Iterator[Clip]):
    """Batches from the stream; `get_state` and `set_state` resume bit for bit."""

    def __init__(self, loader: "ClipLoader"):
        self._loader, self._batches, self._batch_iterator = loader, 0, None

    def __next__(self) -> Clip:
        if self._batch_iterator is None:
            self._batch_iterator = iter(self._loader.batches(self._batches))
        batch = next(self._batch_iterator)
        self._batches += 1
        if not self._loader.num_workers:
            return batch
        # A worker's arrays lie in shared memory, which should be free again soon.
        return {key: np.array(value) for key, value in batch.items()}

    def get_state(self) -> dict[str, Any]:
        """What to save, as JSON: batches handed out, and of which stream."""
        return {"batches": self._batches, **self._loader.identity}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on after the state's last batch; InputError if it is another stream's."""
        for key, ours in self._loader.identity.items():
            if state[key] != ours:
                raise InputError(
                    f"the saved position in the data has {key} {state[key]}, this run "
                    f"{ours}: start with the same data and settings"
                )
        self.close()
        self._batches = int(state["batches"])

    def close(self) -> None:
        """Stop the worker processes; they start again with the next batch."""
        if self._batch_iterator is not None:
            self._batch_iterator.close()
            self._batch_iterator = None


def _worker(index: int, count: int) -> None:
    """Begin a worker process: it ends with its parent, and leaves Ctrl-C to it."""
    del index, count
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        # A killed parent takes nobody with it, and its workers would stay for good.
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class ClipLoader:
    """Iterable over batches: dicts of arrays with a leading axis b (see `clips`)."""

    def __init__(
        self,
        source: ClipSource,
        batch_size: int,
        num_workers: int,
        shard: tuple[int, int],
    ):
        self.source, self.batch_size = source, batch_size
        self.num_workers, self.shard = num_workers, shard

    @property
    def identity(self) -> dict[str, Any]:
        """What two streams must share for a position in one to hold in the other."""
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
        """The stream from batch `first` of this shard, as grain runs it."""
        index, count = self.shard
        skip = index + first * self.batch_size * count
        clips = grain.MapDataset.source(self.source)[skip::count]
        batches = clips.batch(self.batch_size, drop_remainder=True)
        # Decoding is what takes the time, and processes, not threads, spread it.
        stream = batches.to_iter_dataset(grain.ReadOptions(1, 1))
        if not self.num_workers:
            return stream
        if not flags.FLAGS.is_parsed():  # grain has flags of its own, and reads them
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
) -> ClipLoader:
    """Batches of clips of a split, for shard (index, count) of the processes.

    Shards take turns: clip i goes to shard i % count, each batch_size a time. Raises
    InputError where the split has no clip.
    """
    index, count = shard
    if not 0 <= index < count:
        raise InputError(f"shard {index} of {count}: count from 0")
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: give at least 1")
    for name, value in (("num_workers", num_workers), ("seed", seed)):
        if value < 0:
            raise InputError(f"{name} {value}: give 0 or more")
    source = ClipSource(dataset, split, config, seed)
    return ClipLoader(source, batch_size, num_workers, shard)
