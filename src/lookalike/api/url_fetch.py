"""Fetching an image by URL, for a server that must not be made to reach into its own network.

A name is resolved once, every address of it is checked, and the connection is made to an address
that was checked: a name that answers differently a moment later (DNS rebinding) gains nothing.
Redirects are followed by hand, each hop checked like the first. What is inside is never connected
to, and an address that is refused reads the same as a name that does not exist, so nothing is told
of it. Proxies of the environment are not used: they would connect to what they like.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from lookalike.errors import InputError
from lookalike.imaging.decode import check_size
from lookalike.types import DecodeLimits

PORTS = (80, 443)
REDIRECTS = 3
SECONDS = 10.0
"""For all of it: resolving, connecting, redirects, and the last byte."""
BLOCK = 64 * 1024
"""Bytes read at a time."""

Address: TypeAlias = IPv4Address | IPv6Address
Resolve: TypeAlias = Callable[[str], Sequence[str]]
"""The addresses of a host's name. Raises OSError where it has none."""

_NOT_PUBLIC = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; one cloud's metadata lie here
    IPv4Network("192.88.99.0/24"),  # once the way into 6to4
    IPv4Network("168.63.129.16/32"),  # one cloud's own services, at a public address
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE = "!#$%&'()*+,/:;=?@[]~"
"""What stands for itself in a path or a query."""


