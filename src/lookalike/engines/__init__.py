"""Engines, which store points and search them; the address of an index decides which one it uses.

Modules of engines load on demand: a server's client alone takes a second, and is an extra.
"""

from __future__ import annotations

from lookalike.engines.options import ServerOptions
from lookalike.errors import EngineError
from lookalike.protocols import Engine

__all__ = ["ServerOptions", "is_server", "open_engine"]


def is_server(url: str) -> bool:
    """Tells whether an address is a server's; then any number of processes may open the index."""
    return url.startswith(("http://", "https://"))


def open_engine(
    url: str, server: ServerOptions | None = None, *, subprocess: bool = False
) -> Engine:
    """Opens the engine at an address: a folder, or `http(s)://host:6333/collection`.

    Args:
        url: the address.
        server: options of the connection; ignored for a folder.
        subprocess: whether a folder's engine runs in a child process; see `SubprocessEngine`.

    Raises:
        EngineError: the server cannot be used, or its client is not installed.
    """
    if is_server(url):
        return _open_server(url, server or ServerOptions())
    if subprocess:
        from lookalike.engines.edge.process import SubprocessEngine

        return SubprocessEngine(url)
    from lookalike.engines.edge.engine import EdgeEngine

    return EdgeEngine(url)


def _open_server(url: str, options: ServerOptions) -> Engine:
    try:
        from lookalike.engines.server.engine import ServerEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("qdrant_client", "grpc", "httpx"):
            raise
        raise EngineError(
            f"{url} is on a Qdrant server, which needs an extra package: "
            'run `pip install "lookalike[server]"`.'
        ) from error
    return ServerEngine.connect(url, options)
