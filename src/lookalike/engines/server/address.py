"""Addresses of collections: `http://a:6333,b:6333,c:6333/shop` names one on several nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from lookalike.engines.options import ServerOptions
from lookalike.errors import EngineError


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """The address of one node.

    Attributes:
        server: scheme, host, port and prefix.
        host: the host, an IPv6 address in brackets.
        grpc_port: its port of gRPC; None where gRPC is ruled out.
    """

    server: str
    host: str
    grpc_port: int | None

    @property
    def tls(self) -> bool:
        """Tells if the connection is encrypted."""
        return self.server.startswith("https:")


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a collection.

    Attributes:
        nodes: the nodes to ask, any of which answers for the whole cluster.
        collection: the collection's name.
        shown: the complete address without credentials.
    """

    nodes: Sequence[NodeAddress]
    collection: str
    shown: str


def parse_address(url: str, options: ServerOptions) -> Address:
    """Splits an address into nodes and collection.

    Raises:
        EngineError: the address is not valid.
    """
    try:
        parts = urlsplit(url)
        scheme, path = parts.scheme, parts.path
        hosts = [urlsplit(f"{scheme}://{one}") for one in parts.netloc.split(",")]
        ports = [host.port or 6333 for host in hosts]
    except ValueError as error:
        raise EngineError(
            f"{url} is not a valid address ({error}); write it like `http://host:6333/name`."
        ) from None
    prefix, _, name = path.strip("/").rpartition("/")
    if not name or not all(host.hostname for host in hosts):
        raise EngineError(
            f"{url} does not name a collection; write it like `http://host:6333/name`, or with "
            "several nodes `http://a:6333,b:6333/name`."
        )
    above = f"/{prefix}" if prefix else ""
    nodes = []
    for host, port in zip(hosts, ports, strict=True):
        literal = f"[{host.hostname}]" if ":" in str(host.hostname) else str(host.hostname)
        grpc_port = (options.grpc_port or port + 1) if options.grpc and not prefix else None
        nodes.append(NodeAddress(f"{scheme}://{literal}:{port}{above}", literal, grpc_port))
    netloc = ",".join(urlsplit(node.server).netloc for node in nodes)
    collection = unquote(name)
    shown = f"{scheme}://{netloc}{above}/{quote(collection, safe='')}"
    return Address(list(dict.fromkeys(nodes)), collection, shown)
