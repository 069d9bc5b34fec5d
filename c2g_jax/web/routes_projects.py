"""Routes of projects: list, rename, duplicate, their session file, their video."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from c2g_jax.web.errors import WebError
from c2g_jax.web.opening import copy_of
from c2g_jax.web.projects import film_type
from c2g_jax.web.routes_session import EntryDep, ServiceDep
from c2g_jax.web.sessions import MAX_NAME, clean_name, file_stem

router = APIRouter()


class NameEdit(BaseModel):
    """A name for a project."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


@router.get("/projects")
async def projects(service: ServiceDep):
    """Return what persons worked on, the last used first, and where it lies."""
    found = [entry for entry in service.registry if entry.changed]
    found.sort(key=lambda entry: -entry.used)
    return {
        "folder": str(service.registry.root),
        "projects": [
            {
                "id": entry.id,
                "name": entry.name,
                "video": entry.clip.name,
                "frames": entry.clip.num_frames,
                "fps": entry.clip.fps,
                "used": entry.used,
            }
            for entry in found
        ],
    }


@router.patch("/sessions/{session_id}")
async def rename(entry: EntryDep, service: ServiceDep, edit: NameEdit):
    """Name a project."""
    service.registry.rename(entry, clean_name(edit.name))
    return entry.to_json()


@router.post("/sessions/{session_id}/duplicate", status_code=201)
async def duplicate(entry: EntryDep, service: ServiceDep):
    """Copy a project as it is now."""
    return (await copy_of(service, entry)).to_json()


@router.get("/sessions/{session_id}/file")
async def save(entry: EntryDep, service: ServiceDep):
    """Return the session's file (.c2g), to download."""
    folder = Path(tempfile.mkdtemp(prefix="c2g-save-"))
    path = folder / "session.c2g"
    try:
        await service.use(entry, lambda s: s.save(path), "saving the project")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type="application/octet-stream",
        filename=f"{file_stem(entry.name)}.c2g",
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


@router.get("/sessions/{session_id}/film")
async def film(entry: EntryDep):
    """Return the video that was opened, whole or in ranges, for the player."""
    kind = film_type(entry.film)
    if kind is None:
        raise WebError(404, "this video has no film to play: its frames are shown")
    headers = {"Cache-Control": "private, max-age=86400, immutable"}
    return FileResponse(entry.film, media_type=kind, headers=headers)