def resolve(host: str) -> list[str]:
    """The addresses of a name, by the system's resolver."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address belongs to somebody on the internet, as far as the address itself says.

    An IPv4 address within an IPv6 one (mapped, 6to4, Teredo, NAT64) counts as itself.
    """
    try:
        return _is_public(ip_address(address))
    except ValueError:  # such as one with a zone, which is link-local
        return False


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner:
            return all(map(_is_public, inner))
        if address not in _GLOBAL_UNICAST:
            return False
    elif any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _embedded(address: IPv6Address) -> Sequence[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    one = address.ipv4_mapped or address.sixtofour
    return (one,) if one else address.teredo or ()


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches images from the internet, and from nowhere else.

    Attributes:
        limits: files that are larger are refused, at the first byte too many.
        seconds: for all of it.
        ports: that may be asked.
        allowed: addresses with ports that may be asked although they are not public.
        resolve: finds the addresses of a name.
    """

    limits: DecodeLimits = field(default_factory=DecodeLimits)
    seconds: float = SECONDS
    ports: Collection[int] = PORTS
    allowed: Collection[tuple[str, int]] = ()
    resolve: Resolve = resolve

    def fetch(self, url: str) -> bytes:
        """The bytes at an address. What they are is the decoder's to say.

        Raises:
            ImageRejected: there are none, or too many.
            InputError: no such address may be fetched, or nobody there answers in time.
        """
        deadline = time.monotonic() + self.seconds
        for _ in range(REDIRECTS + 1):
            answer = self._get(_split(url), deadline)
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise InputError(
            f"The address leads on more than {REDIRECTS} times: give the one that it ends at."
        )

    def _get(self, url: SplitResult, deadline: float) -> bytes | str:
        """The bytes of an answer, or where it leads on to."""
        host, port = _host(url), url.port or (443 if url.scheme == "https" else 80)
        addresses = self._checked(host, port, deadline)
        connection = _Connection(host, port, addresses, url.scheme == "https", deadline)
        target = quote(f"{url.path or '/'}{'?' if url.query else ''}{url.query}", safe=_SAFE)
        headers = {
            "Host": url.netloc.encode("idna").decode(),
            "Accept": "image/*",
            "Accept-Encoding": "identity",
            "User-Agent": "lookalike",
        }
        try:
            connection.request("GET", target, headers=headers)
            return self._read(host, connection.getresponse(), deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline:
                raise self._late(host) from error
            raise InputError(f"{host} cannot be reached: see whether the address is right.") from (
                error
            )
        finally:
            connection.end()

    def _read(self, host: str, response: http.client.HTTPResponse, deadline: float) -> bytes | str:
        if response.status in _REDIRECTS and (location := response.getheader("Location")):
            return location
        if response.status != 200:
            raise InputError(
                f"{host} answers {response.status} instead of an image: give another address."
            )
        check_size(response.length if response.length is not None else 1, self.limits)
        data = bytearray()
        while block := response.read(BLOCK):
            data += block
            check_size(len(data), self.limits)
        if time.monotonic() >= deadline:  # it was cut off, which may look like the end
            raise self._late(host)
        check_size(len(data), self.limits)
        return bytes(data)

    def _checked(self, host: str, port: int, deadline: float) -> list[str]:
        """The addresses of a host, all of which may be asked."""
        addresses = _in_time(lambda: self.resolve(host), deadline)
        if addresses is None:
            raise self._late(host)
        for address in addresses:
            if (address, port) not in self.allowed:
                if not is_public(address):
                    addresses = []  # one bad address spoils the name
                    break
                if port not in self.ports:
                    raise InputError(
                        f"Images are fetched from port {' or '.join(map(str, self.ports))}, "
                        f"not from {port}: give another address."
                    )
        if not addresses:
            raise InputError(
                f"{host} is no host on the public internet: give an address that everyone can open."
            )
        return list(addresses)

    def _late(self, host: str) -> InputError:
        return InputError(
            f"{host} did not deliver within {self.seconds:g} s: try again, or send the image."
        )


def _split(url: str) -> SplitResult:
    """An address in its parts.

    Raises:
        InputError: it is none that may be fetched.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        _host(parts).encode("idna")
    except ValueError:
        parts, port = urlsplit(""), None
    plain = url.isprintable() and not any(sign in url for sign in ' \\"<>^`{|}')
    if not plain or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InputError("Only http:// and https:// addresses are fetched: give a whole one.")
    if "@" in parts.netloc or "%" in parts.netloc:
        raise InputError("An address with a user name or a password in it is not fetched.")
    return parts


def _host(url: SplitResult) -> str:
    """The host's name as it goes over the wire."""
    return (url.hostname or "").encode("idna").decode()


def _in_time(look_up: Callable[[], Sequence[str]], deadline: float) -> Sequence[str] | None:
    """What a name resolves to, none for a name that does not; None where it takes too long. The
    system's resolver has no time limit of its own, so it is left behind."""
    found: list[Sequence[str]] = []

    def run() -> None:
        try:
            found.append(look_up())
        except (OSError, UnicodeError):
            found.append(())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    return found[0] if found else None


class _Connection(http.client.HTTPConnection):
    """A connection to addresses that were checked, whatever the name may mean by now; cut off at
    the deadline, so that a sender who drips gains nothing."""

    def __init__(
        self, host: str, port: int, addresses: Sequence[str], secure: bool, deadline: float
    ) -> None:
        super().__init__(host, port)
        self._addresses = addresses
        self._secure = secure
        self._deadline = deadline
        self._watched: socket.socket | None = None
        self._cut: threading.Timer | None = None

    def connect(self) -> None:
        plain = self._reach()
        self._watched = plain.dup()
        self._cut = threading.Timer(self._left(), _cut_off, (self._watched,))
        self._cut.daemon = True
        self._cut.start()
        plain.settimeout(self._left())
        if self._secure:
            # The certificate is checked against the name, not against the address.
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
        else:
            self.sock = plain

    def end(self) -> None:
        """Not `close`, which the base class calls as soon as the last answer has begun."""
        self.close()
        if self._cut is not None and self._watched is not None:
            self._cut.cancel()
            self._watched.close()

    def _reach(self) -> socket.socket:
        """The first of the addresses that answers."""
        failed: OSError | None = None
        for address in self._addresses:
            try:
                return socket.create_connection((address, self.port), self._left())
            except OSError as error:
                failed = error
        raise failed or OSError

    def _left(self) -> float:
        """Seconds, more than none: 0 would mean not to wait at all."""
        return max(0.001, self._deadline - time.monotonic())


def _cut_off(connection: socket.socket) -> None:
    with suppress(OSError):  # it may be over already
        connection.shutdown(socket.SHUT_RDWR)
