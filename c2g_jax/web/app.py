"""The application: routes, errors, the guard at the door, and the page itself."""

import contextlib
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from c2g_jax import __version__
from c2g_jax.web import errors, routes_edit, routes_export, routes_session
from c2g_jax.web.security import Guard
from c2g_jax.web.service import SessionService, Settings

PAGE = Path(__file__).with_name("static")


class _Page(StaticFiles):
    """The page's files, asked for anew each time, so that an update is seen."""

    def file_response(self, *args: Any, **kwargs: Any):
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(model_host: Any, settings: Settings) -> FastAPI:
    """An ASGI application; `model_host` gives the model and sessions."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        app.state.service = SessionService(model_host, settings)
        async with app.state.service.running():
            yield

    app = FastAPI(
        title="Click2Graph",
        version=__version__,
        lifespan=lifespan,
        # The pages FastAPI shows for its routes load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(Guard)
    errors.add_handlers(app)
    for module in (routes_session, routes_edit, routes_export):
        app.include_router(module.router)

    @app.get("/")
    async def page():
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", _Page(directory=PAGE))
    return app


def make_server(app: FastAPI, *, seconds: int = 3) -> uvicorn.Server:
    """A server of the application; `seconds`: what it waits for answers at its end."""
    config = uvicorn.Config(
        app,
        # uvloop, taken where it happens to be installed, starts processes by a plain
        # fork: of a process full of threads a child may wait for ever on a lock that
        # another thread held, and the loop on the child. This one forks nothing.
        loop="asyncio",
        log_level="warning",
        timeout_graceful_shutdown=seconds,
        limit_concurrency=128,
        server_header=False,
    )
    return uvicorn.Server(config)
