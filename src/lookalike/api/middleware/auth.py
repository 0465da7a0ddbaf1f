"""Who may do what: keys, sessions, and where a request may come from."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from enum import IntEnum
from typing import Any, ClassVar

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from lookalike.api import errors
from lookalike.api.errors import Forbidden, Unauthorized
from lookalike.api.service import Options

COOKIE = "lookalike_session"
SESSION_SECONDS = 12 * 3600
MOST_SESSIONS = 1_000
SAFE = {"GET", "HEAD", "OPTIONS"}


class Role(IntEnum):
    """What a caller may do; each may do what those before it may."""

    NOBODY = 0
    READER = 1
    WRITER = 2


class Gatekeeper:
    """Knows the keys, and who has shown one of them."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sessions: dict[str, tuple[Role, float]] = {}
        self._lock = threading.Lock()

    def role(self, request: HTTPConnection) -> Role:
        """What the caller may do, by the key in a header or by the cookie of a session."""
        if self._options.open:
            return Role.WRITER
        key = _key(request.headers)
        return self._known(key) if key else self._session(request.cookies.get(COOKIE, ""))

    def begin(self, role: Role) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = time.monotonic()
            lasting = {one: kept for one, kept in self._sessions.items() if kept[1] > now}
            self._sessions = dict(list(lasting.items())[-(MOST_SESSIONS - 1) :])
            self._sessions[token] = role, now + SESSION_SECONDS
        return token

    def end(self, token: str) -> None:
        with self._lock:
            self._sessions.pop(token, None)

    def _known(self, key: str) -> Role:
        """Both keys are compared whatever the first says, so that time tells nothing."""
        writer = _same(key, self._options.write_key)
        reader = _same(key, self._options.read_key)
        return Role.WRITER if writer else Role.READER if reader else Role.NOBODY

    def _session(self, token: str) -> Role:
        role, until = self._sessions.get(token, (Role.NOBODY, 0.0))
        return role if until > time.monotonic() else Role.NOBODY


def _key(headers: Headers) -> str | None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _same(given: str, key: str | None) -> bool:
    # Starlette reads headers as Latin-1, whatever the bytes were.
    return key is not None and hmac.compare_digest(given.encode("latin-1"), key.encode())


# --- routes ---------------------------------------------------------------------------------


class ReadRoute(APIRoute):
    """A route for who holds a key. It is asked for before the body is read."""

    least: ClassVar[Role] = Role.READER

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            require(request, self.least)
            return await handler(request)

        return guarded


class WriteRoute(ReadRoute):
    """A route for who holds the write key."""

    least = Role.WRITER


def require(request: Request, least: Role) -> None:
    """Lets a request go on whose caller may do as much.

    Raises:
        Unauthorized: the caller is nobody.
        Forbidden: the caller may only read.
    """
    role = request.app.state.gatekeeper.role(request)
    if role is Role.NOBODY:
        raise Unauthorized(
            "This service asks for a key: send it as the header Authorization: Bearer KEY."
        )
    if role < least:
        raise Forbidden("This key may only read: use the write key.")


SCHEMES: Mapping[str, Mapping[str, str]] = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "A read or write key."},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "POST /v1/session.",
    },
}
"""What the OpenAPI document says of keys. `ReadRoute` asks for them: as dependencies, FastAPI would
look at each in every request, and to no end."""


def router(tag: str, *, write: bool = False) -> APIRouter:
    """Routes under /v1 that want the read key, or the write key."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        responses=errors.COMMON,
        route_class=WriteRoute if write else ReadRoute,
    )
