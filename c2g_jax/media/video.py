"""Opening videos (files, folders of frames, images, arrays) and writing mp4 files.

Frames are streamed, a few of them decoded ahead in a thread; a whole video is never in
memory.
"""

import functools
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from c2g_jax.media import images
from c2g_jax.media.decoding import decode_frames, read_table
from c2g_jax.media.frames import (
    DEFAULT_FPS,
    Video,
    check_sampling,
    open_arrays,
    open_image,
    open_images,
    sampled_video,
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

    A file, also an animated webp, png or gif, is sampled at `fps` frames per second by
    its time stamps (None: every frame). The frames of a folder and arrays, or PIL
    images, are all used, with `fps` as their rate. start and
    end: seconds from the first frame. Raises InputError if the source cannot be read.
    """
    sampling = check_sampling(fps, start, end, max_frames)
    if not isinstance(source, (str, Path)):
        if not isinstance(source, Iterable):
            raise InputError(
                f"{source!r} is not a video: give a path, or a list of arrays"
            )
        return open_arrays(source, sampling)
    path = Path(os.path.expanduser(source))
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
    # FFmpeg reads animated png and gif under any name, but no animated webp.
    if path.suffix.lower() in (*images.SUFFIXES, ".apng") or images.is_webp(path):
        return open_image(path, sampling)
    table = read_table(path)
    read = functools.partial(decode_frames, path, table)
    return sampled_video(path.name, table.times, sampling, read)


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
    # A frame an hour would be a rate of 0, and last too many ticks of a fast clock.
    clock = 90_000 if (fps or 1) > 0.01 else 1000
    rate = max(Fraction(fps or 1).limit_denominator(1001), Fraction(1, 1001))
    stream = container.add_stream("libx264", rate=rate)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = Fraction(1, clock)
    stream.options = {"crf": "20", "preset": "veryfast"}
    return stream
