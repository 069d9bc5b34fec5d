"""Errors of requests: an HTTP status and one sentence for the user."""

import html
import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from c2g_jax.cli.launch import out_of_memory
from c2g_jax.media.outputs import DiskFull, disk_is_full
from c2g_jax.types import InputError
from c2g_jax.web.clips import DISK_FULL

_NO_JSON = "the body cannot be read as JSON: send one JSON object in UTF-8"
OUT_OF_MEMORY = (
    "the server has not enough memory for this: track fewer objects, or start it with "
    "a smaller checkpoint; the session is kept"
)
INTERNAL = "internal error of the server: see its log; the session is kept"
MAX_LENGTH = 300  # characters
_BY_STATUS = {
    400: _NO_JSON,  # Starlette could not parse the body
    404: "there is nothing at this address",
    405: "this address does not support that method",
}


class WebError(Exception):
    """A request that cannot be served: HTTP status and one sentence for the user."""

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status, self.line = status, line


def shorten(line: object) -> str:
    """Return the text on one line of at most MAX_LENGTH characters."""
    text = " ".join(str(line).split())
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"


def error_response(status: int, line: object) -> JSONResponse:
    """Return {"error": line}, not to be cached."""
    return JSONResponse(
        {"error": shorten(line)}, status, headers={"Cache-Control": "no-store"}
    )


def refusal(headers: Mapping[str, str], status: int, line: object) -> Response:
    """Return the error: to a browser that opens a page, a plain page that says it."""
    if "text/html" not in headers.get("accept", ""):
        return error_response(status, line)
    said = html.escape(shorten(line))
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Click2Graph</title><h1>Click2Graph</h1><p>{said[0].upper()}{said[1:]}."
    )
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def add_handlers(app: FastAPI) -> None:
    """Answer every error as JSON; the details of internal errors are only logged."""

    @app.exception_handler(WebError)
    async def refused(request: Request, error: WebError):
        return error_response(error.status, error.line)

    @app.exception_handler(InputError)
    async def bad_input(request: Request, error: InputError):
        if isinstance(error, DiskFull):
            return error_response(507, DISK_FULL)
        return error_response(422, error)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError):
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return error_response(422, f"{_NO_JSON} ({first['ctx']['error']})")
        place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return error_response(422, f"{place}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException):
        line = _BY_STATUS.get(error.status_code, error.detail)
        return refusal(request.headers, error.status_code, line)

    @app.exception_handler(OSError)
    async def system(request: Request, error: OSError):
        if disk_is_full(error):  # a state of the machine, which needs no traceback
            return error_response(507, DISK_FULL)
        raise error

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception):
        logging.error("%s %s failed", request.method, request.url.path)
        line = describe_failure(error)
        return error_response(500 if line == INTERNAL else 507, line)


def describe_failure(error: Exception) -> str:
    """Return the sentence for an exception: full disk, out of memory, or internal."""
    if disk_is_full(error):
        return DISK_FULL
    return OUT_OF_MEMORY if out_of_memory(error) else INTERNAL
