"""Calls and replies between the engine's parent and child processes, as pickles.

    parent -> child   (method, arguments, keyword arguments)
    child -> parent   (True, result) or (False, error)

Pickles are safe here: both ends are our own, and nobody else can write to the pipes between them.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import uuid
from collections.abc import Callable, Mapping
from typing import Any


def pack(message: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(message)
    return buffer.getvalue()


def unpack(message: bytes) -> Any:
    return pickle.loads(message)  # noqa: S301  our own, see above


def _uuid(value: int) -> uuid.UUID:
    return uuid.UUID(int=value)


class _Pickler(pickle.Pickler):
    # A reply may name hundreds of points. As integers, UUIDs take a third of the usual time.
    dispatch_table: Mapping[type[Any], Callable[[Any], Any]] = {
        **copyreg.dispatch_table,
        uuid.UUID: lambda id: (_uuid, (id.int,)),
    }
