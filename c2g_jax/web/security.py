"""Request checks: only pages of this server, who may use it, bounded bodies.

A page of another site can make a browser send requests here (CSRF). Such requests are
recognised by their Origin and Sec-Fetch headers, and, where a foreign name resolves to
this machine (DNS rebinding), by their Host header.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from c2g_jax.vocabulary import MAX_NAMES
from c2g_jax.web.access import Access
from c2g_jax.web.errors import error_response, refusal

# Bytes: a stroke, spans or ids as many as `bodies` allows; a vocabulary of the longest
# names. Uploads have a limit of their own.
MAX_BODY, MAX_VOCABULARY = 256 << 10, 4 << 20
NO_TOKEN = "open the link with the token that the server printed at its start"

# Scripts, styles and data from this server only; no frames, plugins or form targets.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
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

    def __init__(self, app: ASGIApp, access: Access | None = None):
        self.app, self.access = app, access or Access()

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
        if reason := rejection(headers, self.access):
            await refusal(headers, 403, reason)(scope, receive, send_guarded)
            return
        if not self.access.admits(headers.getlist("cookie")):
            await self._greet(scope, headers)(scope, receive, send_guarded)
            return
        if not is_upload(scope, headers):
            limit, line = body_limit(scope)
            receive = await _bounded(receive, headers, limit)
            if receive is None:
                too_large = error_response(413, line)
                await too_large(scope, _disconnected, send_guarded)
                return
        await self.app(scope, receive, send_guarded)

    def _greet(self, scope: Scope, headers: Headers) -> Response:
        """Answer who has no cookie: the link's token gives one, all else is refused."""
        page = scope["path"] == "/" and scope["method"] == "GET"
        if not (page and self.access.admits_link(scope["query_string"])):
            return refusal(headers, 401, NO_TOKEN)
        answer = RedirectResponse("/", 303)  # without the token in the address
        answer.headers["Set-Cookie"] = self.access.set_cookie()
        answer.headers["Cache-Control"] = "no-store"
        return answer


def rejection(headers: Headers, access: Access) -> str | None:
    """Return why a request with these headers is rejected; None if it is not."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not access.knows_host(hosts[0]):
        names = [name for name in dict.fromkeys(access.names) if name != "::1"]
        return f"this server only answers at {' and '.join(names)}: use one of them"
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


def body_limit(scope: Scope) -> tuple[int, str]:
    """Return the most bytes of a body that is no upload, and what is said of more."""
    if scope["method"] == "PUT" and scope["path"].endswith("/vocabulary"):
        line = f"the vocabulary is over {MAX_VOCABULARY >> 20} MB: "
        return MAX_VOCABULARY, f"{line}give up to {MAX_NAMES} names"
    return MAX_BODY, f"the request is over {MAX_BODY} bytes: send less at once"


async def _bounded(receive: Receive, headers: Headers, limit: int) -> Receive | None:
    """Read the body; returns a `receive` that replays it, None if it is too long."""
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limit:
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
        if len(body) > limit:
            return None
    replay = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_body() -> Message:
        return next(replay, None) or await receive()

    return receive_body


async def _disconnected() -> Message:
    return {"type": "http.disconnect"}
