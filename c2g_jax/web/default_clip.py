"""The video that the page opens at first, decoded once for all sessions on it."""

import asyncio
import contextlib
import json
import logging
import shutil
from pathlib import Path

from c2g_jax.media.frames import DEFAULT_FPS
from c2g_jax.types import InputError
from c2g_jax.web.clips import Clip, read_clip
from c2g_jax.web.errors import WebError, shorten
from c2g_jax.web.sessions import CLIP
from c2g_jax.web.uploads import decode_file

SOURCE = "source.json"  # path, size, modification time, and rate if it was given


class DefaultClip:
    """`source` decoded into `folder`; failure says why there is no clip, if so.

    fps: sampled frames per second.
    """

    def __init__(self, source: Path | None, folder: Path, fps: float = DEFAULT_FPS):
        self.source, self.folder, self.fps = source, folder, fps
        self.failure: str | None = None
        self._clip: Clip | None = None
        self._finished = asyncio.Event()

    async def load(self) -> None:
        """Decode the source, if there is one; an error is kept as `failure`."""
        source = self.source
        try:
            if source is not None:
                self._clip = await self._decode()
        except (InputError, WebError) as error:
            self.failure = shorten(error)
        except OSError as error:
            self.failure = shorten(
                f"{source.name}: cannot be opened ({error.strerror}): fix that, and "
                "start the server again"
            )
        except Exception:
            logging.exception("the video could not be opened")
            self.failure = f"{source.name}: cannot be opened: see the server's log"
        finally:
            if self.failure is not None:
                logging.error("the page starts without a video: %s", self.failure)
            self._finished.set()

    async def get(self) -> Clip:
        """Wait for `load` and return the clip; WebError 404 if there is none."""
        await self._finished.wait()
        if self._clip is None:
            raise WebError(404, self.failure or "there is no example: open a video")
        return self._clip

    async def _decode(self) -> Clip:
        """Decode the source, or take the result of an earlier run on the same file."""
        stat = self.source.stat()
        identity = [str(self.source), stat.st_size, stat.st_mtime_ns]
        if self.fps != DEFAULT_FPS:
            identity.append(self.fps)
        record = self.folder / SOURCE
        if self.source.is_file() and (clip := read_clip(self.folder / CLIP)):
            with contextlib.suppress(OSError, ValueError):
                if json.loads(record.read_text(encoding="utf-8")) == identity:
                    return clip
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        clip = await decode_file(
            self.source, self.folder / CLIP, self.source.name, fps=self.fps
        )
        record.write_text(json.dumps(identity), encoding="utf-8")
        return clip
