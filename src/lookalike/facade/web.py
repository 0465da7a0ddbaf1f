"""Opening of images on the web that metadata names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from lookalike.errors import InputError
from lookalike.ingest.run import AddRequest, OpenWeb
from lookalike.types import DecodeLimits


@contextmanager
def web_opener(request: AddRequest, limits: DecodeLimits) -> Iterator[OpenWeb | None]:
    """The function that opens the addresses in metadata; None if they are not to be fetched.

    Raises:
        InputError: a library is not installed, or a private host is not valid.
    """
    if not request.fetch:
        yield None
        return
    try:
        from lookalike.sources.web.fetcher import PORTS, Fetcher
        from lookalike.sources.web.hosts import Hosts
        from lookalike.sources.web.source import WebImages
    except ModuleNotFoundError:
        raise InputError(
            "Fetching images needs a library: pip install 'lookalike[fetch]'."
        ) from None
    allowed = frozenset(_private(request.private))
    ports = {*PORTS, *(port for _, port in allowed)}
    hosts = Hosts(Fetcher(limits, allowed=allowed, ports=ports))
    try:
        yield lambda table: WebImages(table, hosts, recheck=request.recheck)
    finally:
        hosts.close()


def _private(hosts: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The addresses and ports of hosts in a private network."""
    for host in hosts:
        try:
            parts = urlsplit(f"http://{host}")
            address = str(ip_address(parts.hostname or ""))
            if parts.port is None or "@" in host or parts.netloc != host:
                raise ValueError(host)
        except ValueError:
            raise InputError(
                f"{host} is not an IP address with a port: write it as 10.0.0.5:8080."
            ) from None
        yield address, parts.port
