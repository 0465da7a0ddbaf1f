"""One connection: uvicorn's protocol, with time limits for clients that neither send nor read."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lookalike.api.auth import ROLE, Role
from lookalike.api.errors import MalformedRequest
from lookalike.api.problems import response_of

IDLE_SECONDS = 20.0
"""Seconds after which an idle connection is closed."""
READ_SECONDS = 20.0
"""Seconds in which a client must read `LEAST_READ` bytes of what it is sent."""
LEAST_READ = 16_384
"""Bytes that the system takes from us for a client in `READ_SECONDS`, or all that are left."""
MAX_CONNECTIONS = 1_000
"""Open connections; a new one closes one whose client has shown no key and waits for nothing."""


class TimeoutProtocol(H11Protocol):
    """uvicorn's protocol with four additions.

    It closes a connection whose request head does not arrive in time, and one whose client does not
    read, where uvicorn would wait forever. It makes room for a new connection at the expense of
    clients without a key. And it answers malformed requests, which never reach the application,
    with a problem document instead of plain text.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_CountingTransport(transport))  # type: ignore[arg-type]
        self.access_log = False  # it would have queries in it; see `middleware.request_log`
        self._role = Role.NOBODY
        self._idle_since = self.loop.time()
        self._timer = self.loop.call_later(IDLE_SECONDS, self._close_if_idle)
        self._watch = self.loop.call_later(READ_SECONDS, self._close_if_unread, False, 0)
        if len(self.connections) > MAX_CONNECTIONS:  # below the limit nothing is closed
            self._make_room()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        state: dict[str, Any] = self.cycle.scope.get("state") or {}
        self._role = max(self._role, state.get(ROLE, Role.NOBODY))
        self._idle_since = self.loop.time()
        self._timer.cancel()
        self._timer = self.loop.call_later(IDLE_SECONDS, self._close_if_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._watch.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        response = response_of(
            MalformedRequest("This is not a valid HTTP/1.1 request, or its head is too long.")
        )
        head = h11.Response(
            status_code=response.status_code,
            headers=[*response.raw_headers, (b"connection", b"close")],
        )
        for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle and not self.transport.is_closing():
            self.transport.close()

    def _close_if_unread(self, waited: bool, taken_before: int) -> None:
        """Closes the connection if its client has read too little since the last look.

        Args:
            waited: whether bytes were waiting for the client then.
            taken_before: bytes that the system had taken by then.
        """
        waiting = self.transport.get_write_buffer_size()
        taken = self.transport.written - waiting  # type: ignore[attr-defined]
        if waiting and waited and taken - taken_before < LEAST_READ:
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(
                READ_SECONDS, self._close_if_unread, bool(waiting), taken
            )

    def _make_room(self) -> None:
        """Closes the connection that has been idle the longest, of a client without a key first."""
        others = [
            other
            for other in self.connections
            if isinstance(other, TimeoutProtocol)
            and other is not self
            and not other.transport.is_closing()
        ]
        idle = [other for other in others if other._is_idle]
        if idle and len(others) >= MAX_CONNECTIONS:
            min(idle, key=lambda other: (other._role, other._idle_since)).transport.abort()


class _CountingTransport:
    """A transport that counts the bytes written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
