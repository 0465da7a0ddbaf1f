"""Protection against cross-site requests and DNS rebinding."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.api.errors import Forbidden
from lookalike.api.options import Options
from lookalike.api.problems import response_of

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class OriginMiddleware:
    """Refuses requests that a foreign web page makes a browser send.

    Without keys the service trusts everyone who can reach it. A foreign page can reach it by making
    a name of its own resolve to this machine (DNS rebinding), so only loopback names are accepted
    then. With or without keys, a request that may change something must not come from a page of
    another origin.
    """

    def __init__(self, app: ASGIApp, *, options: Options) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await response_of(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Forbidden | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._options.requires_key and not is_loopback(_host_name(host)):
            return Forbidden(
                "Without an API key this service answers only to localhost; use that name, or "
                "start the service with a key."
            )
        origin = headers.get("origin")
        if scope["method"] in SAFE_METHODS or origin is None or origin in self._options.cors:
            return None
        if urlsplit(origin).netloc.lower() != host.lower():
            return Forbidden(
                "Pages of other origins cannot change anything; to allow one, start the service "
                "with --cors and its origin."
            )
        return None


def is_loopback(host: str) -> bool:
    """Returns whether a host name or address is reachable from this machine only."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(host: str) -> str:
    """Returns a Host header without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
