"""Opening videos (files, folders of frames, images, arrays) and writing mp4 files.

Frames are streamed, a few of them decoded ahead in a thread; a whole video is never in
memory.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from c2g_jax.media import images
from c2g_jax.media.frames import (
    DEFAULT_FPS,
    Sampling,
    Video,
    check_sampling,
    no_frame,
    open_arrays,
    open_images,
)
from c2g_jax.media.outputs import write_atomic
from c2g_jax.types import Frame, InputError


def open_video(
    source: str | Path | Iterable[np.ndarray],
    fps: float | None = DEFAULT_FPS,
    start: float | None = None,
    end: float | None = None,
    max_frames: int | None = None,
) -> Video:
    """Open a video file, a folder of frames, one image, or arrays [H, W(, 3 or 4)].

    A file is sampled at `fps` frames per second by its time stamps (None: every frame).
    The frames of a folder and arrays are all used, with `fps` as their rate. start and
    end: seconds from the first frame. Raises InputError if the source cannot be read.
    """
    sampling = check_sampling(fps, start, end, max_frames)
    if not isinstance(source, (str, Path)):
        if not isinstance(source, Iterable):
            raise InputError(
                f"{source!r} is not a video: give a path, or a list of arrays"
            )
        return open_arrays(source, sampling)
    path = Path(source)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # not a possible file name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: no such video ({reason}): check the path") from None
    if is_folder:
        files = images.frame_files(path)
        rate = sampling.fps or DEFAULT_FPS
        return open_images(path.resolve().name, files, rate, sampling)
    if not is_file:
        raise InputError(f"{path}: no such video, image or folder: check the path")
    if path.suffix.lower() in images.SUFFIXES:
        return open_images(path.name, [path], None, Sampling())
    return _open_file(path, sampling)


def check_not_input(video: str | Path | None, output: str | Path, name: str) -> None:
    """Raise InputError if writing to `output` would replace a video or its frames.

    video: file or folder, None if it is neither. name: how the message calls it.
    """
    if video is None:
        return
    video, output = Path(video), Path(output)
    real = os.path.realpath(output)
    same = real == os.path.realpath(video) or (
        os.path.exists(output) and os.path.exists(video) and output.samefile(video)
    )
    # Every image in a folder of frames counts as a frame.
    frame = output.suffix.lower() in images.SUFFIXES and video.is_dir()
    if same or (frame and os.path.dirname(real) == os.path.realpath(video)):
        what = "is" if same else "is among the frames of"
        raise InputError(f"{output} {what} {name}: write to another place")


def write_mp4(path: Path, frames: Iterable[Frame], fps: float | None) -> None:
    """Write frames as H.264 with their own time stamps; replaces the file atomically.

    H.264 needs even sides: an odd last row or column is repeated. fps: a hint for
    players, None for a single image.
    """
    write_atomic(path, lambda temporary: _encode(temporary, frames, fps))


def _encode(path: Path, frames: Iterable[Frame], fps: float | None) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream, first = None, 0.0
        for frame in frames:
            rgb = np.pad(
                frame.rgb,
                ((0, frame.height % 2), (0, frame.width % 2), (0, 0)),
                mode="edge",
            )
            if stream is None:
                stream = _add_h264(container, rgb.shape, fps)
                first = frame.time
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.time_base = stream.codec_context.time_base
            picture.pts = round((frame.time - first) / picture.time_base)
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode(None))


def _add_h264(container, shape, fps):
    rate = Fraction(fps or 1).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, 90_000)
    stream.options = {"crf": "20", "preset": "veryfast"}
    return stream


@dataclass(frozen=True)
class _Index:
    """The frames of a file in presentation order."""

    keys: np.ndarray  # int64 [n]: pts, or positions if the file has no pts
    times: np.ndarray  # float64 [n], seconds from the first frame
    by_pts: bool
    entries: tuple[tuple[int, int], ...]  # (pts, dts) of the frames to seek to


def _open_file(path, sampling):
    index = _index_file(path)
    chosen = sampling.pick(index.times)
    if not len(chosen):
        raise no_frame(path.name, index.times[-1])
    times = index.times[chosen]
    size = next(_decode(path, index, chosen[:1])).rgb.shape
    rate = fps = sampling.fps
    if len(times) > 1:
        real = (len(times) - 1) / float(times[-1] - times[0])
        # Near the requested rate, as 4.995 from 29.97 fps, report the requested one; a
        # slower video has its own rate.
        rate = real if fps is None or real < 0.9 * fps else fps
    return Video(
        path.name,
        (size[1], size[0]),
        rate and round(rate, 3),
        len(chosen),
        lambda first: _decode(path, index, chosen, first),
        times,
    )


def _index_file(path):
    pts, entries = [], []
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            rate = stream.guessed_rate or stream.average_rate or 25
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.is_keyframe:
                    entries.append((packet.pts, packet.dts))
                if entries:  # frames before the first key frame cannot be decoded
                    pts.append(packet.pts)
            base = stream.time_base
    except (av.error.FFmpegError, OSError):
        raise InputError(
            f"{path}: not a readable video, or cut short: record or export it again"
        ) from None
    if not pts:
        raise InputError(f"{path}: the video has no frames: record or export it again")
    if None in pts:
        keys = np.arange(len(pts))
        return _Index(keys, np.round(keys / float(rate), 6), False, ())
    keys = np.unique([value for value in pts if value >= entries[0][0]])
    times = np.round((keys - keys[0]) * float(base), 6)
    return _Index(keys, times, True, tuple(entries))


def _video_stream(path, container):
    if not container.streams.video:
        raise InputError(f"{path}: has no video track: give a video or images")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    return stream


def _decode(path, index, chosen, first=0):
    """Yield the chosen frames from index `first` on.

    A frame that cannot be decoded is replaced by a later one before the next chosen
    frame; InputError if there is none.
    """
    keys, given = index.keys[chosen].tolist(), first
    if first >= len(keys):
        return
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: can no longer be read ({error.strerror}): restore the video"
        ) from None
    with container:
        stream = _video_stream(path, container)
        before = [
            dts for pts, dts in index.entries if pts <= keys[first] and dts is not None
        ]
        if len(before) > 1:
            container.seek(before[-1], stream=stream)
        for count, picture in enumerate(_pictures(container, stream)):
            key = picture.pts if index.by_pts else count
            if key is None or key < keys[given]:
                continue
            if given + 1 < len(keys) and key >= keys[given + 1]:
                break
            rgb = picture.to_ndarray(format="rgb24")
            # Phones store pixels sideways, with the rotation as metadata.
            rgb = np.rot90(rgb, round(picture.rotation / 90) % 4)
            position = min(np.searchsorted(index.keys, key), len(index.keys) - 1)
            time = float(index.times[position])
            yield Frame(given, time, np.ascontiguousarray(rgb))
            given += 1
            if given == len(keys):
                return
    mend = "record or export it again"
    if given > first:
        mend = f"use --end={index.times[chosen[given - 1]]:.2f} or {mend}"
    raise InputError(
        f"{path}: damaged: the frame at {index.times[chosen[given]]:.2f} s cannot be "
        f"decoded: {mend}"
    )


def _pictures(container, stream):
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue  # a damaged packet; the frames around it may be intact
