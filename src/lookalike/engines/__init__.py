"""Engines, which store points and search them; the address of an index decides which one it uses.

Modules of engines load on demand: a server's client alone takes a second, and is an extra.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lookalike.engines.options import ServerOptions
from lookalike.errors import EngineError, IndexLocked, InputError
from lookalike.protocols import Engine

__all__ = [
    "MEMORY",
    "ServerOptions",
    "is_server",
    "open_engine",
    "require_lasting",
    "share",
]

MEMORY = ":memory:"
"""Address of an index that goes with its process."""

_PAUSE = 0.1
"""Seconds between two attempts to take the lock of an index."""


def is_server(url: str) -> bool:
    """Tells whether an address is a server's; then any number of processes may open the index."""
    return url.startswith(("http://", "https://"))


def require_lasting(url: str) -> None:
    """Raises InputError for the address of an index that would go with this process."""
    if url == MEMORY:
        raise InputError(
            f"An index in memory ({MEMORY}) is gone with the process that opens it, in Python by "
            "`Index.open`: name a folder, or the address of a collection."
        )


def open_engine(
    url: str,
    server: ServerOptions | None = None,
    *,
    subprocess: bool = False,
    wait: float = 0.0,
    salvage: bool = False,
) -> Engine:
    """Opens the engine at an address: a folder, or `http(s)://host:6333/collection`.

    An index in a folder that another process shares is used through that process.

    Args:
        url: the address.
        server: options of the connection; ignored for a folder.
        subprocess: whether a folder's engine runs in a child process; see `SubprocessEngine`.
        wait: seconds to wait for another process that has the index open and does not share it.
        salvage: whether a damaged index opens all the same, for reading what is left.

    Raises:
        InputError: the address is that of an index in memory, whose folder `opening` makes.
        EngineError: the server cannot be used, or its client is not installed.
        IndexLocked: another process still has the index open.
    """
    require_lasting(url)
    if is_server(url):
        return _open_server(url, server or ServerOptions())
    until = time.monotonic() + wait
    while True:
        try:
            return _open_folder(Path(url), subprocess=subprocess, salvage=salvage)
        except IndexLocked as error:
            if error.own_process or time.monotonic() >= until:
                raise
        time.sleep(_PAUSE)


def share(engine: Engine, on_manifest: Callable[[], None]) -> None:
    """Lets other processes of this user use an open index, if its engine runs in a child process.

    Args:
        engine: has the index open.
        on_manifest: called after another process has changed the manifest.
    """
    from lookalike.engines.edge.process import SubprocessEngine

    if isinstance(engine, SubprocessEngine):
        engine.share(on_manifest)


def _open_folder(path: Path, *, subprocess: bool, salvage: bool) -> Engine:
    from lookalike.engines.edge.client import EngineClient

    if not subprocess and (client := EngineClient.to(path)):
        return client
    from lookalike.engines.edge.engine import EdgeEngine
    from lookalike.engines.edge.process import SubprocessEngine

    # Reading what damage has left can kill the process.
    child = subprocess or salvage
    engine = SubprocessEngine(path, salvage=salvage) if child else EdgeEngine(path)
    try:
        engine.acquire()
    except BaseException:
        engine.close()
        raise
    return engine


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
