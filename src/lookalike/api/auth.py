"""Authentication and authorization: API keys, browser sessions, and the role a route requires."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from enum import IntEnum
from typing import Any, ClassVar, Protocol

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


class Role(IntEnum):
    """A caller's permissions; each role includes those before it."""

    NOBODY = 0
    READER = 1
    WRITER = 2


class Sessions(Protocol):
    """The part of sessions that services share; see `stores.sessions`.

    Attributes:
        secret: signs them.
    """

    secret: bytes

    def has_ended(self, id: str) -> bool:
        """Tells if a session ended before its time."""
        ...

    def end(self, id: str, role: str, expires: int) -> None:
        """Ends a session of a role, which would have ended at a second of the epoch."""
        ...


class Authenticator:
    """Maps requests to roles, by API key or session cookie.

    A session is a token with its role, its end and an id, signed with a secret and the role's key:
    all services accept it, after a restart too, until the key is changed.
    """

    def __init__(self, options: Options, sessions: Sessions) -> None:
        self._options = options
        self._sessions = sessions

    def role_of(self, request: HTTPConnection) -> Role:
        """Returns the caller's role, from the key in a header or else the session cookie."""
        if not self._options.requires_key:
            return Role.WRITER
        key = _sent_key(request.headers)
        return self._role_of_key(key) if key else self._session_role(request.cookies.get(COOKIE))

    def start_session(self, role: Role) -> str:
        """Starts a session; returns its token."""
        expires, id = int(time.time()) + SESSION_SECONDS, secrets.token_urlsafe(16)
        content = f"{role.name.lower()}.{expires}.{id}"
        return f"{content}.{self._signature(content)}"

    def end_session(self, token: str) -> None:
        """Ends a session; an unknown token changes nothing."""
        if self._session_role(token):
            role, expires, id, _ = token.split(".")
            self._sessions.end(id, role, int(expires))

    def _role_of_key(self, key: str) -> Role:
        """Compares both keys in any case, so that response times reveal nothing."""
        writer = _equal(key, self._options.write_key)
        reader = _equal(key, self._options.read_key)
        return Role.WRITER if writer else Role.READER if reader else Role.NOBODY

    def _session_role(self, token: str | None) -> Role:
        content, _, signature = (token or "").rpartition(".")
        if not _equal(signature, self._signature(content)):
            return Role.NOBODY
        role, expires, id = content.split(".")
        ended = int(expires) <= time.time() or self._sessions.has_ended(id)
        return Role.NOBODY if ended else Role[role.upper()]

    def _signature(self, content: str) -> str:
        writer = content.startswith(f"{Role.WRITER.name.lower()}.")
        key = self._options.write_key if writer else self._options.read_key
        signed = f"{content} {key}".encode()
        return hmac.new(self._sessions.secret, signed, hashlib.sha256).hexdigest()


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
