"""A video as a stream of sampled frames, from images or arrays."""

import itertools
import math
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from c2g_jax.media import images
from c2g_jax.types import Frame, InputError, real, whole

DEFAULT_FPS = 5.0  # the rate of OpenPVSG's videos
MAX_FPS = 1000
AHEAD = 8  # frames decoded before they are asked for
CLOCK_SLACK = 0.002  # seconds; webm rounds its times to milliseconds


class Video:
    """Sampled frames of a source; each `iter()` is a new pass over them.

    num_frames is None where only the end of the pass tells, and so are times, seconds
    from the first frame of the source; fps is the rate of the sampled frames, None for
    a single image. Leave a pass early by closing its iterator
    (`contextlib.closing`), which ends the thread behind it.

    `frames(k)` makes the frames from number k on, which keep their numbers.
    """

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        fps: float | None,
        num_frames: int | None,
        frames: Callable[[int], Iterator[Frame]],
        times: Sequence[float] | None = None,
    ):
        self.name = name
        self.width, self.height = size
        self.fps = fps
        self.num_frames = num_frames
        self.times = None if times is None else tuple(float(t) for t in times)
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return self.read_from(0)

    def read_from(self, index: int) -> Iterator[Frame]:
        """A pass that begins at a frame; a file is entered close before it."""
        return read_ahead(self._frames(index), AHEAD)


class Sampling(NamedTuple):
    """Which frames of a video are taken; None: every frame, from its start, to its end.

    fps: so many a second. start and end: seconds.
    """

    fps: float | None
    start: float | None
    end: float | None
    max_frames: int | None


def check_sampling(
    fps: float | None, start: float | None, end: float | None, max_frames: int | None
) -> Sampling:
    """The sampling as plain numbers; InputError for one that no video can follow."""
    fps = None if fps is None else real(fps, "fps")
    start = None if start is None else real(start, "start")
    end = None if end is None else real(end, "end")
    max_frames = None if max_frames is None else whole(max_frames, "max_frames")
    if fps is not None and not 0 < fps <= MAX_FPS:
        raise InputError(f"fps is {fps:g}: give a number above 0, up to {MAX_FPS}")
    if start is not None and not 0 <= start < math.inf:
        raise InputError(f"start is {start:g} s: give 0 or more seconds")
    if end is not None and not (start or 0) < end < math.inf:
        raise InputError(
            f"end is {end:g} s but start is {start or 0:g} s: give a later second"
        )
    if max_frames is not None and max_frames < 1:
        raise InputError(f"max_frames is {max_frames}: give 1 or more")
    return Sampling(fps, start, end, max_frames)


def pick_frames(
    times: np.ndarray,
    fps: float | None,
    start: float | None = None,
    end: float | None = None,
    max_frames: int | None = None,
) -> np.ndarray:
    """Indices int64 [m] into `times` (ascending seconds [n]) of the frames to take.

    The frame nearest to each tick start + k / fps, none twice: a video slower than
    `fps` gives every frame it has.
    """
    first = times[0] if start is None else start
    inside = times >= first - CLOCK_SLACK
    if end is not None:
        inside &= times <= end + CLOCK_SLACK
    chosen = np.flatnonzero(inside)
    if fps is not None and len(chosen):
        kept = times[chosen]
        ticks = np.arange(int((kept[-1] - first + CLOCK_SLACK) * fps) + 1) / fps + first
        after = np.clip(np.searchsorted(kept, ticks), 0, len(kept) - 1)
        before = np.maximum(after - 1, 0)
        nearer = ticks - kept[before] < kept[after] - ticks
        chosen = chosen[np.unique(np.where(nearer, before, after))]
    return chosen[:max_frames]


