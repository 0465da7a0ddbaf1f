"""A child of a `HostedEngine`: holds the embedded engine, and does what its parent asks for, one
call after the other.

Each message is a pickle behind its length; both ends are our own and nobody else can write there.

    parent -> child   (method, arguments, named arguments)
    child -> parent   (True, result) or (False, error)

When the parent hangs up the child ends at once, without a flush: every write that it has
acknowledged would survive worse, and whoever opens the index next need not wait.
"""

from __future__ import annotations

import copyreg
import io
import json
import os
import pickle
import select
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import qdrant_edge as qe

from lookalike.engines.edge.engine import EdgeEngine, bytes_on_disk
from lookalike.errors import EngineError
from lookalike.types import FieldType, point_id

__all__ = ["main", "pack", "receive", "send", "unpack"]

UNINDEXED_KB = 10_000
"""Kilobytes of a vector's unindexed elements from which on Edge gives them a graph of their own."""
UNINDEXED_SHARE = 0.05
"""Share of the points up to which scanning the unindexed ones costs less than it is worth: a build
makes the whole graph anew."""

_NICENESS = 19

_FIELD_TYPES = {
    qe.PayloadSchemaType.Integer: FieldType.INTEGER,
    qe.PayloadSchemaType.Float: FieldType.FLOAT,
    qe.PayloadSchemaType.Bool: FieldType.BOOLEAN,
    qe.PayloadSchemaType.Datetime: FieldType.DATETIME,
    qe.PayloadSchemaType.Keyword: FieldType.KEYWORD,
}


class Host(EdgeEngine):
    """The engine, and what moves points from one generation of an index to the next."""

    def fields(self) -> dict[str, FieldType]:
        """The payload indexes there are."""
        with self._translated():
            schema = self.shard.info().payload_schema
        return {path: _field_type(info.data_type) for path, info in schema.items()}

    def worth_a_build(self, written: int) -> bool:
        """Whether enough points have no graph for a new one to pay.

        Args:
            written: points written since the last build that is known of. The engine itself does
                not tell how many of those in its graph have been replaced since.
        """
        with self._translated():
            info = self.shard.info()
        sizes = self._vector_bytes()
        beyond_graph = info.points_count - info.indexed_vectors_count // len(sizes)
        unindexed = min(max(beyond_graph, written), info.points_count)
        least = max(UNINDEXED_KB * 1024 / max(sizes), UNINDEXED_SHARE * info.points_count)
        return unindexed >= least

    def copy_from(self, offset: qe.PointId | None, limit: int) -> tuple[bytes, qe.PointId | None]:
        """A frame of points for another generation's `take`, and where the next begins."""
        with self._translated():
            records, offset = self.shard.scroll(
                qe.ScrollRequest(offset=offset, limit=limit, with_payload=True, with_vector=True)
            )
        return _frame(records), offset

    def copy_of(self, ids: Sequence[str]) -> bytes:
        """The same of these points as they are now, gone ones included."""
        wanted: list[qe.PointId] = [point_id(id) for id in ids]
        with self._translated():
            records = self.shard.retrieve(wanted, True, True)
        there = {record.id for record in records}
        return _frame(records, [id for id in wanted if id not in there])

    def take(self, frame: bytes) -> None:
        """Writes what another generation gave."""
        points, gone = pickle.loads(frame)  # noqa: S301  our own
        self.require_space(4 * len(frame))
        if points:
            self._update(
                qe.UpdateOperation.upsert_points(
                    [
                        qe.Point(id, {name: one.tolist() for name, one in vectors.items()}, payload)
                        for id, vectors, payload in points
                    ]
                )
            )
        if gone:
            self._update(qe.UpdateOperation.delete_points(gone))

    def flush(self) -> None:
        with self._translated():
            self.shard.flush()

    def warm_up(self) -> None:
        """Reads the shard's segments, so that the system has them in memory: who built or closed
        them has told it to forget them, and searches would wait for the disk many times over.

        Those that take more than half of the memory are left alone: they would push each other out.
        """
        segments = self.shard_folder / "segments"
        if hasattr(os, "sysconf"):
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            if bytes_on_disk(segments) < memory // 2:
                for folder, _, names in os.walk(segments):
                    for name in names:
                        _read_through(Path(folder) / name)

    def build(self) -> None:
        """Builds the graph and lets go of the shard."""
        self.require_space(bytes_on_disk(self.shard_folder))
        with _ended_with_parent(), self._translated():
            self.shard.optimize()
            self.shard.flush()
            self.shard.close()
        self._shard = None

    def _vector_bytes(self) -> list[int]:
        """Bytes of one point's vectors."""
        config = self.shard_folder / "edge_config.json"
        try:
            vectors = json.loads(config.read_text(encoding="utf-8"))["vectors"].values()
            return [one["size"] * (1 if one.get("datatype") == "uint8" else 4) for one in vectors]
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(f"{config} cannot be read: {error}.") from error


