"""Engines: where points live. One file each, opened by the address of the index."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np

from lookalike import record
from lookalike.engines.options import ServerOptions
from lookalike.errors import EngineError
from lookalike.protocols import Engine
from lookalike.types import Point

UNIQUE_FIELDS = frozenset(
    {
        record.URI,
        record.SHA256,
        record.PHASH,
        record.COPY_OF,
        record.NOT_DUPLICATES,
        record.KEEP_ALL,
    }
)
"""Indexed fields whose values differ from point to point: a value links no two points, so a search
graph over them would be work for nothing, and they are asked for too seldom to stay in RAM."""


def check_vectors(points: Sequence[Point]) -> None:
    """Refuses what Qdrant would take without a word, and rank by.

    Raises:
        EngineError: a vector with NaN or infinity, or one of float32 that is zero.
    """
    for point in points:
        for name, vector in point.vectors.items():
            if vector.dtype == np.float32 and 0 < np.dot(vector, vector) < np.inf:
                continue  # as nearly all are, told in a tenth of the time
            if not np.isfinite(vector).all():
                raise EngineError(f"The {name!r} vector of {point.id!r} has NaN or infinity in it.")
            if vector.dtype == np.float32 and not vector.any():
                raise EngineError(f"The {name!r} vector of {point.id!r} is zero.")


def is_server(url: str) -> bool:
    """Whether an index address is a server's, where any number of processes may open it."""
    return url.startswith(("http://", "https://"))


def open_engine(url: str, server: ServerOptions | None = None, *, hosted: bool = False) -> Engine:
    """The engine for an index address: a folder is embedded, `http(s)://host:6333/collection` is
    a collection on a server.

    Args:
        url: the address.
        server: how to speak to a server; a folder has no use for it.
        hosted: whether a folder's engine gets a process of its own; see `HostedEngine`.

    Raises:
        EngineError: the server cannot be used, or what it takes is not installed.
    """
    if not is_server(url):
        name = "process" if hosted else "engine"
        module = importlib.import_module(f"lookalike.engines.edge.{name}")
        embedded: Engine = module.HostedEngine(url) if hosted else module.EdgeEngine(url)
        return embedded
    try:
        module = importlib.import_module("lookalike.engines.server.engine")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("qdrant_client", "grpc", "httpx"):
            raise
        raise EngineError(
            f"{url} is on a server, and that takes one more package: "
            'run `pip install "lookalike[server]"`.'
        ) from error
    engine: Engine = module.ServerEngine.connect(url, server or ServerOptions())
    return engine
