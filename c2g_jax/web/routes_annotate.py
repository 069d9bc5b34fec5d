"""Routes by which a person annotates: relations, spans, identity, suggestions.

All lie under /sessions/ID. A lane is an object's id, or [subject, object, predicate].
Changes answer as those of `routes_edit`: {can_undo, can_redo, revision}, and with
?frame=T the view of that frame; what they answer besides is said below.

GET    /at?frame&x&y          {object_id}: the object at a point, null if there is none
POST   /click                 {frame, x, y}: selects the object at the point, or makes a
                              new subject there; answers {selected, made}
POST   /brush                 {frame, points, radius, erase, object_id}: a stroke
POST   /relations             {subject_id, object_id, predicate, spans, new}: relates;
                              spans null: where both are in view
DELETE /relations             ?subject_id&object_id&predicate
POST   /spans                 {lane, action, ...}: "set" (spans, null: as the model has
                              it), "add" (start, stop), "move" (index, start, stop),
                              "split" (frame), "join" (index), "delete" (index)
POST   /objects/I/merge       {same_as}: I is that object, whose id stays
POST   /objects/I/cut         {at}: from that frame on it is another object; {object_id}
POST   /objects/I/promote     {}: it is a subject
POST   /remove                {object_ids}: several at once
POST   /accept                {lane, threshold}: a suggested object or relation
POST   /accept_above          {confidence}: all above the slider; answers {accepted}
POST   /dismiss               {lane}
PUT    /guesses               {guesses}: "take" or "suggest"

A view's objects and relations, and those of GET /sessions/ID, have a `state`,
"accepted" or "suggested". The object ids there are the ones to give. With a threshold
GET /sessions/ID leaves out suggested objects without a relation that reaches it.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from c2g_jax.web.bodies import (
    Above,
    Chosen,
    CutAt,
    Guesses,
    NewRelation,
    Place,
    PromoteAt,
    Same,
    Several,
    SpanEdit,
    Stroke,
)
from c2g_jax.web.routes_edit import change
from c2g_jax.web.routes_session import EntryDep, ServiceDep, check_revision

router = APIRouter(
    prefix="/sessions/{session_id}", dependencies=[Depends(check_revision)]
)
Frame = Annotated[int | None, Query(ge=0)]


@router.get("/at")
async def object_at(
    entry: EntryDep, service: ServiceDep, frame: int, x: float, y: float
):
    """Return the object at a point."""
    found = await service.use(entry, lambda s: s.object_at(frame, x, y))
    return {"object_id": found}


@router.post("/click")
async def click(entry: EntryDep, service: ServiceDep, place: Place):
    """Select the object at a point, or make a new subject there; never a twin."""

    def job(session):
        at = place.frame, place.x, place.y
        found = session.object_at(*at)
        if found is not None:
            return {"selected": found, "made": False}
        known = {o.object_id for o in session.view(place.frame).objects}
        new = {o.object_id for o in session.click(*at).objects} - known
        return {"selected": max(new, default=None), "made": True}

    return await change(service, entry, job, place.frame)


@router.post("/brush")
async def brush(entry: EntryDep, service: ServiceDep, stroke: Stroke):
    """Paint on a mask, or erase."""

    def job(session):
        session.brush(
            stroke.frame, stroke.points, stroke.radius, stroke.erase, stroke.object_id
        )

    return await change(service, entry, job, stroke.frame)


@router.post("/relations")
async def relate(
    entry: EntryDep, service: ServiceDep, drawn: NewRelation, frame: Frame = None
):
    """Relate two objects."""

    def job(session):
        triple = drawn.subject_id, drawn.object_id, drawn.predicate
        session.relate(*triple, drawn.spans, drawn.new)

    return await change(service, entry, job, frame)


@router.delete("/relations")
async def unrelate(
    entry: EntryDep,
    service: ServiceDep,
    subject_id: int,
    object_id: int,
    predicate: str,
    frame: Frame = None,
):
    """Delete a relation."""

    def job(session):
        session.unrelate(subject_id, object_id, predicate)

    return await change(service, entry, job, frame)


@router.post("/spans")
async def edit_spans(
    entry: EntryDep, service: ServiceDep, edit: SpanEdit, frame: Frame = None
):
    """Change the spans of a lane."""

    def job(session):
        if edit.action == "set":
            session.set_spans(edit.lane, edit.spans)
        elif edit.action == "add":
            session.add_span(edit.lane, edit.start, edit.stop)
        elif edit.action == "move":
            session.move_span(edit.lane, edit.index, edit.start, edit.stop)
        elif edit.action == "split":
            session.split_span(edit.lane, edit.frame)
        elif edit.action == "join":
            session.join_spans(edit.lane, edit.index)
        else:
            session.delete_span(edit.lane, edit.index)

    return await change(service, entry, job, frame)


@router.post("/objects/{object_id}/merge")
async def merge(
    entry: EntryDep, service: ServiceDep, object_id: int, of: Same, frame: Frame = None
):
    """Make two tracks one object."""
    return await change(service, entry, lambda s: s.merge(object_id, of.same_as), frame)


@router.post("/objects/{object_id}/cut")
async def cut(
    entry: EntryDep, service: ServiceDep, object_id: int, of: CutAt, frame: Frame = None
):
    """Cut a track in two objects."""
    return await change(
        service, entry, lambda s: {"object_id": s.cut(object_id, of.at)}, frame
    )


@router.post("/objects/{object_id}/promote")
async def promote(
    entry: EntryDep,
    service: ServiceDep,
    object_id: int,
    of: PromoteAt,
    frame: Frame = None,
):
    """Make an object a subject."""
    return await change(service, entry, lambda s: s.promote(object_id, of.at), frame)


@router.post("/remove")
async def remove(
    entry: EntryDep, service: ServiceDep, several: Several, frame: Frame = None
):
    """Delete several objects at once."""
    return await change(service, entry, lambda s: s.remove(several.object_ids), frame)


@router.post("/accept")
async def accept(
    entry: EntryDep, service: ServiceDep, chosen: Chosen, frame: Frame = None
):
    """Accept a suggestion."""
    return await change(
        service, entry, lambda s: s.accept(chosen.lane, chosen.threshold), frame
    )


@router.post("/accept_above")
async def accept_above(
    entry: EntryDep, service: ServiceDep, above: Above, frame: Frame = None
):
    """Accept all suggestions above a confidence."""

    def job(session):
        return {"accepted": session.accept_above(above.confidence)}

    return await change(service, entry, job, frame)


@router.post("/dismiss")
async def dismiss(
    entry: EntryDep, service: ServiceDep, chosen: Chosen, frame: Frame = None
):
    """Dismiss a suggestion."""
    return await change(service, entry, lambda s: s.dismiss(chosen.lane), frame)


@router.put("/guesses")
async def set_guesses(entry: EntryDep, service: ServiceDep, what: Guesses):
    """Take guesses, or suggest them."""

    def job(session):
        session.guesses = what.guesses
        return {"guesses": session.guesses}

    return await change(service, entry, job)
