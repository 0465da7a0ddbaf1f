"""Sharing of an open index: the process that has it open serves others of the same user.

Only one process at a time can load a shard. A service keeps its index open for weeks, so it also
listens on a socket in the index's folder, `engine.sock`, and other processes call its engine there
instead of loading the shard. The socket is for its owner alone, by its permissions and by a check
of the user at the other end.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from lookalike.engines.edge.messages import pack, pack_error, unpack
from lookalike.errors import EngineError
from lookalike.system.framing import receive_bytes, receive_json, send_bytes, send_json

SOCKET = "engine.sock"
METHODS = frozenset(
    {
        "add_vector",
        "amend",
        "bounds",
        "count",
        "count_lacking",
        "create_field_index",
        "delete",
        "drop_vector",
        "facet",
        "info",
        "install_vector",
        "lacking",
        "nearest",
        "optimize",
        "ordered",
        "page",
        "problems",
        "query",
        "read_manifest",
        "retrieve",
        "set_payload",
        "set_payloads",
        "set_vectors",
        "upsert",
        "write_manifest",
    }
)
"""Methods of an engine that other processes may call."""

_LONGEST = 100
"""Bytes of the longest path that every system takes for a socket."""


class SharedEngine:
    """Serves an engine to other processes until it is closed.

    Args:
        engine: a thread-safe engine that has the index open.
        folder: the index.
        on_manifest: called after another process has changed the manifest.
    """

    def __init__(self, engine: Any, folder: Path, on_manifest: Callable[[], None]) -> None:
        self._engine = engine
        self._path = folder / SOCKET
        self._on_manifest = on_manifest
        self._connections: set[socket.socket] = set()
        self._closed = False
        self._path.unlink(missing_ok=True)  # left by a process that was killed
        self._listener = socket.socket(socket.AF_UNIX)
        with _address(self._path) as address:
            self._listener.bind(address)
        self._path.chmod(0o600)  # nobody can connect before `listen`
        self._listener.listen(64)
        threading.Thread(target=self._accept, name="sharing", daemon=True).start()

    def close(self) -> None:
        """Ends all connections. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        with suppress(OSError):
            self._path.unlink()
        for connection in (self._listener, *tuple(self._connections)):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                continue
            self._connections.add(connection)
            threading.Thread(
                target=self._serve, args=(connection,), name="shared engine", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError, ValueError), connection:
            if not is_own_user(connection):
                return
            with connection.makefile("rb") as requests, connection.makefile("wb") as replies:
                greet(requests, replies)
                while not self._closed:
                    send_bytes(replies, self._reply(receive_bytes(requests)))
        self._connections.discard(connection)

    def _reply(self, request: bytes) -> bytes:
        try:
            method, arguments, keywords = unpack(request)
            if method not in METHODS:
                raise EngineError(f"Other processes cannot call {method!r}.")
            result = getattr(self._engine, method)(*arguments, **keywords)
            if method == "write_manifest":
                self._on_manifest()
            return pack((True, result))
        except Exception as error:
            return pack_error(error)


def connect(folder: Path) -> socket.socket | None:
    """Connects to the process that shares an index; None if none does."""
    path = folder / SOCKET
    if not hasattr(socket, "AF_UNIX"):
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        if path.stat().st_uid in (os.geteuid(), 0):
            with _address(path) as address:
                connection.connect(address)
            if is_own_user(connection):
                return connection
    except OSError:
        pass  # there is none, or the process that left it is gone
    connection.close()
    return None


def greet(received: IO[bytes], sent: IO[bytes]) -> None:
    """Makes sure that both ends are of the same version, whose pickles are the same.

    Raises:
        EngineError: they are not.
    """
    own = version("lookalike")
    send_json(sent, {"lookalike": own})
    other = receive_json(received).get("lookalike")
    if other != own:
        raise EngineError(
            f"The index is served by lookalike {other}, and this is {own}; restart the service, or "
            "use its version."
        )


def is_own_user(connection: socket.socket) -> bool:
    """Tells whether the process at the other end belongs to this user, or to root."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the permissions of the socket must do
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack("3i", credentials)
    return user in (os.geteuid(), 0)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A path that a socket can have: the system allows 107 bytes at most."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
