"""Routes to open, view and close sessions, and of the server's status."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from c2g_jax import __version__
from c2g_jax.web.errors import WebError
from c2g_jax.web.service import SessionService
from c2g_jax.web.sessions import Entry
from c2g_jax.web.uploads import clean_name, too_large

router = APIRouter()
Threshold = Annotated[float | None, Query(ge=0, le=1)]


def get_service(request: Request) -> SessionService:
    """Return the service of the server that received a request."""
    return request.app.state.service


def get_entry(session_id: str, request: Request) -> Entry:
    """Look up the session id of the URL; it is never used as a file path."""
    return get_service(request).registry.get(session_id)


EntryDep = Annotated[Entry, Depends(get_entry)]
ServiceDep = Annotated[SessionService, Depends(get_service)]


@router.get("/status")
async def status(service: ServiceDep):
    """Return the model's state, and what the page needs at its start."""
    limits = service.settings.limits
    return {
        "ready": service.ready,
        "stage": service.stage,
        "error": service.failure,
        "warning": service.warning,
        "weights": service.model_host.weights,
        "video": None
        if service.settings.video is None
        else service.settings.video.name,
        "video_error": service.default_clip.failure,
        "limits": {"bytes": limits.bytes, "frames": limits.frames},
        "version": __version__,
    }


@router.get("/vocabulary")
async def vocabulary(service: ServiceDep):
    """Return the names of categories and predicates."""
    names = service.model_host.vocabulary
    return {"objects": list(names.objects), "predicates": list(names.predicates)}


@router.post("/sessions", status_code=201)
async def open_session(request: Request, service: ServiceDep, name: str = "video"):
    """Open a session on the body, a video or image; JSON {}: on the default video."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        entry = await service.open_default()
    else:
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > service.settings.limits.bytes:
            raise too_large(service.settings.limits)
        entry = await service.open_upload(request.stream(), clean_name(name))
    return {"id": entry.id, "video": entry.clip.to_json()}


@router.get("/sessions/{session_id}/video")
async def show_video(entry: EntryDep):
    """Return the clip of a session without the worker, which may be busy."""
    return {"id": entry.id, "video": entry.clip.to_json()}


@router.get("/sessions/{session_id}")
async def show_session(
    entry: EntryDep, service: ServiceDep, threshold: Threshold = None
):
    """Return the objects, relations and tracked frames of the whole clip."""
    state = {
        "id": entry.id,
        "video": entry.clip.to_json(),
        "revision": entry.revision,
        "tracking": entry.tracking is not None,
    }
    fresh = entry.session is None and not entry.session_file.exists()
    if fresh:  # answered without the model, which may still be loading
        nothing = {k: [] for k in ("objects", "relations", "tracked", "stale")}
        return state | nothing | {"can_undo": False, "can_redo": False}

    def summarize(session):
        return session.as_json(
            {
                "objects": session.objects(threshold),
                "relations": session.relations(threshold),
                "tracked": session.tracked_frames(),
                "stale": session.stale_frames(),
                "can_undo": session.can_undo,
                "can_redo": session.can_redo,
                # Where the page's slider begins; relations without a threshold are
                # those of the model's settings.
                "threshold": session.spans.min_confidence,
                "guesses": session.guesses,
            }
        )

    return state | await service.use(entry, summarize)


@router.delete("/sessions/{session_id}", status_code=204)
async def close_session(entry: EntryDep, service: ServiceDep):
    """Close a session and delete its files."""
    service.close(entry)
    return Response(status_code=204)


@router.get("/sessions/{session_id}/frames/{frame}.jpg")
async def show_image(entry: EntryDep, frame: int):
    """Return a frame's image, read from disk without the worker."""
    check_frame(entry, frame)
    return FileResponse(
        entry.clip.frame_file(frame),
        media_type="image/jpeg",
        headers={"Cache-Control": "private, max-age=86400, immutable"},
    )


@router.get("/sessions/{session_id}/frames/{frame}")
async def show_frame(entry: EntryDep, service: ServiceDep, frame: int):
    """Return a frame's view: objects, masks, prompts, relations."""
    check_frame(entry, frame)
    if entry.session is None and not entry.session_file.exists():
        view = dict(frame=frame, objects=[], relations=[], tracked=False, stale=False)
    else:
        view = await service.use(entry, lambda s: s.as_json(s.view(frame)))
    return JSONResponse(view, headers={"Cache-Control": "no-store"})


def check_frame(entry: Entry, frame: int) -> None:
    """Raise WebError 404 unless the video has the frame."""
    if not 0 <= frame < entry.clip.num_frames:
        last = entry.clip.num_frames - 1
        raise WebError(404, f"frame {frame} is not in the video: use 0 to {last}")
