"""Origin and host checks against cross-site requests."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.api import errors
from lookalike.api.errors import Forbidden
from lookalike.api.middleware.auth import SAFE
from lookalike.api.service import Options

# --- where a request comes from -------------------------------------------------------------


class OriginMiddleware:
    """WriteLock away what a foreign web page makes a browser send.

    Without keys the service trusts everyone who reaches it, which a page from elsewhere does
    where its name is made to point here (DNS rebinding): so only names of this machine are taken.
    And whatever changes something must not come from a page of another origin.
    """

    def __init__(self, app: ASGIApp, *, options: Options) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._refusal(scope)):
            await errors.answer(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Forbidden | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._options.open and not is_loopback(_name(host)):
            return Forbidden(
                "Without a key this service answers only to localhost: use that name, or start it "
                "with a key."
            )
        origin = headers.get("origin")
        if scope["method"] in SAFE or origin is None or origin in self._options.cors:
            return None
        if urlsplit(origin).netloc.lower() != host.lower():
            return Forbidden(
                "A page from elsewhere may not change anything here: start the service with "
                "--cors and its origin if it shall."
            )
        return None


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own, for itself alone."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """A Host header without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