def read_ahead(source: Iterable, depth: int) -> Iterator:
    """Yield the items of `source`, up to `depth` of them made ahead in a thread.

    An error in `source` is raised here in its turn. Closing the generator ends the
    thread and closes `source`.
    """
    room = threading.Semaphore(depth)
    ready = queue.SimpleQueue()  # of (item, error, more)
    stopped = threading.Event()

    def produce():
        try:
            for item in source:
                room.acquire()
                if stopped.is_set():
                    break
                ready.put((item, None, True))
            ready.put((None, None, False))
        except BaseException as error:  # handed over, raised by the reader
            ready.put((None, error, False))
        finally:
            if hasattr(source, "close"):
                source.close()

    thread = threading.Thread(target=produce, name="read_ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error, more = ready.get()
            if error is not None:
                raise error
            if not more:
                return
            room.release()
            yield item
    finally:
        stopped.set()
        room.release()
        thread.join()


def open_images(
    name: str,
    files: Sequence[Path],
    rate: float | None,
    start: float | None,
    end: float | None,
    max_frames: int | None,
) -> Video:
    """Files of images as a video of so many frames a second; None for a single image.

    Read when asked for. InputError where sizes differ, or none lies in start and end.
    """
    times = np.arange(len(files)) / (rate or 1)
    chosen = pick_frames(times, None, start, end, max_frames)
    if not len(chosen):
        raise no_frame(name, times[-1])
    images.check_one_size([files[i] for i in chosen])
    height, width = images.read_image(files[chosen[0]]).shape[:2]

    def frames(first):
        for count, i in list(enumerate(chosen))[first:]:
            rgb = images.read_image(files[i])
            if rgb.shape[:2] != (height, width):
                raise InputError(
                    f"{files[i]} is {rgb.shape[1]}x{rgb.shape[0]} but the first frame "
                    f"is {width}x{height}: use frames of one size"
                )
            yield Frame(count, round(float(times[i]), 6), rgb)

    shown = np.round(times[chosen], 6)
    return Video(name, (width, height), rate, len(chosen), frames, shown)


def open_arrays(
    source: Iterable[Any],
    fps: float | None,
    start: float | None,
    end: float | None,
    max_frames: int | None,
) -> Video:
    """Arrays or PIL images as a video, taken as if they came at `fps`.

    An iterator serves one pass, and may have no end. InputError where there is no
    frame, a size differs, or a second pass is asked of an iterator.
    """
    rate = fps or DEFAULT_FPS
    arrays = iter(source)
    first = next(arrays, None)
    if first is None:
        raise InputError("no frames were given: give at least one")
    size = images.to_rgb(first).shape
    again = iter(source) is not arrays  # a list can be walked again, a generator not
    passes = itertools.count()

    def frames(begin):
        if next(passes) and not again:
            raise InputError(
                "the frames came from an iterator and are used up: going back needs a "
                "file, a folder or a list"
            )
        rest = source if again else itertools.chain([first], arrays)
        low = (start or 0) - CLOCK_SLACK
        high = float("inf") if end is None else end + CLOCK_SLACK
        i = count = 0
        for i, array in enumerate(rest):
            if i / rate > high or count == max_frames:
                break
            if i / rate >= low:
                rgb = images.to_rgb(array)
                if rgb.shape != size:
                    raise InputError(
                        f"frame {i} is {rgb.shape[1]}x{rgb.shape[0]} but the first is "
                        f"{size[1]}x{size[0]}: use frames of one size"
                    )
                if count >= begin:
                    yield Frame(count, round(i / rate, 6), rgb)
                count += 1
        if not count:
            raise no_frame("frames", i / rate)

    num_frames = shown = None
    if again and hasattr(source, "__len__"):
        times = np.arange(len(source)) / rate
        shown = np.round(times[pick_frames(times, None, start, end, max_frames)], 6)
        num_frames = len(shown)
        if not num_frames:
            raise no_frame("frames", times[-1])
    return Video("frames", (size[1], size[0]), rate, num_frames, frames, shown)


def no_frame(name: str, last: float) -> InputError:
    """What to raise where no frame lies in the time that is asked for."""
    return InputError(
        f"{name}: no frame between start and end: the last is at {last:.2f} s: start "
        "earlier, or end later"
    )
