"""What a request ends with when it cannot be done: a status and one sentence."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from c2g_jax.cli.launch import out_of_memory
from c2g_jax.media.outputs import DiskFull, disk_is_full
from c2g_jax.types import InputError
from c2g_jax.web.clips import DISK_FULL

_NO_JSON = "the body cannot be read as JSON: send one JSON object in UTF-8"
LONGEST = 300  # letters
_PLAIN = {
    400: _NO_JSON,  # Python's parser gave up on it
    404: "there is nothing at this address",
    405: "this address cannot do that",
}


class WebError(Exception):
    """A refusal: its HTTP status, and one sentence for the person at the page."""

    def __init__(self, status: int, line: str):
        super().__init__(line)
        self.status, self.line = status, line


def shorten(line: object) -> str:
    """On one line, and not longer than a page can show."""
    text = " ".join(str(line).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def answer(status: int, line: object) -> JSONResponse:
    """An error as a client gets it: one sentence, kept by no cache."""
    return JSONResponse(
        {"error": shorten(line)}, status, headers={"Cache-Control": "no-store"}
    )


def add_handlers(app: FastAPI) -> None:
    """Every error leaves as JSON; one that is ours is logged and says no more."""

    @app.exception_handler(WebError)
    async def refused(request: Request, error: WebError):
        return answer(error.status, error.line)

    @app.exception_handler(InputError)
    async def bad_input(request: Request, error: InputError):
        if isinstance(error, DiskFull):
            return answer(507, DISK_FULL)
        return answer(422, error)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError):
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return answer(422, f"{_NO_JSON} ({first['ctx']['error']})")
        place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return answer(422, f"{place}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException):
        return answer(error.status_code, _PLAIN.get(error.status_code, error.detail))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception):
        logging.error("%s %s failed", request.method, request.url.path)
        line = reason(error)
        return answer(500 if line == FAILED else 507, line)


FAILED = "the server met an error of its own: its log tells more; the session is kept"
NO_MEMORY = (
    "the server has not enough memory for this: follow fewer objects, or start it with "
    "a smaller checkpoint; the session is kept"
)


def reason(error: Exception) -> str:
    """What to say of an error that is of the machine, or else of our own making."""
    if disk_is_full(error):
        return DISK_FULL
    return NO_MEMORY if out_of_memory(error) else FAILED
