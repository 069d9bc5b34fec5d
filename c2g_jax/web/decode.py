"""A file to a clip, in a process of its own: `python -m c2g_jax.web.decode` (JSON).

What a damaged or hostile file does to a decoder, it does to this process, which has
little to lose: bounded memory and time, and no way to any file but its own. Where it
fails it prints {"error", "status"} as JSON, and nothing else.
"""

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image

from c2g_jax.media.images import read_image
from c2g_jax.media.outputs import DiskFull, disk_is_full
from c2g_jax.media.video import DEFAULT_FPS, open_video
from c2g_jax.types import Frame, InputError
from c2g_jax.web.clips import DISK_FULL, Clip, frame_name

MEMORY = 6 << 30  # bytes of address space
CODECS = {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mjpeg", "prores", "theora"}
IMAGES = {
    "JPEG": lambda head: head.startswith(b"\xff\xd8\xff"),
    "PNG": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "WEBP": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
}
VIDEOS = {  # by FFmpeg's names of the formats
    "mov": lambda head: head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"),
    "matroska": lambda head: head.startswith(b"\x1a\x45\xdf\xa3"),
    "avi": lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ",
}


class Refused(Exception):
    """A file outside of the bounds: HTTP status, and one sentence."""

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status = status


def decode(source: Path, folder: Path, name: str, limits: dict | None) -> None:
    """Write the clip; `limits` None for what the person at this machine named.

    limits: pixels of a frame, and frames. Raises Refused or InputError.
    """
    video = open_video(source) if limits is None else _checked(source, limits)
    if isinstance(video, Frame):
        frames, fps, times = iter([video]), None, (0.0,)
        height, width = video.rgb.shape[:2]
    else:
        frames, fps, times = iter(video), video.fps, video.times
        width, height = video.width, video.height
    for frame in frames:
        if frame.rgb.shape[:2] != (height, width):
            raise Refused(422, f"{name}: its frames are of several sizes: export anew")
        picture = Image.fromarray(frame.rgb)
        picture.save(folder / frame_name(frame.index), quality=95, subsampling=0)
    Clip(folder, name, width, height, fps, tuple(times)).write()


def _checked(source: Path, limits: dict):
    """An upload that keeps within the limits: its video, or its one frame."""
    with open(source, "rb") as file:
        head = file.read(64)
    for kind, fits in IMAGES.items():
        if fits(head):
            with Image.open(source, formats=[kind]) as image:
                _check_size(*image.size, limits)
            return Frame(0, 0.0, read_image(source))
    for kind, fits in VIDEOS.items():
        if fits(head):
            _check_video(source, kind, limits)
            video = open_video(source)
            if video.num_frames > limits["frames"]:
                raise Refused(
                    413,
                    f"the video gives {video.num_frames} frames at {DEFAULT_FPS:g} a "
                    f"second, but {limits['frames']} is the limit: cut it shorter",
                )
            return video
    raise Refused(415, "not a video or image known here: give mp4, mov, webm, jpg, png")


def _check_video(source: Path, kind: str, limits: dict) -> None:
    """Codec and size, before a single frame is decoded."""
    with av.open(str(source), format=kind) as container:
        if not container.streams.video:
            raise Refused(415, "the file holds no video track: give another")
        stream = container.streams.video[0]
        codec = stream.codec_context.name if stream.codec_context else "unknown"
        codec = {"libdav1d": "av1", "libaom-av1": "av1"}.get(codec, codec)
        codec = {"libvpx-vp9": "vp9", "libvpx": "vp8"}.get(codec, codec)
        if codec not in CODECS:
            known = ", ".join(sorted(CODECS))
            raise Refused(415, f"the video is coded as {codec}: give one of {known}")
        _check_size(stream.width, stream.height, limits)


def _check_size(width: int, height: int, limits: dict) -> None:
    if width * height > limits["pixels"]:
        raise Refused(
            413,
            f"its frames are {width}x{height}, over the limit of "
            f"{limits['pixels'] / 1e6:.1f} million pixels: make them smaller",
        )


def _failures() -> tuple[type[Exception], ...]:
    return (av.error.FFmpegError, OSError, ValueError, SyntaxError, MemoryError)


def main(task: str) -> Iterator[dict]:
    """The lines to print at the end of a task {source, folder, name, limits}."""
    task = json.loads(task)
    source, folder = Path(task["source"]), Path(task["folder"])
    try:
        decode(source, folder, task["name"], task["limits"])
    except Refused as error:
        yield {"error": str(error), "status": error.status}
    except DiskFull:
        yield {"error": DISK_FULL, "status": 507}
    except InputError as error:
        # The file's place on this disk is nobody's concern.
        line = str(error).replace(str(source), task["name"])
        yield {"error": line.replace(source.name, task["name"]), "status": 422}
    except _failures() as error:
        if disk_is_full(error):
            yield {"error": DISK_FULL, "status": 507}
            return
        line = f"{task['name']}: damaged, or not what it says it is: export it anew"
        yield {"error": line, "status": 422}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in main(sys.argv[1]):
        print(json.dumps(line), flush=True)
        raise SystemExit(2)
