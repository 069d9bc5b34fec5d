"""The web application: routes, error handlers, request checks, the page's files."""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from c2g_jax import __version__
from c2g_jax.web import (
    errors,
    routes_annotate,
    routes_edit,
    routes_export,
    routes_names,
    routes_projects,
    routes_session,
)
from c2g_jax.web.access import Access
from c2g_jax.web.security import Guard
from c2g_jax.web.service import SessionService, Settings

PAGE = Path(__file__).with_name("static")


class _PageFiles(StaticFiles):
    """The page's files, revalidated by the browser so that updates are seen."""

    def file_response(self, *args: Any, **kwargs: Any):
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(
    model_host: Any, settings: Settings, access: Access | None = None
) -> FastAPI:
    """Return the ASGI application.

    model_host: a `ModelHost`, or an object with its methods. access: who is answered;
    by default requests to loopback names.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        app.state.service = SessionService(model_host, settings)
        async with app.state.service.running():
            yield

    app = FastAPI(
        title="Click2Graph",
        version=__version__,
        lifespan=lifespan,
        # FastAPI's own documentation pages load scripts from other sites.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(Guard, access=access)
    errors.add_handlers(app)
    for module in (
        routes_session,
        routes_projects,
        routes_edit,
        routes_annotate,
        routes_names,
        routes_export,
    ):
        app.include_router(module.router)
    app.include_router(routes_export.project_router)

    @app.get("/")
    async def page():
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", _PageFiles(directory=PAGE))
    return app


class _Threads(ThreadPoolExecutor):
    """Those of `asyncio.to_thread`. The loop's end waits for none of them: an export
    may draw a video for minutes."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        super().shutdown(wait=False, cancel_futures=True)


class _Server(uvicorn.Server):
    """Answers what waits when a signal comes: the requests then end by themselves."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        first = not self.should_exit
        super().handle_exit(sig, frame)
        service = getattr(self.config.app.state, "service", None)
        if first:  # responses that are cut off from here on are no error
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        if first and service is not None:
            self._loop.call_soon_threadsafe(service.stop)

    async def serve(self, sockets: Any = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(_Threads(thread_name_prefix="asyncio"))
        await super().serve(sockets)


def make_server(app: FastAPI, *, seconds: int = 1) -> uvicorn.Server:
    """Return a server; on shutdown it waits `seconds` for unfinished responses."""
    config = uvicorn.Config(
        app,
        # Not uvloop, which uvicorn would use if installed: it starts processes by a
        # plain fork, and with many threads the child can deadlock on a lock that
        # another thread held, and the loop with it. asyncio's loop does not fork.
        loop="asyncio",
        log_level="warning",
        timeout_graceful_shutdown=seconds,
        limit_concurrency=128,
        server_header=False,
    )
    return _Server(config)
