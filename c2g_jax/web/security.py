"""Who is answered: pages of this server, on this machine, within bounds.

A page of another site can make a browser send requests here. It is told apart by its
Origin, by what the browser says of the fetch, and, where its name was made to point at
this machine, by the Host it asks for.
"""

import urllib.parse

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from c2g_jax.web.errors import answer

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
MAX_BODY = 64 << 10  # bytes of any request but an upload, which counts its own

# Scripts, styles and data from here alone; no frames, no plugins, no form targets.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware: refuses foreign requests, bounds bodies, adds headers."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        if reason := refusal(headers):
            await answer(403, reason)(scope, receive, send_guarded)
            return
        if not is_upload(scope, headers):
            receive = await _bounded(receive, headers)
            if receive is None:
                too_large = answer(413, f"the request is over {MAX_BODY} bytes")
                await too_large(scope, _no_more, send_guarded)
                return
        await self.app(scope, receive, send_guarded)


def refusal(headers: Headers) -> str | None:
    """Why a request with these headers is not answered; None if it is."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or _host_name(hosts[0]) not in LOCAL_NAMES:
        return "this server answers to 127.0.0.1 and localhost alone: use one of them"
    if len(origins) > 1 or (origins and origins[0] != f"http://{hosts[0]}"):
        return "the request comes from a page of another site"
    site = headers.get("sec-fetch-site", "none")
    mode = headers.get("sec-fetch-mode", "")
    if site not in ("none", "same-origin") and mode != "navigate":
        return "the request comes from a page of another site"
    return None


def is_upload(scope: Scope, headers: Headers) -> bool:
    """Whether the body is a file; the route that takes it counts its bytes."""
    json = headers.get("content-type", "").startswith("application/json")
    return scope["method"] == "POST" and scope["path"] == "/sessions" and not json


def _host_name(host: str) -> str | None:
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def _bounded(receive: Receive, headers: Headers) -> Receive | None:
    """The body read whole, as a `receive` that gives it; None where it is too long."""
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > MAX_BODY:
        return None
    if declared == "0" and "transfer-encoding" not in headers:
        return receive
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Message:
        return next(given, None) or await receive()

    return again


async def _no_more() -> Message:
    return {"type": "http.disconnect"}
