"""Files from a client: received within limits, decoded in a separate process."""

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

from c2g_jax.media.frames import DEFAULT_FPS
from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip, read_clip
from c2g_jax.web.errors import WebError


@dataclass(frozen=True)
class Limits:
    """Limits of an upload.

    bytes: of the file. pixels: of a frame. frames: of the video. seconds: of decoding.
    pause: seconds that a client may send nothing during an upload.
    """

    bytes: int = 512 << 20
    pixels: int = 4096 * 2304
    frames: int = 1500
    seconds: float = 300.0
    pause: float = 30.0


async def receive_file(
    chunks: AsyncIterator[bytes], path: Path, limits: Limits
) -> None:
    """Write an upload to `path`; WebError if it is too large, stalls or is empty."""
    size, chunks = 0, aiter(chunks)
    with open(path, "wb") as file:
        while True:
            try:
                async with asyncio.timeout(limits.pause):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise WebError(408, "the upload stalled: try again") from None
            if chunk is None:
                break
            size += len(chunk)
            if size > limits.bytes:
                raise too_large(limits)
            file.write(chunk)
    if not size:
        raise WebError(422, "the upload is empty: choose a video or image")


def too_large(limits: Limits) -> WebError:
    """Return the error (413) for an upload over the limit of bytes."""
    limit = f"{limits.bytes / (1 << 20):.0f} MB"
    return WebError(413, f"the file is over the limit of {limit}: use a smaller one")


async def decode_file(
    source: Path,
    folder: Path,
    name: str,
    limits: Limits | None = None,
    fps: float = DEFAULT_FPS,
) -> Clip:
    """Decode a file into a new `folder`, which is removed if that fails.

    fps: sampled frames per second. limits: None for the file named at the server's
    start, which may be of any size and codec. Raises InputError for that file,
    WebError for an upload.
    """
    failure = _local_error if limits is None else WebError
    folder.mkdir(parents=True, mode=0o700)
    bounds = None if limits is None else asdict(limits)
    task = dict(
        source=str(source), folder=str(folder), name=name, limits=bounds, fps=fps
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "c2g_jax.web.decode",
        json.dumps(task),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).resolve().parent.parent.parent,
        # A Ctrl-C in the terminal is the server's, which then ends this process.
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(None if limits is None else limits.seconds):
            stdout, stderr = await process.communicate()
        if stdout:
            report = json.loads(stdout)
            raise failure(report["status"], report["error"])
        clip = read_clip(folder)
        if process.returncode or clip is None:
            log = stderr[-1000:].decode(errors="replace")
            logging.error("decoding ended with code %s: %s", process.returncode, log)
            line = f"{name}: cannot be decoded: record or export it again"
            raise failure(422, line)
        return clip
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, TimeoutError):
            line = f"{name}: decoding takes too long: use a shorter video"
            raise WebError(413, line) from None
        raise
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _local_error(status: int, line: str) -> InputError:
    return InputError(line)
