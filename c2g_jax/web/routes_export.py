"""Routes of the scene graph and of its exports."""

import asyncio
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from c2g_jax.export.open_pvsg import TRAIN, VAL
from c2g_jax.export.scene_graph_json import graph_to_json
from c2g_jax.session.dataset import REFUSE, AnnotatedSession, write_dataset
from c2g_jax.session.exporting import check_kind, write_export
from c2g_jax.session.views import EXPORTS, FOLDERS
from c2g_jax.web.routes_session import EntryDep, ServiceDep, Threshold

router = APIRouter(prefix="/sessions/{session_id}")
project_router = APIRouter()


@router.get("/graph")
async def graph(entry: EntryDep, service: ServiceDep, threshold: Threshold = None):
    """Return the scene graph in the form of scene_graph.json."""
    return await service.use(entry, lambda s: graph_to_json(s.graph(threshold)))


@router.get("/export")
async def export(
    entry: EntryDep, service: ServiceDep, format: str, threshold: Threshold = None
) -> Response:
    """Return a file to download; built in the worker, written in another thread."""
    check_kind(format)
    graph, video, names = await service.use(entry, lambda s: _parts(s, threshold))
    folder = Path(tempfile.mkdtemp(prefix="c2g-export-"))
    try:
        async with service.exporting:
            task = (format, folder, graph, video, names)
            path = await asyncio.to_thread(_write, *task)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    suffix, kind = EXPORTS[format]
    stem = entry.clip.name.rpartition(".")[0] or entry.clip.name
    if suffix != format:  # two are .json, and need the name of the format
        stem = f"{stem}_{format}"
    return FileResponse(
        path,
        media_type=kind,
        filename=f"{stem}.{suffix}",
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


@project_router.get("/export")
async def export_project(
    service: ServiceDep,
    sessions: Annotated[list[str], Query(min_length=1, max_length=1000)],
    val: Annotated[list[str], Query()] = [],  # noqa: B006
    leave_out: bool = False,
    unfinished: str = REFUSE,
    threshold: Threshold = None,
) -> Response:
    """Return sessions, by their ids, as one OpenPVSG download, zipped.

    `val` are those for validation, by default each fifth. 422, with a list, while
    objects have no name; with `leave_out` they are left out. 422 too while a video has
    frames that are not tracked, or stale; `unfinished` "leave_out" leaves such videos
    out, "take" takes them as they are.
    """
    entries = [service.registry.get(i) for i in dict.fromkeys(sessions)]
    annotated = []
    for entry in entries:
        take = functools.partial(AnnotatedSession.of, threshold=threshold)
        annotated.append(await service.use(entry, take))
    splits = None
    if val:
        splits = [VAL if entry.id in val else TRAIN for entry in entries]
    folder = Path(tempfile.mkdtemp(prefix="c2g-export-"))
    try:
        async with service.exporting:
            path = await asyncio.to_thread(
                _write_project, folder, annotated, splits, leave_out, unfinished
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type="application/zip",
        filename="open_pvsg.zip",
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _parts(session, threshold: float | None) -> tuple:
    """Return what an export needs of a session."""
    return session.graph(threshold), session.video, session.vocabulary


def _write_project(folder: Path, annotated, *options) -> Path:
    write_dataset(folder / "open_pvsg", annotated, *options)
    return Path(shutil.make_archive(str(folder / "all"), "zip", folder / "open_pvsg"))


def _write(kind: str, folder: Path, graph, video, vocabulary) -> Path:
    path = folder / ("graph" if kind in FOLDERS else f"graph.{EXPORTS[kind][0]}")
    write_export(kind, path, graph, video, vocabulary)
    if kind in FOLDERS:
        return Path(shutil.make_archive(str(path), "zip", path))
    return path
