"""A video as a stream of sampled frames, and its sources in images and arrays."""

import contextlib
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
AHEAD = 8  # frames decoded in advance
CLOCK_SLACK = 0.002  # seconds; webm rounds time stamps to milliseconds


class Video:
    """Sampled frames of a source; each `iter()` is a new pass over them.

    size: (width, height). fps: rate of the sampled frames, None for a single image.
    num_frames and times (seconds from the first frame of the source) are None for an
    iterator, whose length is unknown. The argument `frames(k)` iterates over the frames
    from index k on, with their indices.

    To leave a pass early, close its iterator (`contextlib.closing`): that ends its
    decoding thread.
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
        """Start a pass at a frame; a video file is decoded from a nearby key frame."""
        return read_ahead(self._frames(index), AHEAD)


class Sampling(NamedTuple):
    """Which frames of a video to use; None means no restriction.

    fps: frames per second. start and end: seconds from the first frame.
    """

    fps: float | None = None
    start: float | None = None
    end: float | None = None
    max_frames: int | None = None

    def pick(self, times: np.ndarray) -> np.ndarray:
        """Return the indices, int64 [m], of the frames to use.

        times: ascending seconds [n]. The frame nearest to each tick start + k / fps is
        taken, none twice: a video slower than `fps` gives all its frames.
        """
        first = times[0] if self.start is None else self.start
        inside = times >= first - CLOCK_SLACK
        if self.end is not None:
            inside &= times <= self.end + CLOCK_SLACK
        chosen = np.flatnonzero(inside)
        if self.fps is not None and len(chosen):
            kept = times[chosen]
            count = int((kept[-1] - first + CLOCK_SLACK) * self.fps) + 1
            ticks = np.arange(count) / self.fps + first
            after = np.clip(np.searchsorted(kept, ticks), 0, len(kept) - 1)
            before = np.maximum(after - 1, 0)
            nearer = ticks - kept[before] < kept[after] - ticks
            chosen = chosen[np.unique(np.where(nearer, before, after))]
        return chosen[: self.max_frames]


def check_sampling(
    fps: float | None,
    start: float | None = None,
    end: float | None = None,
    max_frames: int | None = None,
) -> Sampling:
    """Return the sampling as plain numbers; InputError if a value is not valid."""
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


def read_ahead(source: Iterable, depth: int) -> Iterator:
    """Yield the items of `source`, up to `depth` of them computed ahead in a thread.

    An exception of `source` is raised after the items before it. Closing the generator
    ends the thread and closes `source`.
    """
    slots = threading.Semaphore(depth)
    ready = queue.SimpleQueue()  # of (item, error, more)
    stopped = threading.Event()

    def produce():
        try:
            for item in source:
                slots.acquire()
                if stopped.is_set():
                    break
                ready.put((item, None, True))
            ready.put((None, None, False))
        except BaseException as error:  # raised again by the reader
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
            slots.release()
            yield item
    finally:
        stopped.set()
        slots.release()
        thread.join()


def sampled_video(
    name: str,
    times: np.ndarray,
    sampling: Sampling,
    read: Callable[..., Iterator[Frame]],
) -> Video:
    """Open a source whose frames have `times`; InputError if none is in the range.

    read(chosen, first, size) yields the frames of the indices `chosen` from the
    `first` of them on, and raises InputError at one whose (width, height) is not
    `size`; None allows any.
    """
    chosen = sampling.pick(times)
    if not len(chosen):
        raise no_frame(name, times[-1])
    times = times[chosen]
    with contextlib.closing(read(chosen[:1], 0, None)) as frames:
        size = next(frames).rgb.shape[1::-1]
    return Video(
        name,
        size,
        _sampled_rate(times, sampling.fps),
        len(chosen),
        lambda first: read(chosen, first, size),
        times,
    )


def open_image(path: Path, sampling: Sampling) -> Video:
    """Open an image as a Video of one frame, an animation as one sampled by its times.

    Of a still image all of `sampling` is ignored.
    """
    if not images.is_animated(path):
        return open_images(path.name, [path], None, Sampling())
    times = np.array([time for time, _ in images.read_animation(path)])

    def read(chosen, first, size):
        wanted = {int(i): count for count, i in enumerate(chosen) if count >= first}
        for i, (time, picture) in enumerate(images.read_animation(path)):
            if i in wanted:
                rgb = images.to_rgb(picture)
                if size is not None:
                    _check_size(f"{path}: the frame at {time:.2f} s", rgb, size)
                yield Frame(wanted.pop(i), time, rgb)
            if not wanted:
                return

    return sampled_video(path.name, times, sampling, read)


def open_images(
    name: str, files: Sequence[Path], rate: float | None, sampling: Sampling
) -> Video:
    """Open image files as a Video of `rate` frames per second, None for one image.

    Only the range of `sampling` is used, not its rate. The files are read on demand.
    InputError if sizes differ, or no frame is in the range.
    """
    times = np.arange(len(files)) / (rate or 1)
    chosen = sampling._replace(fps=None).pick(times)
    if not len(chosen):
        raise no_frame(name, times[-1])
    if len(files) > 1:
        images.check_frames([files[i] for i in chosen])
    height, width = images.read_image(files[chosen[0]]).shape[:2]

    def frames(first):
        for count, i in list(enumerate(chosen))[first:]:
            rgb = images.read_image(files[i])
            _check_size(files[i], rgb, (width, height))
            yield Frame(count, round(float(times[i]), 6), rgb)

    sampled = np.round(times[chosen], 6)
    return Video(name, (width, height), rate, len(chosen), frames, sampled)


def open_arrays(source: Iterable[Any], sampling: Sampling) -> Video:
    """Open arrays or PIL images as a Video of `sampling.fps` (default 5).

    An iterator allows one pass, and may be endless. InputError if there is no frame,
    sizes differ, or a second pass over an iterator begins.
    """
    rate = sampling.fps or DEFAULT_FPS
    arrays = iter(source)
    first = next(arrays, None)
    if first is None:
        raise InputError("no frames were given: give at least one")
    height, width = images.to_rgb(first).shape[:2]
    repeatable = iter(source) is not arrays  # a list, not a generator
    passes = itertools.count()

    def frames(begin):
        if next(passes) and not repeatable:
            raise InputError(
                "the frames came from an iterator and are used up: to go back, give a "
                "file, a folder or a list"
            )
        rest = source if repeatable else itertools.chain([first], arrays)
        low = (sampling.start or 0) - CLOCK_SLACK
        high = math.inf if sampling.end is None else sampling.end + CLOCK_SLACK
        i = count = 0
        for i, array in enumerate(rest):
            if i / rate > high or count == sampling.max_frames:
                break
            if i / rate >= low:
                rgb = images.to_rgb(array)
                _check_size(f"frame {i}", rgb, (width, height))
                if count >= begin:
                    yield Frame(count, round(i / rate, 6), rgb)
                count += 1
        if not count:
            raise no_frame("frames", i / rate)

    num_frames = sampled = None
    if repeatable and hasattr(source, "__len__"):
        times = np.arange(len(source)) / rate
        chosen = sampling._replace(fps=None).pick(times)
        sampled, num_frames = np.round(times[chosen], 6), len(chosen)
        if not num_frames:
            raise no_frame("frames", times[-1])
        for i in chosen if isinstance(source, list | tuple) else ():
            size = images.size_of(source[i])
            if size not in (None, (width, height)):
                raise images.size_error(f"frame {i}", size, (width, height))
    return Video("frames", (width, height), rate, num_frames, frames, sampled)


def _sampled_rate(times: np.ndarray, fps: float | None) -> float | None:
    """Return the rate of frames sampled at `times`, for which `fps` was requested.

    A rate near the requested one, as 4.995 from 29.97 fps, is reported as that one; a
    slower video has its own rate. None: not known, for a single frame.
    """
    if len(times) < 2:
        return fps
    rate = (len(times) - 1) / float(times[-1] - times[0])
    if fps is not None and rate >= 0.9 * fps:
        rate = fps
    # A frame an hour has a rate too.
    return round(rate, 3) if rate >= 1 else float(f"{rate:.4g}")


def _check_size(frame: object, rgb: np.ndarray, first: tuple[int, int]) -> None:
    size = rgb.shape[1::-1]
    if size != first:
        raise images.size_error(frame, size, first)


def no_frame(name: str, last: float) -> InputError:
    """Return the error for a video without a frame between start and end.

    last: seconds of its last frame.
    """
    return InputError(
        f"{name}: no frame between start and end: the last is at {last:.2f} s: start "
        "earlier, or end later"
    )
