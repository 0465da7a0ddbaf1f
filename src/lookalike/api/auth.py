"""Authentication and authorization: API keys, browser sessions, and the role a route requires."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from enum import IntEnum
from typing import Any, ClassVar

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from lookalike.api.errors import Forbidden, Unauthorized
from lookalike.api.options import Options
from lookalike.api.problems import COMMON
from lookalike.api.routing import StrictRoute

COOKIE = "lookalike_session"
ROLE = "role"
"""Key of the caller's role in the state of a request."""
SESSION_SECONDS = 12 * 3600
MAX_SESSIONS = 1_000
"""Sessions of one role; the oldest ends when another one starts."""


class Role(IntEnum):
    """A caller's permissions; each role includes those before it."""

    NOBODY = 0
    READER = 1
    WRITER = 2


class Authenticator:
    """Maps requests to roles, by API key or session cookie."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._sessions: dict[Role, dict[str, float]] = {role: {} for role in Role}
        self._lock = threading.Lock()

    def role_of(self, request: HTTPConnection) -> Role:
        """Returns the caller's role, from the key in a header or else the session cookie."""
        if not self._options.requires_key:
            return Role.WRITER
        key = _sent_key(request.headers)
        return self._role_of_key(key) if key else self._session_role(request.cookies.get(COOKIE))

    def start_session(self, role: Role) -> str:
        """Starts a session; returns its token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = time.monotonic()
            live = [(key, end) for key, end in self._sessions[role].items() if end > now]
            self._sessions[role] = {
                **dict(live[-(MAX_SESSIONS - 1) :]),
                token: now + SESSION_SECONDS,
            }
        return token

    def end_session(self, token: str) -> None:
        """Ends a session; an unknown token changes nothing."""
        with self._lock:
            for sessions in self._sessions.values():
                sessions.pop(token, None)

    def _role_of_key(self, key: str) -> Role:
        """Compares both keys in any case, so that response times reveal nothing."""
        writer = _equal(key, self._options.write_key)
        reader = _equal(key, self._options.read_key)
        return Role.WRITER if writer else Role.READER if reader else Role.NOBODY

    def _session_role(self, token: str | None) -> Role:
        now = time.monotonic()
        roles = (role for role in Role if self._sessions[role].get(token or "", now) > now)
        return next(roles, Role.NOBODY)


def role_of(request: HTTPConnection) -> Role:
    """Returns the role of the caller of a request, which is determined once."""
    state: dict[str, Any] = request.scope.setdefault("state", {})
    if ROLE not in state:
        state[ROLE] = request.app.state.service.authenticator.role_of(request)
    role: Role = state[ROLE]
    return role


def _sent_key(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _equal(sent: str, key: str | None) -> bool:
    # Starlette decodes headers as Latin-1, whatever their encoding.
    return key is not None and hmac.compare_digest(sent.encode("latin-1"), key.encode())


# --- routes ---------------------------------------------------------------------------------


class ReadRoute(StrictRoute):
    """A route that requires the read key. The key is checked before the body is read."""

    required: ClassVar[Role] = Role.READER

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            require(request, self.required)
            return await handler(request)

        return guarded


class WriteRoute(ReadRoute):
    """A route that requires the write key."""

    required = Role.WRITER


def require(request: Request, required: Role) -> None:
    """Checks that the caller of a request has a role.

    Raises:
        Unauthorized: the request carries no valid key or session.
        Forbidden: the caller's role is too low.
    """
    role = role_of(request)
    if role is Role.NOBODY:
        raise Unauthorized(
            "This service requires an API key; send it in the header Authorization: Bearer KEY."
        )
    if role < required:
        raise Forbidden("The read key cannot change anything; use the write key.")


SCHEMES: Mapping[str, Mapping[str, str]] = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "A read or write key."},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A session from POST /v1/session.",
    },
}
"""Security schemes for the OpenAPI document. `ReadRoute` enforces them: as dependencies, FastAPI
would evaluate each one on every request, for nothing."""


def api_router(tag: str, *, write: bool = False) -> APIRouter:
    """Returns a router for paths under /v1 that require the read key, or the write key."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        responses=COMMON,
        route_class=WriteRoute if write else ReadRoute,
    )
