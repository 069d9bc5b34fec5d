"""Waves: parts of a video's trials that fit in the memory of a device together.

The banks of all trials of a wave are in memory at once, so memory depends on the size
of a wave, not on the number of trials. Each wave reads and encodes the frames again.
Waves are independent: those of one or several videos are spread over devices.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import jax

from c2g_jax.click2graph.model import Click2Graph, Click2GraphConfig
from c2g_jax.evaluation.trials import TrackingPass, batches_of
from c2g_jax.sam2.memory import bucket, empty_bank

# Shares of memory that trials may take by default. The rest is for the model, its
# activations and, on a CPU, other programs.
_OF_DEVICE, _OF_HOST = 0.5, 0.25
_COPIES = 3  # of one batch's bank, while it is changed
_AHEAD = 4  # units of work a device that may be done before their turn

Advance = Callable[[int], object]
U, R = TypeVar("U"), TypeVar("R")


def waves_of(forward: TrackingPass, memory: int) -> list[TrackingPass]:
    """Divide a pass into waves of whole batches that fit in `memory` bytes.

    A wave has one batch at least. Batches that begin at about the same time share one.
    """
    batches = batches_of(forward)
    batches.sort(key=lambda batch: forward.place(batch[0].frame))
    each = batch_bytes(forward.model.config, forward.batch)
    count = max(1, memory // each - _COPIES)
    parts = [batches[i : i + count] for i in range(0, len(batches), count)]
    return [
        dataclasses.replace(forward, trials=[t for batch in part for t in batch])
        for part in parts or [[]]
    ]


def batch_bytes(config: Click2GraphConfig, batch: int) -> int:
    """Bound the bytes that a batch of trials holds on the device.

    They are its memory bank, and the masks and features of one frame's scene, with the
    most tracks that the rules allow.
    """
    rows = bucket(batch * (1 + config.rules.max_tracks))
    bank = jax.eval_shape(lambda: empty_bank(config.sam2, rows))
    masks = rows + bucket(batch) * config.didm.num_queries
    side, width = config.sam2.low_res_size, config.sam2.d_model
    scene = 4 * masks * (side * side + 2 * width + masks)
    return scene + sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(bank))


def default_memory(devices: Sequence[jax.Device]) -> int:
    """Return the bytes of each device that trials may take.

    Half of what is free on an accelerator; on CPUs a quarter of the host's memory, or
    of the container's, divided among them.
    """
    stats = [device.memory_stats() or {} for device in devices]
    free = [s["bytes_limit"] - s["bytes_in_use"] for s in stats if "bytes_limit" in s]
    if free:
        return int(_OF_DEVICE * min(free))
    host = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # "max", or not in a container
        host = min(host, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return int(_OF_HOST * host / len(devices))


class WaveProgress:
    """Counts the frames of a video's waves as frames of the video."""

    def __init__(self, advance: Advance, waves: int):
        self._advance, self._waves = advance, waves
        self._lock, self._done, self._told = threading.Lock(), 0, 0

    def __call__(self, frames: int) -> None:
        with self._lock:
            self._done += frames
            whole = self._done // self._waves
            self._advance(whole - self._told)
            self._told = whole


class _Stopped(Exception):
    """Ends a unit of work because another failed, or the user stopped."""


def over_devices(
    model: Click2Graph,
    devices: Sequence[jax.Device],
    units: Iterable[U],
    work: Callable[[Click2Graph, U, Callable[[], None]], R],
) -> Iterator[tuple[U, R]]:
    """Yield each unit with the result of work(model, unit, check), in their order.

    Each device has a thread and a copy of the model. `work` calls `check` now and then;
    it raises an exception once work is to end. With one device there are no threads.
    """
    if len(devices) == 1:
        for unit in units:
            yield unit, work(model, unit, lambda: None)
        return
    stop, free = threading.Event(), queue.SimpleQueue()
    for device in devices:
        free.put((device, jax.device_put(model, device)))

    def check() -> None:
        if stop.is_set():
            raise _Stopped

    def run(unit: U) -> R:
        device, own = free.get()
        try:
            with jax.default_device(device):
                return work(own, unit, check)
        finally:
            free.put((device, own))

    waiting: collections.deque = collections.deque()
    units = iter(units)
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        try:
            while True:
                room = _AHEAD * len(devices) - len(waiting)
                for unit in itertools.islice(units, room):
                    waiting.append((unit, pool.submit(run, unit)))
                if not waiting:
                    return
                unit, future = waiting.popleft()
                yield unit, future.result()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
