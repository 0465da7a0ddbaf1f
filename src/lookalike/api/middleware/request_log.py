"""The request log."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.api.auth import ROLE
from lookalike.api.logs import FIELDS, REQUESTS

HEADER = "x-request-id"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_ID = re.compile(r"[0-9A-Za-z._-]{1,64}")

_log = logging.getLogger(REQUESTS)


class RequestLogMiddleware:
    """Logs every request once it is answered, under an id that the response has, too.

    The log names routes and not paths, and neither queries nor keys: whoever reads it learns
    nothing that somebody searched for. A request keeps the id that a proxy gave it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        sent = Headers(scope=scope).get(HEADER, "")
        id = sent if _ID.fullmatch(sent) else secrets.token_hex(8)
        status: int | None = None  # the client left before there was one
        size = 0

        async def counted_send(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER.encode(), id.encode())]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted_send)
        except Exception:
            status = status or 500  # the response is made outside of all middleware
            raise
        finally:
            _write(scope, id, status, size, time.perf_counter() - started)


def _write(scope: Scope, id: str, status: int | None, size: int, seconds: float) -> None:
    level = logging.WARNING if status is not None and status >= 500 else logging.INFO
    if not _log.isEnabledFor(level):
        return
    role = scope.get("state", {}).get(ROLE)
    fields = {
        "method": scope["method"] if scope["method"] in METHODS else "other",
        "path": getattr(scope.get("route"), "path", "other"),
        "status": status,
        "ms": round(seconds * 1e3, 1),
        "bytes": size,
        "request": id,
        "role": None if role is None else role.name.lower(),
    }
    _log.log(level, "request", extra={FIELDS: fields})
