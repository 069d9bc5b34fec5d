"""Routes of names, and of annotations that others made.

All lie under /sessions/ID, and changes answer as those of `routes_edit`.

GET    /vocabulary            ?subject_id&object_id: {categories, predicates}, those of
                              the subject's objects and of the pair likeliest first,
                              {things, stuff}, and own: false if it is the model's
POST   /vocabulary            {name, kind}: adds a "thing", "stuff" or "predicate"
PUT    /vocabulary            {text}: a text file of names; null: the model's
POST   /import                ?name&masks&video_id, the file as body: scene_graph.json,
                              COCO or a zip of an OpenPVSG folder; answers {objects}
"""

from typing import Literal

from fastapi import APIRouter, Depends, Request

from c2g_jax.vocabulary import parse_vocabulary
from c2g_jax.web.bodies import NewName, VocabularyText
from c2g_jax.web.imports import import_upload
from c2g_jax.web.projects import shown_as
from c2g_jax.web.routes_edit import change
from c2g_jax.web.routes_session import EntryDep, ServiceDep, check_revision
from c2g_jax.web.sessions import clean_name

router = APIRouter(
    prefix="/sessions/{session_id}", dependencies=[Depends(check_revision)]
)


@router.get("/vocabulary")
async def vocabulary(
    entry: EntryDep,
    service: ServiceDep,
    subject_id: int | None = None,
    object_id: int | None = None,
):
    """Return the session's names, likeliest first."""

    def job(session):
        names = session.vocabulary
        return {
            "categories": session.likely_categories(subject_id),
            "predicates": session.likely_predicates(subject_id, object_id),
            "things": list(names.things),
            "stuff": list(names.stuff),
            "own": names is not session.model.config.vocabulary,
        }

    return await service.use(entry, job)


@router.post("/vocabulary")
async def add_name(entry: EntryDep, service: ServiceDep, new: NewName):
    """Add a name."""
    return await change(service, entry, lambda s: s.add_name(new.name, new.kind))


@router.put("/vocabulary")
async def set_vocabulary(entry: EntryDep, service: ServiceDep, names: VocabularyText):
    """Give the session a vocabulary of its own."""

    def job(session):
        own = None
        if names.text is not None:
            own = parse_vocabulary(names.text, "the vocabulary")
        session.set_vocabulary(own)

    return await change(service, entry, job)


@router.post("/import")
async def import_annotations(
    request: Request,
    entry: EntryDep,
    service: ServiceDep,
    name: str = "annotations.json",
    masks: Literal["fixed", "tracked"] | None = None,
    video_id: str | None = None,
):
    """Take over the annotations of a file."""
    limits, name = service.settings.limits, clean_name(name)
    async with import_upload(request.stream(), name, limits) as path:

        def job(session):
            with shown_as(path, name):
                return {"objects": session.import_annotations(path, masks, video_id)}

        return await change(service, entry, job)
