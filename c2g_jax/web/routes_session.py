"""Routes to open, view and close sessions, and of the server's status."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from c2g_jax import __version__
from c2g_jax.media.frames import MAX_FPS
from c2g_jax.web.errors import WebError
from c2g_jax.web.opening import open_default, open_newest, open_upload
from c2g_jax.web.service import SessionService
from c2g_jax.web.sessions import Entry, clean_name
from c2g_jax.web.uploads import too_large

router = APIRouter()
Threshold = Annotated[float | None, Query(ge=0, le=1)]
Fps = Annotated[float | None, Query(gt=0, le=MAX_FPS, allow_inf_nan=False)]


def get_service(request: Request) -> SessionService:
    """Return the service of the server that received a request."""
    return request.app.state.service


def get_entry(session_id: str, request: Request) -> Entry:
    """Look up the session id of the URL; it is never used as a file path."""
    return get_service(request).registry.get(session_id)


def check_revision(
    session_id: str, request: Request, revision: int | None = None
) -> None:
    """Refuse (409) a change by a client that has not seen the last change.

    revision: the one that the client knows; None: it does not look.
    """
    entry = get_entry(session_id, request)
    if revision is not None and revision != entry.revision:
        raise WebError(
            409,
            "another tab changed this project: it is shown as it is now; do that again "
            "if it is still wanted",
        )


EntryDep = Annotated[Entry, Depends(get_entry)]
ServiceDep = Annotated[SessionService, Depends(get_service)]


@router.get("/status")
async def status(service: ServiceDep):
    """Return the model's state, and what the page needs at its start."""
    limits, readiness = service.settings.limits, service.readiness
    return {
        "ready": readiness.ready,
        "stage": readiness.stage,
        "preparing": readiness.preparing,
        "doing": service.worker.doing,
        "error": readiness.failure,
        "warning": readiness.warning,
        "weights": service.model_host.weights,
        "video": None
        if service.settings.video is None
        else service.settings.video.name,
        "video_error": service.default_clip.failure,
        "limits": {"bytes": limits.bytes, "frames": limits.frames},
        "fps": service.fps,
        "version": __version__,
    }


@router.get("/vocabulary")
async def vocabulary(service: ServiceDep):
    """Return the names of categories and predicates."""
    names = service.model_host.vocabulary
    return {"objects": list(names.objects), "predicates": list(names.predicates)}


@router.post("/sessions", status_code=201)
async def open_session(
    request: Request,
    service: ServiceDep,
    name: str = "video",
    fps: Fps = None,
    newest: bool = False,
):
    """Open a session on the body, a video, image or session file; JSON {}: on the
    default video. fps: sampled frames per second. newest: the last project on the
    default video, if there is one."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        new = open_newest(service) if newest else open_default(service, fps)
        entry = await new
    else:
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > service.settings.limits.bytes:
            raise too_large(service.settings.limits)
        entry = await open_upload(
            service, request.stream(), clean_name(name), fps or service.fps
        )
    return entry.to_json()


@router.get("/sessions/{session_id}/video")
async def show_video(entry: EntryDep):
    """Return the clip of a session without the worker, which may be busy."""
    return entry.to_json()


@router.get("/sessions/{session_id}")
async def show_session(
    entry: EntryDep, service: ServiceDep, threshold: Threshold = None
):
    """Return the objects, relations and tracked frames of the whole clip."""
    state = entry.to_json() | {
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


@router.post("/sessions/{session_id}/frames/{frame}/encode")
async def encode(entry: EntryDep, service: ServiceDep, frame: int):
    """Encode a frame that a person looks at, so that the next click there is quick.

    The answer has the seconds that it took.
    """
    check_frame(entry, frame)

    def job(session):
        begin = time.perf_counter()
        session.prepare(frame)
        return {"seconds": time.perf_counter() - begin}

    return await service.use(entry, job, f"reading frame {frame}")


def check_frame(entry: Entry, frame: int) -> None:
    """Raise WebError 404 unless the video has the frame."""
    if not 0 <= frame < entry.clip.num_frames:
        last = entry.clip.num_frames - 1
        raise WebError(404, f"frame {frame} is not in the video: use 0 to {last}")
