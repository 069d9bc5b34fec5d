"""Decode a file to a clip in a separate process: `python -m c2g_jax.web.decode JSON`.

A damaged or hostile file can harm this process only, whose memory and time are bounded.
On failure it prints {"error", "status"} as JSON, and nothing else.
"""

import json
import re
import resource
import sys
from pathlib import Path

import av
from av.error import FFmpegError
from PIL import Image

from c2g_jax.media.decoding import film_track
from c2g_jax.media.display import shown_size
from c2g_jax.media.frames import Video, check_sampling, open_image
from c2g_jax.media.outputs import DiskFull, disk_is_full
from c2g_jax.media.video import open_video
from c2g_jax.types import InputError
from c2g_jax.web.clips import DISK_FULL, Clip, frame_name

MEMORY = 6 << 30  # bytes of address space
CODECS = {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mjpeg", "prores", "theora"}
IMAGES = {
    "JPEG": lambda head: head.startswith(b"\xff\xd8\xff"),
    "PNG": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "WEBP": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
}
VIDEOS = {  # by FFmpeg's names of container formats
    "mov": lambda head: head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"),
    "matroska": lambda head: head.startswith(b"\x1a\x45\xdf\xa3"),
    "avi": lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ",
}


class Refused(Exception):
    """A file that is not accepted: HTTP status and one sentence."""

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status = status


def decode(
    source: Path, folder: Path, name: str, limits: dict | None, fps: float
) -> None:
    """Decode `source`, `fps` frames per second, and write the clip into `folder`.

    limits: "pixels" of a frame and number of "frames"; None: no checks, for the file
    named at the server's start. Raises Refused or InputError.
    """
    video = open_video(source, fps) if limits is None else _checked(source, limits, fps)
    for frame in video:
        picture = Image.fromarray(frame.rgb)
        picture.save(folder / frame_name(frame.index), quality=95, subsampling=0)
    Clip(name, video.width, video.height, video.fps, video.times, folder).write()


def _checked(source: Path, limits: dict, fps: float) -> Video:
    """Return the Video of an upload within the limits."""
    with open(source, "rb") as file:
        head = file.read(64)
    images = [kind for kind, fits in IMAGES.items() if fits(head)]
    videos = [kind for kind, fits in VIDEOS.items() if fits(head)]
    if images:
        with Image.open(source, formats=images) as image:
            _check_size(*image.size, limits)
        video = open_image(source, check_sampling(fps))
    elif videos:
        _check_video(source, videos[0], limits)
        video = open_video(source, fps)
    else:
        raise Refused(415, "unsupported file format: use mp4, mov, webm, jpg or png")
    if video.num_frames > limits["frames"]:
        raise Refused(
            413,
            f"the video has {video.num_frames} frames at {fps:g} per second, but the "
            f"limit is {limits['frames']}: take fewer per second, or cut it shorter",
        )
    return video


def _check_video(source: Path, kind: str, limits: dict) -> None:
    """Check codec and frame size before any frame is decoded."""
    with av.open(str(source), format=kind) as container:
        try:
            stream = film_track(source, container)
        except InputError:
            raise Refused(415, "the file has no video track: use another") from None
        codec = stream.codec_context.codec.canonical_name
        if codec not in CODECS:
            known = ", ".join(sorted(CODECS))
            raise Refused(415, f"unsupported codec {codec}: use one of {known}")
        _check_size(stream.width, stream.height, limits)
        ratio = stream.sample_aspect_ratio
        _check_size(*shown_size(stream.width, stream.height, ratio), limits)


def _check_size(width: int, height: int, limits: dict) -> None:
    if width * height > limits["pixels"]:
        raise Refused(
            413,
            f"the frames are {width}x{height}, over the limit of "
            f"{limits['pixels'] / 1e6:.1f} million pixels: make them smaller",
        )


def main(task: str) -> dict | None:
    """Run a task, the arguments of `decode`; return what to print if it fails."""
    task = json.loads(task)
    source, folder = Path(task["source"]), Path(task["folder"])
    try:
        decode(source, folder, task["name"], task["limits"], task["fps"])
    except Refused as error:
        return {"error": str(error), "status": error.status}
    except DiskFull:
        return {"error": DISK_FULL, "status": 507}
    except InputError as error:
        # Clients must not see paths of this machine; the page has no flags.
        line = str(error).replace(str(source), task["name"])
        line = re.sub(r"use --end=[0-9.]+ or ", "", line)
        return {"error": line.replace(source.name, task["name"]), "status": 422}
    except (FFmpegError, OSError, ValueError, SyntaxError, MemoryError) as error:
        if disk_is_full(error):
            return {"error": DISK_FULL, "status": 507}
        line = "damaged, or not of the format it claims: export it again"
        return {"error": f"{task['name']}: {line}", "status": 422}
    return None


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    failure = main(sys.argv[1])
    if failure is not None:
        print(json.dumps(failure), flush=True)
        raise SystemExit(2)
