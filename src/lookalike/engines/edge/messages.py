"""Calls and replies between the processes that share an engine, as pickles.

    to the engine     (method, arguments, keyword arguments)
    and back          (True, result) or (False, error)

Pickles are safe here: both ends are our own. Nobody else can write to the pipes between a parent
and its child, and each end of a socket checks that the other is of the same user (see `sharing`).
"""

from __future__ import annotations

import copyreg
import io
import pickle
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from lookalike.errors import EngineError

BATCH = 64
"""Points that one call writes or copies: no other call waits longer than that takes."""


def pack(message: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(message)
    return buffer.getvalue()


def unpack(message: bytes) -> Any:
    return pickle.loads(message)  # noqa: S301  our own, see above


def pack_error(error: Exception) -> bytes:
    """The reply to a call that failed."""
    try:
        packed = pack((False, error))
        unpack(packed)
    except Exception:  # it cannot be pickled, for example as its __init__ takes other arguments
        return pack((False, EngineError(f"{type(error).__name__}: {error}")))
    return packed


def result(reply: bytes) -> Any:
    """The result in a reply.

    Raises:
        Exception: the call failed; this is its error.
    """
    succeeded, value = unpack(reply)
    if succeeded:
        return value
    raise value


def _uuid(value: int) -> uuid.UUID:
    return uuid.UUID(int=value)


class _Pickler(pickle.Pickler):
    # A reply may name hundreds of points. As integers, UUIDs take a third of the usual time.
    dispatch_table: Mapping[type[Any], Callable[[Any], Any]] = {
        **copyreg.dispatch_table,
        uuid.UUID: lambda id: (_uuid, (id.int,)),
    }
