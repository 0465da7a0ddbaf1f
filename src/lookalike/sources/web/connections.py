"""Connections to addresses that were checked, each with a deadline. Idle ones are kept for the next
request to the same origin."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import httpcore

_WRITE_BYTES = 4096
"""Bytes written at a time, so that a receiver that reads slowly cannot outlast the deadline."""

OriginKey: TypeAlias = tuple[str, str, int]
"""Scheme, host and port."""


class Deadline:
    """The end of the time allowed for one download."""

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout

    @property
    def seconds_left(self) -> float:
        return self._end - time.monotonic()

    def timeout(self, error: type[httpcore.TimeoutException]) -> float:
        """Returns the timeout of the next operation; raises `error` if no time is left."""
        left = self.seconds_left
        if left <= 0:
            raise error
        return left

    def move_to(self, other: Deadline) -> None:
        """Takes over another end, as when a connection serves its next request."""
        self._end = other._end


class Connection(httpcore.HTTPConnection):
    """A connection to one origin, through addresses that were checked.

    Args:
        origin: scheme, host and port.
        addresses: addresses of the host; the first that accepts a connection is used.
        deadline: the end of the first request.
    """

    def __init__(self, origin: OriginKey, addresses: Sequence[str], deadline: Deadline) -> None:
        scheme, host, port = origin
        self.deadline = Deadline(0)
        self.deadline.move_to(deadline)
        super().__init__(
            httpcore.Origin(scheme.encode(), host.encode(), port),
            # TLS checks the certificate against the host name, not the address.
            ssl_context=ssl.create_default_context() if scheme == "https" else None,
            network_backend=_PinnedBackend(addresses, self.deadline),
        )


class IdleConnections:
    """Idle connections by origin. Thread-safe.

    Args:
        most: number of connections that are kept for one origin; 0 keeps none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._idle: dict[OriginKey, list[Connection]] = {}

    def take(self, origin: OriginKey, deadline: Deadline) -> Connection | None:
        """A connection for a request that ends at a deadline; None if there is none."""
        with self._lock:
            idle = self._idle.get(origin)
            connection = idle.pop() if idle else None
        if connection is not None:
            connection.deadline.move_to(deadline)
        return connection

    def give_back(self, origin: OriginKey, connection: Connection) -> None:
        """Keeps a connection that can serve another request, and closes others."""
        if connection.is_idle() and not connection.has_expired():
            with self._lock:
                idle = self._idle.setdefault(origin, [])
                if len(idle) < self._most:
                    idle.append(connection)
                    return
        connection.close()

    def close(self) -> None:
        """Closes all of them."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, whatever the host name resolves to by now."""

    def __init__(self, addresses: Sequence[str], deadline: Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connects to the first address that accepts a connection."""
        failure = httpcore.ConnectError()
        for address in self._addresses:
            left = self._deadline.timeout(httpcore.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A stream that ends at the deadline, so that a peer that sends slowly gains nothing."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.timeout(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_BYTES):
            part = buffer[start : start + _WRITE_BYTES]
            self._stream.write(part, self._deadline.timeout(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            left = self._deadline.timeout(httpcore.ConnectTimeout)
        except httpcore.ConnectTimeout:
            self.close()
            raise
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
