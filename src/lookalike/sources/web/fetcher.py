"""Downloading an image by URL without letting a client reach into the server's own network (SSRF).

A host name is resolved once, every address of it is checked, and the connection goes to an address
that was checked. A name that resolves differently a moment later (DNS rebinding) therefore gains
nothing. Redirects are followed one by one, each checked like the first URL. A private address gives
the same error as a name that does not exist, so nothing is revealed about the network. Proxies from
the environment are not used, since they would connect to any address.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TypeAlias
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpcore

from lookalike.errors import InputError
from lookalike.imaging.decode import check_size
from lookalike.sources.web.connections import Connection, Deadline, IdleConnections
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


class Unreachable(InputError):
    """A host that is unknown, private, away, or too slow, so that the next URL of it may fail."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to a request.

    Attributes:
        host: the host that answered.
        status: its status, which is not one of a redirect.
        headers: values by name in lower case.
        body: the file; empty with any status but 200, or if it went elsewhere.
    """

    host: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def file(self) -> bytes:
        """Returns the file.

        Raises:
            InputError: there is none.
        """
        if self.status != 200:
            raise InputError(
                f"{self.host} answers {self.status} instead of an image; use another URL."
            )
        return self.body


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Options of a request.

    Attributes:
        headers: headers to send besides the usual ones.
        connections: idle connections to use and to add to.
        into: receives the file in place of the response.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    connections: IdleConnections = IdleConnections(0)  # noqa: RUF009 -- it stays empty
    into: IO[bytes] | None = None


DEFAULTS = RequestOptions()


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
        return self.request(url).file()

    def request(
        self,
        url: str,
        options: RequestOptions = DEFAULTS,
    ) -> Response:
        """Returns the answer for a URL, whatever its status, after redirects.

        Args:
            url: the URL.
            options: headers, and where the file goes.

        Raises:
            ImageRejected: the file is empty or too large.
            InputError: the URL may not be fetched.
            Unreachable: its host does not deliver in time.
        """
        deadline = Deadline(self.timeout)
        for _ in range(MAX_REDIRECTS + 1):
            response = self._get(_split(url), options, deadline)
            location = response.headers.get("location")
            if response.status not in _REDIRECT_STATUSES or not location:
                return response
            url = urljoin(url, location)
        raise InputError(f"Too many redirects (limit {MAX_REDIRECTS}); use the final URL.")

    def _get(
        self,
        url: SplitResult,
        options: RequestOptions,
        deadline: Deadline,
    ) -> Response:
        """Returns the answer for a URL, which may be a redirect."""
        host, port = _host(url), url.port or (443 if url.scheme == "https" else 80)
        origin = url.scheme, host, port
        connections = options.connections
        with self._errors_of(host):
            idle = connections.take(origin, deadline)
            if idle is not None:
                try:
                    response = self._send(idle, url, options)
                except (httpcore.NetworkError, httpcore.ProtocolError):
                    pass  # the host has closed it meanwhile
                else:
                    connections.give_back(origin, idle)
                    return response
            addresses = self._checked_addresses(host, port, deadline)
            connection = Connection(origin, addresses, deadline)
            response = self._send(connection, url, options)
        connections.give_back(origin, connection)
        return response

    def _send(self, connection: Connection, url: SplitResult, options: RequestOptions) -> Response:
        host = _host(url)
        target = quote(f"{url.path or '/'}{'?' if url.query else ''}{url.query}", safe=_UNQUOTED)
        sent = {
            "Host": _host_header(url),
            "Accept": "image/*",
            "Accept-Encoding": "identity",
            "User-Agent": "lookalike",
            **options.headers,
        }
        try:
            with connection.stream(
                "GET",
                httpcore.URL(scheme=url.scheme, host=host, port=url.port, target=target),
                headers=list(sent.items()),
            ) as response:
                return self._read(host, response, options.into)
        except BaseException:
            connection.close()
            raise

    def _read(self, host: str, response: httpcore.Response, into: IO[bytes] | None) -> Response:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        data = bytearray()
        if response.status == 200:
            check_size(int(headers.get("content-length", "1")), self.limits)
            size = 0
            for chunk in response.iter_stream():
                size += len(chunk)
                check_size(size, self.limits)
                if into is None:
                    data += chunk
                else:
                    into.write(chunk)
            check_size(size, self.limits)
        elif response.status == 304:  # has no body; read to its end, the connection stays usable
            response.read()
        return Response(host, response.status, headers, bytes(data))

    @contextmanager
    def _errors_of(self, host: str) -> Iterator[None]:
        """Translates the errors of a connection to a host."""
        try:
            yield
        except httpcore.TimeoutException as error:
            raise self._late(host) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
            raise Unreachable(
                f"{host} cannot be reached, or broke off its answer; check the URL."
            ) from error

    def _checked_addresses(self, host: str, port: int, deadline: Deadline) -> list[str]:
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
            raise Unreachable(
                f"{host} is not a host on the public internet; use a URL that everyone can open."
            )
        return list(addresses)

    def _late(self, host: str) -> Unreachable:
        return Unreachable(
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
    look_up: Callable[[], Sequence[str]], deadline: Deadline
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
