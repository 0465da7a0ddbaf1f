"""Engines: where points live. One file each, opened by the address of the index."""

from __future__ import annotations

import importlib
import uuid

from lookalike.errors import EngineError
from lookalike.protocols import Engine

_NAMESPACE = uuid.UUID("6f6b1f5e-0f9c-5c1b-8f0e-6c6f6f6b616c")


def point_id(id: str) -> uuid.UUID:
    """The engine's id of an image: UUIDv5 of its string id, the same in every engine.

    A shell may hand over bytes that are no UTF-8; no image has such an id, and asking is no error.
    """
    return uuid.uuid5(_NAMESPACE, id.encode("utf-8", "backslashreplace").decode())


def open_engine(url: str) -> Engine:
    """The engine for an index address: a folder is embedded, `http(s)://…` is a server.

    Raises:
        EngineError: the address is a server's, and this version has no server engine.
    """
    if url.startswith(("http://", "https://")):
        raise EngineError(
            f"{url} is a server's address, and this version keeps indexes in folders only: "
            "give a folder."
        )
    module = importlib.import_module("lookalike.engines.edge")
    engine: Engine = module.EdgeEngine(url)
    return engine
