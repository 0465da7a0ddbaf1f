"""The engine of an index that another process has open and shares; see `sharing`."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from lookalike.engines.edge.folder import IndexFolder
from lookalike.engines.edge.messages import pack, result
from lookalike.engines.edge.remote import RemoteEngine
from lookalike.engines.edge.sharing import connect, greet
from lookalike.errors import EngineError
from lookalike.system.framing import receive_bytes, send_bytes
from lookalike.system.processes import OwnProcess
from lookalike.types import Point, Vector, VectorSpec


class _Connection(NamedTuple):
    socket: socket.socket
    requests: IO[bytes]
    replies: IO[bytes]

    def close(self) -> None:
        for one in self:
            with suppress(OSError):  # a request that cannot be sent any more
                one.close()


class EngineClient(RemoteEngine):
    """Implements `protocols.Engine` by calls to the process that has the index open. Thread-safe.

    Args:
        path: the index's folder.
        first: a connection to that process.
    """

    def __init__(self, path: Path, first: socket.socket) -> None:
        self.folder = IndexFolder(path)
        self._process = OwnProcess(f"The index {path}")
        self._closed = False
        self._idle: queue.LifoQueue[_Connection] = queue.LifoQueue()
        self._idle.put(self._opened(first))

    @classmethod
    def to(cls, path: Path) -> EngineClient | None:
        """A client of the process that shares an index; None if none does."""
        first = connect(path)
        return None if first is None else cls(path, first)

    def read_manifest(self) -> Mapping[str, Any] | None:
        manifest: Mapping[str, Any] | None = self._call("read_manifest")
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self._call("write_manifest", dict(manifest))

    def optimize(self) -> None:
        self._call("optimize")

    # --- another vector: see `SubprocessEngine` -----------------------------------------------

    def add_vector(self, spec: VectorSpec) -> None:
        self._call("add_vector", spec)

    def lacking(self, name: str, after: str | None, limit: int) -> list[Point]:
        points: list[Point] = self._call("lacking", name, after, limit)
        return points

    def count_lacking(self, name: str) -> int:
        number: int = self._call("count_lacking", name)
        return number

    def set_vectors(self, name: str, updates: Sequence[tuple[str, str, Vector]]) -> None:
        self._call("set_vectors", name, list(updates))

    def install_vector(self, name: str) -> None:
        self._call("install_vector", name)

    def drop_vector(self, name: str) -> None:
        self._call("drop_vector", name)

    def close(self) -> None:
        """Closes the connections; the index stays open in the other process."""
        self._closed = True
        while not self._idle.empty():
            self._idle.get().close()

    def _call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        self._process.check()
        if self._closed:
            raise EngineError(f"The index {self.folder.path} has been closed; open it again.")
        with self._connection() as connection:
            send_bytes(connection.requests, pack((method, arguments, keywords)))
            reply = receive_bytes(connection.replies)
        return result(reply)

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        """An idle connection or a new one, which is closed if a call is cut off."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._opened(connect(self.folder.path))
        try:
            yield connection
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError | EOFError):
                raise self._gone() from None
            raise
        self._idle.put(connection)

    def _opened(self, opened: socket.socket | None) -> _Connection:
        if opened is None:
            raise self._gone()
        connection = _Connection(opened, opened.makefile("wb"), opened.makefile("rb"))
        try:
            greet(connection.replies, connection.requests)
        except (OSError, EOFError, ValueError):
            connection.close()
            raise self._gone() from None
        except EngineError:
            connection.close()
            raise
        return connection

    def _gone(self) -> EngineError:
        return EngineError(
            f"The service that has the index {self.folder.path} open ended; no confirmed write is "
            "lost, so run the same again."
        )
