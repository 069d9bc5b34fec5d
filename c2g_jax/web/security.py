"""Request checks: only pages of this server on this machine, with bounded bodies.

A page of another site can make a browser send requests here (CSRF). Such requests are
recognised by their Origin and Sec-Fetch headers, and, where a foreign name resolves to
this machine (DNS rebinding), by their Host header.
"""

import urllib.parse

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from c2g_jax.web.errors import error_response

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
MAX_BODY = 64 << 10  # bytes; uploads have a limit of their own

# Scripts, styles and data from this server only; no frames, plugins or form targets.
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
    """ASGI middleware: rejects foreign requests, bounds bodies, adds headers."""

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
        if reason := rejection(headers):
            await error_response(403, reason)(scope, receive, send_guarded)
            return
        if not is_upload(scope, headers):
            receive = await _bounded(receive, headers)
            if receive is None:
                too_large = error_response(413, f"the request is over {MAX_BODY} bytes")
                await too_large(scope, _disconnected, send_guarded)
                return
        await self.app(scope, receive, send_guarded)


def rejection(headers: Headers) -> str | None:
    """Return why a request with these headers is rejected; None if it is not."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or _host_name(hosts[0]) not in LOCAL_NAMES:
        return "this server only answers at 127.0.0.1 and localhost: use one of them"
    if len(origins) > 1 or (origins and origins[0] != f"http://{hosts[0]}"):
        return "the request comes from a page of another site"
    site = headers.get("sec-fetch-site", "none")
    mode = headers.get("sec-fetch-mode", "")
    if site not in ("none", "same-origin") and mode != "navigate":
        return "the request comes from a page of another site"
    return None


def is_upload(scope: Scope, headers: Headers) -> bool:
    """Return whether the body is a file, whose size the route checks itself."""
    json = headers.get("content-type", "").startswith("application/json")
    path = scope["path"]
    if scope["method"] != "POST":
        return False
    return (path == "/sessions" and not json) or path.endswith("/import")


def _host_name(host: str) -> str | None:
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def _bounded(receive: Receive, headers: Headers) -> Receive | None:
    """Read the body; returns a `receive` that replays it, None if it is too long."""
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
    replay = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_body() -> Message:
        return next(replay, None) or await receive()

    return receive_body


async def _disconnected() -> Message:
    return {"type": "http.disconnect"}
