"""Routes of the scene graph and of its exports."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from c2g_jax.export.scene_graph_json import graph_to_json
from c2g_jax.session.exporting import check_kind, write_export
from c2g_jax.session.views import EXPORTS, FOLDERS
from c2g_jax.web.routes_session import EntryDep, ServiceDep, Threshold

router = APIRouter(prefix="/sessions/{session_id}")


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
    graph, video = await service.use(entry, lambda s: (s.graph(threshold), s.video))
    folder = Path(tempfile.mkdtemp(prefix="c2g-export-"))
    try:
        async with service.exporting:
            task = (format, folder, graph, video, service.model_host.vocabulary)
            path = await asyncio.to_thread(_write, *task)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    suffix, kind = EXPORTS[format]
    stem = entry.clip.name.rpartition(".")[0] or entry.clip.name
    return FileResponse(
        path,
        media_type=kind,
        filename=f"{stem}_{format}.{suffix}",
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _write(kind: str, folder: Path, graph, video, vocabulary) -> Path:
    path = folder / ("graph" if kind in FOLDERS else f"graph.{EXPORTS[kind][0]}")
    write_export(kind, path, graph, video, vocabulary)
    if kind in FOLDERS:
        return Path(shutil.make_archive(str(path), "zip", path))
    return path
