"""Routes that change a session: prompts, tracking, finding, labels, undo."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from c2g_jax.web.bodies import (
    Box,
    CategoryEdit,
    ObjectPoint,
    Point,
    RelationEdit,
    TrackOptions,
)
from c2g_jax.web.routes_session import EntryDep, ServiceDep, check_revision
from c2g_jax.web.service import SessionService
from c2g_jax.web.sessions import Entry
from c2g_jax.web.track_stream import TrackStream

router = APIRouter(
    prefix="/sessions/{session_id}", dependencies=[Depends(check_revision)]
)


async def change(
    service: SessionService,
    entry: Entry,
    job: Callable[[Any], dict | None],
    frame: int | None = None,
    what: str = "changing the project",
) -> dict:
    """Run a change in the worker; `job(session)` returns what is answered besides.

    With a `frame` its view is answered too, unless the job gives one.
    """

    def edit(session):
        answer = job(session) or {}
        answer |= {"can_undo": session.can_undo, "can_redo": session.can_redo}
        if frame is not None and "view" not in answer:
            answer["view"] = session.view(frame)
        return session.as_json(answer)

    answer = await service.change(entry, edit, what)
    return answer | {"revision": entry.revision}


async def apply_edit(
    service: SessionService,
    entry: Entry,
    job: Callable,
    frame: int | None = None,
    what: str = "changing the project",
) -> dict:
    """Run an edit in the worker and return the view of the frame the page shows.

    job(session) returns that view, the name of the undone or redone action, or None.
    """

    def edit(session):
        result = job(session)
        if result is None:
            return None
        return {"what" if isinstance(result, str) else "view": result}

    return await change(service, entry, edit, frame, what)


@router.post("/prompts")
async def add_prompt(
    entry: EntryDep,
    service: ServiceDep,
    prompt: Annotated[Point | Box | ObjectPoint, Field(discriminator="kind")],
):
    """Add a point or box on a frame; the answer has the object's mask."""
    p = prompt

    def job(session):
        if p.kind == "point":
            return session.click(p.frame, p.x, p.y, p.positive, p.object_id)
        if p.kind == "box":
            return session.box(p.frame, p.x1, p.y1, p.x2, p.y2, p.object_id)
        return session.add_object(p.subject_id, p.frame, p.x, p.y)

    what = f"finding the object on frame {p.frame}"
    return await apply_edit(service, entry, job, p.frame, what)


@router.delete("/prompts")
async def delete_prompt(
    entry: EntryDep,
    service: ServiceDep,
    frame: int,
    object_id: int,
    index: int,
):
    """Delete one prompt, by its index among the object's prompts on the frame."""
    return await apply_edit(
        service, entry, lambda s: s.delete_prompt(frame, object_id, index), frame
    )


@router.post("/track")
async def track(entry: EntryDep, service: ServiceDep, options: TrackOptions):
    """Track all objects; streams one JSON line per frame, and one at the end."""
    tracking = service.track(
        entry, start=options.start, stop=options.stop, direction=options.direction
    )
    return await _streamed(tracking)


@router.post("/find")
async def find_everything(entry: EntryDep, service: ServiceDep):
    """Find every object that stays in view; streams as `track` does.

    Each line has the frames `done` of `total`. Cancelled, it changes nothing.
    """
    return await _streamed(service.find(entry))


async def _streamed(run: TrackStream) -> StreamingResponse:
    await run.start()
    return StreamingResponse(
        run.lines(),
        media_type="application/x-ndjson",
        headers={"Cache-Control": "no-store"},
    )


@router.post("/cancel", status_code=202)
async def cancel(entry: EntryDep):
    """Stop tracking, or finding, if it runs, after the step that is running."""
    if entry.tracking is not None:
        entry.tracking.cancel()
    return {"tracking": entry.tracking is not None}


@router.post("/undo")
async def undo(entry: EntryDep, service: ServiceDep, frame: int | None = None):
    return await apply_edit(service, entry, lambda s: s.undo(), frame)


@router.post("/redo")
async def redo(entry: EntryDep, service: ServiceDep, frame: int | None = None):
    return await apply_edit(service, entry, lambda s: s.redo(), frame)


@router.patch("/objects/{object_id}")
async def rename(
    entry: EntryDep,
    service: ServiceDep,
    object_id: int,
    edit: CategoryEdit,
    frame: Annotated[int | None, Query()] = None,
):
    """Set an object's category; None returns to the model's prediction."""
    return await apply_edit(
        service,
        entry,
        lambda s: s.rename(object_id, edit.category, edit.new),
        frame,
    )


@router.delete("/objects/{object_id}")
async def remove(
    entry: EntryDep,
    service: ServiceDep,
    object_id: int,
    frame: int | None = None,
):
    return await apply_edit(service, entry, lambda s: s.remove(object_id), frame)


@router.patch("/relations")
async def relate(
    entry: EntryDep,
    service: ServiceDep,
    edit: RelationEdit,
    frame: Annotated[int | None, Query()] = None,
):
    """Set the predicate between two objects, over a span or the whole clip."""
    return await apply_edit(
        service,
        entry,
        lambda s: s.set_predicate(
            edit.subject_id, edit.object_id, edit.predicate, edit.start, edit.stop
        ),
        frame,
    )
