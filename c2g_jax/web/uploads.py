"""Files from a client: taken in within bounds, decoded by a process of their own."""

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip, read_clip
from c2g_jax.web.errors import WebError


@dataclass(frozen=True)
class Limits:
    """What an upload may be: bytes, pixels of a frame, frames, seconds to decode it.

    pause: seconds that a client may leave an upload without a byte.
    """

    bytes: int = 512 << 20
    pixels: int = 4096 * 2304
    frames: int = 1500
    seconds: float = 300.0
    pause: float = 30.0


def clean_name(name: str) -> str:
    """The last part of a name without what a terminal or file system minds."""
    name = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in name if c.isprintable()).strip(" .")
    return kept[:100] or "video"


async def receive_file(
    chunks: AsyncIterator[bytes], path: Path, limits: Limits
) -> None:
    """Write an upload to a file of ours; WebError where it is too long or stalls."""
    size, chunks = 0, aiter(chunks)
    with open(path, "wb") as file:
        while True:
            try:
                async with asyncio.timeout(limits.pause):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise WebError(408, "the upload came to a halt: try again") from None
            if chunk is None:
                break
            size += len(chunk)
            if size > limits.bytes:
                raise too_large(limits)
            file.write(chunk)
    if not size:
        raise WebError(422, "the upload is empty: choose a video or image")


def too_large(limits: Limits) -> WebError:
    """The refusal (413) of an upload that is over the bound in bytes."""
    bound = f"{limits.bytes / (1 << 20):.0f} MB"
    return WebError(413, f"the file is over the limit of {bound}: give a smaller one")


async def decode_file(
    source: Path, folder: Path, name: str, limits: Limits | None
) -> Clip:
    """The clip of a file, decoded into `folder`, which is new and gone if it fails.

    limits None: the person at this machine named the file, and it may be any. Raises
    InputError of such a file, WebError of an upload.
    """
    refusal = _local_error if limits is None else WebError
    folder.mkdir(parents=True, mode=0o700)
    bounds = None if limits is None else asdict(limits)
    task = dict(source=str(source), folder=str(folder), name=name, limits=bounds)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "c2g_jax.web.decode",
        json.dumps(task),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).resolve().parent.parent.parent,
    )
    try:
        async with asyncio.timeout(None if limits is None else limits.seconds):
            said, complaints = await process.communicate()
        if said:
            last = json.loads(said)
            raise refusal(last["status"], last["error"])
        clip = read_clip(folder)
        if process.returncode or clip is None:
            told = complaints[-1000:].decode(errors="replace")
            logging.error("a decoder ended with %s: %s", process.returncode, told)
            line = f"{name}: it cannot be decoded: record or export it anew"
            raise refusal(422, line)
        return clip
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, TimeoutError):
            line = f"{name}: decoding it takes too long: cut it shorter"
            raise WebError(413, line) from None
        raise
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _local_error(status: int, line: str) -> InputError:
    return InputError(line)
