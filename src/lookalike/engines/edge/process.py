"""The embedded engine in a child process: for a service, which must stay responsive.

Every call of Qdrant Edge holds the GIL until it returns, the one that builds the search graph for
minutes. Here the engine has an interpreter to itself, and yet another process builds the graph, on
a copy: the next generation of the index (see `generations`).
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.engines.edge import generations
from lookalike.engines.edge.engine_process import EngineProcess
from lookalike.engines.edge.folder import RESERVE, IndexFolder, bytes_on_disk
from lookalike.engines.edge.messages import pack, result
from lookalike.engines.edge.rebuild import BATCH, Rebuild
from lookalike.engines.points import check_vectors
from lookalike.errors import EngineError
from lookalike.system.locks import TicketLock
from lookalike.types import (
    CandidateQuery,
    Candidates,
    FieldType,
    Filter,
    Payload,
    Point,
    Query,
    Scored,
    VectorSpec,
)

__all__ = ["SubprocessEngine"]

_READ_BATCH = 256
"""Points that one call reads: no other call waits longer than that takes."""
_WRITE_DELAY = 0.05
"""Seconds that each write waits while the last ones are replayed, so that the replay catches up."""


class SubprocessEngine:
    """Implements `protocols.Engine` by an embedded engine in a child process. Thread-safe.

    If the child dies during a call (killed, or the disk filled under it), the call raises an
    `EngineError`, the next call starts another child, and nothing acknowledged is lost. If this
    process dies, its children end by themselves.

    Args:
        path: the index's folder; it need not exist yet.
        reserve: free bytes that must remain before a write.
    """

    def __init__(self, path: str | Path, *, reserve: int = RESERVE) -> None:
        self.folder = IndexFolder(path, reserve=reserve)
        self._lock = TicketLock()
        self._live: EngineProcess | None = None
        self._rebuild: Rebuild | None = None
        self._written = 0  # points since the last build
        self._recent_reads: dict[str, bytes] = {}  # the last request, by method
        self._optimizing = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False

    # --- the folder -------------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        return self.folder.read_manifest()

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self.folder.write_manifest(manifest)

    def create(self, vectors: Sequence[VectorSpec]) -> None:
        self._call("create", list(vectors))

    # --- writing ----------------------------------------------------------------------------

    def create_field_index(self, path: str, type: FieldType) -> None:
        self._call("create_field_index", path, type)

    def upsert(self, points: Sequence[Point]) -> None:
        check_vectors(points)
        for start in range(0, len(points), BATCH):
            batch = list(points[start : start + BATCH])
            self._write([point.id for point in batch], "upsert", batch)

    def delete(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), BATCH):
            batch = list(ids[start : start + BATCH])
            self._write(batch, "delete", batch)

    def set_payload(self, id: str, fields: Payload) -> None:
        self._write([id], "set_payload", id, dict(fields))

    # --- reading ----------------------------------------------------------------------------

    def retrieve(
        self, ids: Sequence[str], *, payload: bool = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        points: list[Point] = self._read(
            "retrieve", list(ids), payload=payload, vectors=list(vectors)
        )
        return points

    def nearest(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        candidates: list[Candidates] = self._read("nearest", list(queries))
        return candidates

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        rows: list[list[Scored]] = self._read("query", list(queries))
        return rows

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: bool = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
    ) -> Iterator[list[Point]]:
        offset, limit = None, min(batch, _READ_BATCH)
        while True:
            points, offset = self._call("page", offset, filter, payload, list(vectors), limit)
            if points:
                yield points
            if offset is None:
                return

    def count(self, filter: Filter | None = None, *, exact: bool = True) -> int:
        count: int = self._read("count", filter, exact=exact)
        return count

    def facet(
        self, path: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        counts: list[tuple[str | int | bool, int]] = self._read("facet", path, filter, limit)
        return counts

    def bounds(
        self, path: str, filter: Filter | None = None
    ) -> tuple[float | str, float | str] | None:
        bounds: tuple[float | str, float | str] | None = self._read("bounds", path, filter)
        return bounds

    # --- upkeep -----------------------------------------------------------------------------

    def optimize(self) -> None:
        """Builds the search graph on a copy, while other calls go on, and switches to it.

        A second caller waits for the first and finds nothing left to do.
        """
        with self._optimizing:
            written = self._written
            if self._call("is_rebuild_due", written):
                # The copy, and the segments with a graph that are written beside its own.
                current = generations.current(self.folder.path)
                self.folder.require_space(2 * bytes_on_disk(current))
                self._replace_shard()
                with self._lock.ticket():
                    self._written -= written

    def info(self) -> Mapping[str, Any]:
        """As the embedded engine's, and `building`: whether a search graph is being built."""
        building = self._rebuild is not None
        info: Mapping[str, Any] = self._call("info")
        return {**info, "building": building}

    def children(self) -> list[int]:
        """Ids of the child processes."""
        rebuild = self._rebuild
        processes = [self._live, *(rebuild.processes if rebuild else ())]
        return [process.pid for process in processes if process and process.is_running()]

    def close(self) -> None:
        """Flushes and closes the index, and cancels a rebuild. Doing it again is harmless."""
        with self._closing:
            self._closed = True
            if self._rebuild is not None:
                self._rebuild.stop()
            with self._optimizing, self._lock.ticket():
                process, self._live = self._live, None
                if process is not None:
                    process.close()

    # --- requests ---------------------------------------------------------------------------

    def _call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        return self._reply(pack((method, arguments, keywords)), ())

    def _read(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """As `_call`, for a request that may be repeated at any time."""
        request = self._recent_reads[method] = pack((method, arguments, keywords))
        return self._reply(request, ())

    def _write(self, ids: Sequence[str], method: str, *arguments: Any) -> None:
        rebuild = self._rebuild
        if rebuild is not None and rebuild.delays_writes:
            time.sleep(_WRITE_DELAY)
        self._reply(pack((method, arguments, {})), ids)

    def _reply(self, request: bytes, written: Sequence[str]) -> Any:
        """The result of a request that writes the points of these ids."""
        with self._lock.ticket():
            process = self._running()
            self._written += len(written)
            if self._rebuild is not None:
                self._rebuild.changed.update(dict.fromkeys(written))
            reply = process.post(request)
        return result(reply())

    def _running(self) -> EngineProcess:
        """The live process, started if there is none."""
        self._check_open()
        if self._live is None or not self._live.is_running():
            # A process that looks for the current generation itself would remove the one that is
            # being built as a leftover, so during a rebuild its name is given.
            current = generations.current(self.folder.path).name if self._rebuild else None
            self._live = EngineProcess(self.folder, current)
        return self._live

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError(f"The index {self.folder.path} has been closed: open it again.")

    # --- rebuild ----------------------------------------------------------------------------

    def _replace_shard(self) -> None:
        path = self.folder.path
        with self._lock.ticket():
            rebuild = self._rebuild = Rebuild(self.folder, self._call, self._lock)
        try:
            self._check_open()  # `close` stops a rebuild only if it finds one
            replacement = rebuild.prepare(self._recent_reads)
            pointer = generations.Pointer(rebuild.shard)
            rebuild.replay(replacement)  # the writes that came while the disk was waited for
            old = self._switch(rebuild, replacement, pointer)
        except BaseException:
            with self._lock.ticket():
                self._rebuild = None
            rebuild.stop()
            if generations.current(path) != rebuild.shard:
                shutil.rmtree(rebuild.shard, ignore_errors=True)
            self._check_open()
            raise
        old.kill()
        pointer.sync()
        generations.tidy(path, rebuild.shard)

    def _switch(
        self, rebuild: Rebuild, replacement: EngineProcess, pointer: generations.Pointer
    ) -> EngineProcess:
        """Lets the new shard take over; returns the process that holds the old one."""
        with self._lock.ticket():
            old = self._running()
            rebuild.finish(replacement, old)
            self._live = None  # whatever happens now, the next process opens the current shard
            try:
                pointer.switch()
            except BaseException:
                old.kill()
                raise
            self._live, self._rebuild = replacement, None
        return old
