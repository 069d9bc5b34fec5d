"""Who is answered: the names of this server, and a token on other than loopback.

On a loopback address only this machine reaches the server. On any other the link that
is printed at the start has a token; the first request trades it for a cookie that
scripts cannot read, and without one of the two no request is answered.
"""

import contextlib
import hashlib
import ipaddress
import secrets
import socket
import urllib.parse
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
TOKEN_BYTES = 24
QUERY = "token"


@dataclass(frozen=True)
class Access:
    """names: host names that requests may use. any_address: also every IP address, as
    no name can be made to resolve to one (DNS rebinding). token: None on loopback."""

    names: tuple[str, ...] = LOCAL_NAMES
    any_address: bool = False
    token: str | None = None

    def knows_host(self, host: str) -> bool:
        """Return whether a Host header names this server."""
        name = _host_name(host)
        if name is None:
            return False
        return name in self.names or (self.any_address and _address(name) is not None)

    @property
    def cookie(self) -> str:
        """Name of the cookie; one for each token, as browsers share them over ports."""
        return f"c2g_{hashlib.sha256(self.token.encode()).hexdigest()[:12]}"

    def set_cookie(self) -> str:
        """Return the Set-Cookie header that keeps the token, out of reach of scripts.

        Lax, not Strict, so that a link in a mail or a chat leads here; other sites'
        requests are refused by their Origin.
        """
        return f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"

    def accepts(self, given: str | None) -> bool:
        """Return whether a text is the token; takes as long whatever is equal."""
        given = (given or "").encode("utf-8", "surrogateescape")
        return secrets.compare_digest(given, self.token.encode())

    def admits(self, cookies: list[str]) -> bool:
        """Return whether the Cookie headers of a request hold the token."""
        if self.token is None:
            return True
        return any(self.accepts(_cookie(header, self.cookie)) for header in cookies)

    def admits_link(self, query: bytes) -> bool:
        """Return whether the query of a URL holds the token."""
        if self.token is None:
            return False
        values = urllib.parse.parse_qs(query.decode("latin-1")).get(QUERY, [])
        return len(values) == 1 and self.accepts(values[0])


def access_for(host: str, address: str) -> Access:
    """Return who is answered on the host of --host, which resolved to an address."""
    bound = ipaddress.ip_address(address)
    if bound.is_loopback:
        return Access((*LOCAL_NAMES, host.lower(), address))
    names = {host.lower(), address}
    if bound.is_unspecified:
        names = {socket.gethostname().lower()}
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return Access((*LOCAL_NAMES, *names), bound.is_unspecified, token)


def link(access: Access, host: str, address: str, port: int) -> str:
    """Return the address of the page, with the token if there is one."""
    if ipaddress.ip_address(address).is_unspecified:
        host = _reached_at()
    shown = f"[{host}]" if ":" in host else host
    query = "" if access.token is None else f"?{QUERY}={access.token}"
    return f"http://{shown}:{port}/{query}"


def _reached_at() -> str:
    """Return the address by which other machines reach this one, which may not know its
    name; the name if it is in no network."""
    for family, other in (
        (socket.AF_INET, "192.0.2.1"),
        (socket.AF_INET6, "2001:db8::1"),
    ):
        with (
            contextlib.suppress(OSError),
            socket.socket(family, socket.SOCK_DGRAM) as probe,
        ):
            probe.connect((other, 9))  # chooses the network; nothing is sent
            return probe.getsockname()[0]
    return socket.gethostname()


def _host_name(host: str) -> str | None:
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _cookie(header: str, name: str) -> str | None:
    """Return the value of a cookie; None if there is none, or the header is broken."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return None
    return None if found is None else found.value
