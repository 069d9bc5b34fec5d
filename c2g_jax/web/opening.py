"""Opening of sessions: on the video of the server's start, on uploads, as copies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from c2g_jax.media.frames import DEFAULT_FPS
from c2g_jax.session.file import read_session
from c2g_jax.web.clips import Clip
from c2g_jax.web.errors import WebError
from c2g_jax.web.projects import (
    clip_of,
    is_of_film,
    is_saved_session,
    keep_film,
    shown_as,
)
from c2g_jax.web.service import SessionService
from c2g_jax.web.sessions import CLIP, FILM, MAX_NAME, SAVED, Entry, file_stem
from c2g_jax.web.uploads import decode_file, receive_file


async def open_default(service: SessionService, fps: float | None = None) -> Entry:
    """Open a session on the video that the server was started with."""
    default = await service.default_clip.get()
    source = service.default_clip.source
    with service.new_folder(default.name) as (session_id, folder):
        if fps is None or fps == default.fps or not source.is_file():
            clip = await asyncio.to_thread(default.link_to, folder / CLIP)
        else:
            clip = await decode_file(source, folder / CLIP, default.name, fps=fps)
        await asyncio.to_thread(keep_film, source, folder / FILM)
        return service.add(session_id, clip, default.name)


async def open_newest(service: SessionService) -> Entry:
    """Return the last used project on the video of the server's start, else a new
    one: whatever the browser, it goes on with the work, and leaves no folder."""
    default = await service.default_clip.get()
    source, fps = service.default_clip.source, service.settings.fps

    def fits(entry: Entry) -> bool:
        if fps is not None and entry.clip.fps != default.fps:
            return False
        try:
            return is_of_film(entry.clip, entry.film, default, source)
        except OSError:  # deleted meanwhile
            return False

    # Work comes before what nobody changed.
    found = sorted(service.registry, key=lambda e: (e.changed, e.used), reverse=True)
    newest = await asyncio.to_thread(lambda: next(filter(fits, found), None))
    if newest is None:
        return await open_default(service)
    return service.registry.get(newest.id)


async def open_upload(
    service: SessionService,
    chunks: AsyncIterator[bytes],
    name: str,
    fps: float = DEFAULT_FPS,
) -> Entry:
    """Open a session on an uploaded video or image, or on a session's file."""
    limits = service.settings.limits
    if service.uploads.locked():
        raise WebError(429, "two uploads are in progress: try again after them")
    async with service.uploads:
        with service.new_folder(name) as (session_id, folder):
            source = folder / "upload"
            await receive_file(chunks, source, limits)
            if is_saved_session(source):
                clip = await _take_saved(service, source, folder, name)
                return service.add(session_id, clip, file_stem(name))
            clip = await decode_file(source, folder / CLIP, name, limits, fps)
            await asyncio.to_thread(keep_film, source, folder / FILM)
            source.unlink()
            return service.add(session_id, clip, name)


async def _take_saved(
    service: SessionService, source: Path, folder: Path, name: str
) -> Clip:
    """Make an uploaded file that of a new folder's session; return its clip."""
    clips = {entry.clip.folder: entry.clip for entry in service.registry}
    with contextlib.suppress(WebError):
        default = await service.default_clip.get()
        clips[default.folder] = default

    def find() -> Clip:
        with shown_as(source, name):
            return clip_of(read_session(source), clips.values(), name)

    found = await service.worker.run(find, what=f"reading {name}")
    clip = await asyncio.to_thread(found.link_to, folder / CLIP)
    film = found.folder.parent / FILM
    await asyncio.to_thread(keep_film, film, folder / FILM)

    def check() -> None:  # that this model can go on with it
        with shown_as(source, name):
            service.model_host.open(clip, source).close()

    if service.readiness.failure is not None:
        raise WebError(503, service.readiness.failure)
    await service.worker.run(check, what=f"reading {name}")
    source.replace(folder / SAVED)
    return clip


async def copy_of(service: SessionService, entry: Entry) -> Entry:
    """Copy a project, as it is now."""
    name = f"{entry.name} copy"[:MAX_NAME]
    with service.new_folder(name) as (session_id, folder):
        clip = await asyncio.to_thread(entry.clip.link_to, folder / CLIP)
        await asyncio.to_thread(keep_film, entry.film, folder / FILM)
        if entry.changed:
            place = folder / SAVED
            await service.use(entry, lambda s: s.save(place), "copying the project")
        return service.add(session_id, clip, name)
