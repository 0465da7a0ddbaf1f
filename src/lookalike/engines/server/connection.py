"""The connection to a server: its address, its protocol, its version."""

from __future__ import annotations

import warnings
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]
from qdrant_client import QdrantClient
from qdrant_client import grpc as protocol

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.errors import Caller
from lookalike.errors import EngineError

LEAST_VERSION = (1, 19)
"""The oldest server that qdrant-client 1.20 supports, and the first with the `memory` settings."""
PROBE = 2.0
"""Seconds that a server has to answer over gRPC."""


def connect(url: str, options: ServerOptions) -> tuple[QdrantClient, str, str]:
    """Connects to a server.

    Returns:
        The client, the collection's name, and the complete address without credentials.

    Raises:
        EngineError: the address is not valid, no server answers there, or it is too old.
    """
    server, collection, grpc_port = _address(url, options)
    with warnings.catch_warnings():  # about keys over http://, which is the user's choice
        warnings.simplefilter("ignore")
        client = QdrantClient(
            url=server,
            prefer_grpc=grpc_port is not None and _speaks_grpc(server, grpc_port),
            grpc_port=grpc_port or 0,
            api_key=options.api_key,
            timeout=options.timeout,
            check_compatibility=False,  # it would print from another thread
        )
    url = f"{server}/{collection}"
    try:
        _check_version(url, Caller(url, options).once(client.info).version)
    except EngineError:
        client.close()
        raise
    return client, collection, url


def _check_version(url: str, version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise EngineError(
            f"{url} runs Qdrant {version}, but lookalike needs {least} or newer; upgrade the "
            "server."
        )


def _address(url: str, options: ServerOptions) -> tuple[str, str, int | None]:
    """Splits an address into server, collection and gRPC port; no port where gRPC is ruled out."""
    try:
        parts = urlsplit(url)
        port = parts.port or 6333
    except ValueError as error:
        raise EngineError(
            f"{url} is not a valid address ({error}); write it like `http://host:6333/name`."
        ) from None
    prefix, _, collection = parts.path.strip("/").rpartition("/")
    if not parts.hostname or not collection:
        raise EngineError(
            f"{url} does not name a collection; write it like `http://host:6333/name`."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    server = f"{parts.scheme}://{host}:{port}" + (f"/{prefix}" if prefix else "")
    grpc_port = (options.grpc_port or port + 1) if options.grpc and not prefix else None
    return server, collection, grpc_port


def _speaks_grpc(server: str, port: int) -> bool:
    parts = urlsplit(server)
    target = f"{parts.netloc.rpartition(':')[0]}:{port}"
    if parts.scheme == "https":
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials())
    else:
        channel = grpc.insecure_channel(target)
    try:
        stub = protocol.QdrantStub(channel)  # type: ignore[no-untyped-call]
        stub.HealthCheck(protocol.HealthCheckRequest(), timeout=PROBE)
    except grpc.RpcError as error:
        refused = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        return error.code() in refused  # it speaks gRPC and requires a key
    finally:
        channel.close()
    return True
