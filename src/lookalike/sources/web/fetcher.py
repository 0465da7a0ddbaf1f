"""Downloading an image by URL without letting a client reach into the server's own network (SSRF).

A host name is resolved once, every address of it is checked, and the connection goes to an address
that was checked. A name that resolves differently a moment later (DNS rebinding) therefore gains
nothing. Redirects are followed one by one, each checked like the first URL. A private address gives
the same error as a name that does not exist, so nothing is revealed about the network. Proxies from
the environment are not used, since they would connect to any address.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpcore

from lookalike.errors import InputError
from lookalike.imaging.decode import check_size
from lookalike.sources.web.public_addresses import is_public, resolve
from lookalike.types import DecodeLimits

PORTS = (80, 443)
MAX_REDIRECTS = 3
TIMEOUT = 10.0
"""Seconds for everything: resolving, connecting, redirects, and the last byte."""

Resolver: TypeAlias = Callable[[str], Sequence[str]]
"""Returns the addresses of a host name. Raises OSError where it has none."""

_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_UNQUOTED = "!#$%&'()*+,/:;=?@[]~"
"""Characters that stay as they are in a path or query."""
_WRITE_BYTES = 4096
"""Bytes written at a time, so that a receiver that reads slowly cannot outlast the deadline."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Downloads images from the public internet, and from nowhere else.

    Attributes:
        limits: a larger file is refused at the first byte too many.
        timeout: seconds for the whole download.
        ports: ports that may be contacted.
        allowed: pairs of address and port that may be contacted although they are not public.
        resolve: returns the addresses of a host name.
    """

    limits: DecodeLimits = field(default_factory=DecodeLimits)
    timeout: float = TIMEOUT
    ports: Collection[int] = PORTS
    allowed: Collection[tuple[str, int]] = ()
    resolve: Resolver = resolve

    def fetch(self, url: str) -> bytes:
        """Returns the file at a URL. The decoder decides whether it is an image.

        Raises:
            ImageRejected: the file is empty or too large.
            InputError: the URL may not be fetched, or its host does not deliver in time.
        """
        deadline = _Deadline(self.timeout)
        for _ in range(MAX_REDIRECTS + 1):
            result = self._get(_split(url), deadline)
            if isinstance(result, bytes):
                return result
            url = urljoin(url, result)
        raise InputError(f"Too many redirects (limit {MAX_REDIRECTS}); use the final URL.")

    def _get(self, url: SplitResult, deadline: _Deadline) -> bytes | str:
        """Returns the file at a URL, or the location it redirects to."""
        host, port = _host(url), url.port or (443 if url.scheme == "https" else 80)
        addresses = self._checked_addresses(host, port, deadline)
        target = quote(f"{url.path or '/'}{'?' if url.query else ''}{url.query}", safe=_UNQUOTED)
        headers = [
            ("Host", _host_header(url)),
            ("Accept", "image/*"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "lookalike"),
        ]
        try:
            with (
                httpcore.HTTPConnection(
                    httpcore.Origin(url.scheme.encode(), host.encode(), port),
                    # TLS checks the certificate against the host name, not the address.
                    ssl_context=ssl.create_default_context() if url.scheme == "https" else None,
                    network_backend=_PinnedBackend(addresses, deadline),
                ) as connection,
                connection.stream(
                    "GET",
                    httpcore.URL(scheme=url.scheme, host=host, port=port, target=target),
                    headers=headers,
                ) as response,
            ):
                return self._read(host, response)
        except httpcore.TimeoutException as error:
            raise self._late(host) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            raise InputError(
                f"{host} cannot be reached, or broke off its answer; check the URL."
            ) from error

    def _read(self, host: str, response: httpcore.Response) -> bytes | str:
        headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        if response.status in _REDIRECT_STATUSES and (location := headers.get(b"location")):
            return location
        if response.status != 200:
            raise InputError(
                f"{host} answers {response.status} instead of an image; use another URL."
            )
        check_size(int(headers.get(b"content-length", "1")), self.limits)
        data = bytearray()
        for chunk in response.iter_stream():
            data += chunk
            check_size(len(data), self.limits)
        check_size(len(data), self.limits)
        return bytes(data)

    def _checked_addresses(self, host: str, port: int, deadline: _Deadline) -> list[str]:
        """Returns the addresses of a host, every one of which may be contacted."""
        addresses = _resolve_in_time(lambda: self.resolve(host), deadline)
        if addresses is None:
            raise self._late(host)
        for address in addresses:
            if (address, port) not in self.allowed:
                if not is_public(address):
                    addresses = []  # one private address discredits the name
                    break
                if port not in self.ports:
                    raise InputError(
                        f"Images are fetched from port {' or '.join(map(str, self.ports))}, "
                        f"not from {port}; use another URL."
                    )
        if not addresses:
            raise InputError(
                f"{host} is not a host on the public internet; use a URL that everyone can open."
            )
        return list(addresses)

    def _late(self, host: str) -> InputError:
        return InputError(
            f"{host} did not deliver within {self.timeout:g} s; try again, or send the image."
        )


def _split(url: str) -> SplitResult:
    """Returns the parts of a URL.

    Raises:
        InputError: the URL may not be fetched.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        _host(parts).encode("idna")
    except ValueError:
        parts, port = urlsplit(""), None
    plain = url.isprintable() and not any(sign in url for sign in ' \\"<>^`{|}')
    if not plain or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InputError("Only complete http:// and https:// URLs are fetched; give such a URL.")
    if "@" in parts.netloc or "%" in parts.netloc:
        raise InputError("A URL with a user name or a password is not fetched; remove them.")
    return parts


def _host(url: SplitResult) -> str:
    """Returns the host name in ASCII."""
    return (url.hostname or "").encode("idna").decode()


def _host_header(url: SplitResult) -> str:
    host = _host(url)
    return (f"[{host}]" if ":" in host else host) + ("" if url.port is None else f":{url.port}")


def _resolve_in_time(
    look_up: Callable[[], Sequence[str]], deadline: _Deadline
) -> Sequence[str] | None:
    """Returns the addresses that a lookup finds, none for an unknown name; None if it is too slow.

    The system's resolver has no timeout, so a slow lookup is left running in its thread.
    """
    results: list[Sequence[str]] = []

    def run() -> None:
        try:
            results.append(look_up())
        except (OSError, UnicodeError):
            results.append(())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline.seconds_left))
    return results[0] if results else None


# --- the connection -------------------------------------------------------------------------


class _Deadline:
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


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, whatever the host name resolves to by now."""

    def __init__(self, addresses: Sequence[str], deadline: _Deadline) -> None:
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

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
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
