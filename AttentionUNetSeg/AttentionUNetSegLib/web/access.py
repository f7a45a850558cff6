"""Who may talk to the server: whoever knows the token, from the page that this server gave out, and nobody else.

The token is in the address that the console prints. The first request with it gets a cookie and goes on to the
address without it, so that it stays out of the browser's history. Every other request, the websocket's included, must
bring the cookie; requests that change something must also come from this very page.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from ..errors import BadInput

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SHORTEST_TOKEN = 16

# The page may load from, and talk to, this server only. Vue compiles its templates in the browser ('unsafe-eval').
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_ENTRY = (
    '<!doctype html><title>AttentionUNetSeg</title><script>location.replace("/")</script>'
    '<noscript><meta http-equiv="refresh" content="0;url=/"></noscript>'
)

_REFUSAL = (
    "This page needs its token. Open the whole address that the console shows after"
    " 'attention-unet-seg serve', beginning with http and ending with the token.\n"
)


def new_token() -> str:
    """Return a token that nobody can guess (128 random bits)."""
    return secrets.token_urlsafe(16)


def check_host_and_token(host: str, token: str | None) -> None:
    """Refuse to be reachable from other machines unless the person chose that, with a token of their own.

    Raises
    ------
    BadInput : `host` is not this machine's loopback and there is no token, or the token is too short to be one.
    """
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isprintable() or " " in token):
        raise BadInput(
            f"The token must have {SHORTEST_TOKEN} or more characters and no spaces.",
            "Leave --token out for a random one.",
        )
    if token is None and not is_loopback(host):
        raise BadInput(
            f"With --host {host} other machines could open the page, so it needs a token of yours.",
            "Add --token, or leave --host out.",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Access:
    """The gate in front of every route of one server.

    Parameters
    ----------
    token : what the address of the page ends with.
    host : what the server listens on.
    """

    def __init__(self, token: str, host: str = "127.0.0.1") -> None:
        self._token = token
        self._host = host
        # Cookies do not know ports: two servers on one machine must not overwrite each other's.
        self._cookie = "attention-unet-seg-" + hashlib.sha256(token.encode()).hexdigest()[:12]

    def protect(self, app: web.Application) -> None:
        """Put the gate in front of everything the application serves; before it starts."""
        app.middlewares.append(self._gate)
        app.on_response_prepare.append(_add_headers)

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_our_name(request.host):
            raise web.HTTPForbidden(text=f"This server does not go by the name {request.host!r}.\n")
        offered = request.query.get("token")
        if offered is not None:
            if not self._is_token(offered):
                raise web.HTTPForbidden(text=_REFUSAL)
            # Not a redirection: one that begins elsewhere (in a file that opens the page) would lose a strict cookie.
            response = web.Response(text=_ENTRY, content_type="text/html")
            # Not `secure`: on loopback there is no TLS.
            response.set_cookie(self._cookie, self._token, httponly=True, samesite="Strict", path="/")
            return response
        if not self._is_token(request.cookies.get(self._cookie, "")):
            raise web.HTTPForbidden(text=_REFUSAL)
        if _changes_something(request) and not _is_from_our_page(request):
            raise web.HTTPForbidden(text="This request did not come from the page of this server.\n")
        return await handler(request)

    def _is_our_name(self, host: str) -> bool:
        """Whether a request's Host is this server's; a name that others let point here (DNS rebinding) is not.

        Any port: that of a tunnel is another one.
        """
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        if is_loopback(name):
            return True
        if is_loopback(self._host):
            return False
        own = {self._host.strip("[]").lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
        return name in own or _is_address(name)

    def _is_token(self, offered: str) -> bool:
        return hmac.compare_digest(offered.encode(), self._token.encode())


def _changes_something(request: web.Request) -> bool:
    return request.method not in ("GET", "HEAD") or request.headers.get("Upgrade", "").lower() == "websocket"


def _is_from_our_page(request: web.Request) -> bool:
    """Whether the browser says so; a page of another port of this machine would bring the cookie too."""
    return request.headers.get("Origin") == f"{request.scheme}://{request.host}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