def main() -> None:
    """Answers calls until the parent hangs up."""
    settings = json.loads(sys.argv[1])
    # Both are for the parent to handle: it still has calls to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if settings["background"]:
        _stand_back()
    requests, replies = os.fdopen(0, "rb", closefd=False), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    engine = Host(**settings["engine"])
    if not settings["background"]:
        threading.Thread(target=engine.warm_up, daemon=True).start()
    with suppress(EOFError, BrokenPipeError):
        while True:
            method, arguments, named = unpack(receive(requests))
            try:
                reply = pack((True, getattr(engine, method)(*arguments, **named)))
            except Exception as error:
                reply = _packed_error(error)
            send(replies, reply)
    os._exit(0)


def _stand_back() -> None:
    """Has every other process go first."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    # Linux may weigh sessions against each other, sched(7), and this process has one to itself.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS), encoding="ascii")


def _read_through(file: Path) -> None:
    buffer = bytearray(2**20)
    with suppress(OSError), file.open("rb", buffering=0) as opened:  # it may be gone meanwhile
        while opened.readinto(buffer):
            pass


def _packed_error(error: Exception) -> bytes:
    try:
        packed = pack((False, error))
        unpack(packed)
    except Exception:  # one that does not come through, such as with arguments of its own
        return pack((False, EngineError(f"{type(error).__name__}: {error}")))
    return packed


def _frame(records: Sequence[qe.Record], gone: Sequence[qe.PointId] = ()) -> bytes:
    points = []
    for record in records:
        vectors: Any = record.vector or {}
        arrays = {name: np.asarray(one, np.float32) for name, one in vectors.items()}
        points.append((record.id, arrays, record.payload or {}))
    return pack((points, list(gone)))


def _field_type(type: qe.PayloadSchemaType) -> FieldType:
    return next(ours for theirs, ours in _FIELD_TYPES.items() if theirs == type)


@contextmanager
def _ended_with_parent() -> Iterator[None]:
    """Has the kernel kill this process when the parent hangs up meanwhile: within the engine's
    long calls, which hold the interpreter lock, nothing in here can see it."""
    if sys.platform == "win32":  # there it ends after the call
        yield
        return
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:  # it did so just before
        os._exit(0)
    try:
        yield
    finally:
        fcntl.fcntl(0, fcntl.F_SETFL, flags)


# --- the conversation -------------------------------------------------------------------------


def _uuid(value: int) -> uuid.UUID:
    return uuid.UUID(int=value)


class _Pickler(pickle.Pickler):
    # An answer may name hundreds of points: so they take a third of the time.
    dispatch_table: Mapping[type[Any], Callable[[Any], Any]] = {
        **copyreg.dispatch_table,
        uuid.UUID: lambda id: (_uuid, (id.int,)),
    }


def pack(message: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(message)
    return buffer.getvalue()


def unpack(message: bytes) -> Any:
    return pickle.loads(message)  # noqa: S301  our own


def send(stream: IO[bytes], message: bytes) -> None:
    stream.write(len(message).to_bytes(8, "big") + message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """The next message.

    Raises:
        EOFError: there is none.
    """
    prefix = stream.read(8)
    size = int.from_bytes(prefix, "big")
    message = stream.read(size) if len(prefix) == 8 else b""
    if len(prefix) < 8 or len(message) < size:
        raise EOFError
    return message
