"""The embedded engine in a child process: for a service, which must stay responsive.

Every call of Qdrant Edge holds the GIL until it returns, the one that builds the search graph for
minutes. Here the engine has an interpreter to itself, and yet another process builds the graph, on
a copy: the next generation of the index (see `generations`).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lookalike.engines.edge import generations
from lookalike.engines.edge.engine_process import EngineProcess
from lookalike.engines.edge.folder import RESERVE, IndexFolder, bytes_on_disk
from lookalike.engines.edge.messages import BATCH, pack, result
from lookalike.engines.edge.rebuild import Rebuild
from lookalike.engines.edge.remote import RemoteEngine
from lookalike.engines.edge.sharing import SharedEngine
from lookalike.engines.edge.staging import Staging
from lookalike.errors import EngineError
from lookalike.manifest import Manifest, require_schema
from lookalike.system.iteration import batched
from lookalike.system.locks import TicketLock
from lookalike.system.point_ids import next_point_id
from lookalike.system.processes import OwnProcess
from lookalike.types import HasVector, Not, Point, Vector, VectorSpec, point_id

__all__ = ["SubprocessEngine"]

_STAGED = 1.5
"""Bytes of an index with another vector, its graph included, as a multiple of those without."""
_WRITE_DELAY = 0.05
"""Seconds that each write waits while the last ones are replayed, so that the replay catches up."""


class SubprocessEngine(RemoteEngine):
    """Implements `protocols.Engine` by an embedded engine in a child process. Thread-safe.

    If the child dies during a call (killed, or the disk filled under it), the call raises an
    `EngineError`, the next call starts another child, and nothing acknowledged is lost. If this
    process dies, its children end by themselves.

    Args:
        path: the index's folder; it need not exist yet.
        reserve: free bytes that must remain before a write.
        salvage: opens a damaged index all the same, for reading what is left.
    """

    def __init__(self, path: str | Path, *, reserve: int = RESERVE, salvage: bool = False) -> None:
        self._salvage = salvage
        self.folder = IndexFolder(path, reserve=reserve)
        self._lock = TicketLock()
        self._live: EngineProcess | None = None
        self._rebuild: Rebuild | None = None
        self._written = 0  # points since the last build
        self._recent_reads: dict[str, bytes] = {}  # the last request, by method
        self._optimizing = threading.Lock()
        self._staging = Staging(self.folder, self._call)
        self._closing = threading.Lock()
        self._closed = False
        self._shared: SharedEngine | None = None
        self._process = OwnProcess(f"The index {path}")

    # --- the folder -------------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        return self.folder.read_manifest()

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self._check_open()
        self.folder.write_manifest(manifest)

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
                self._replace_shard(Rebuild(self.folder, self._call, self._lock))
                with self._lock.ticket():
                    self._written -= written

    def info(self) -> Mapping[str, Any]:
        """As the embedded engine's, and `building`: whether a search graph is being built."""
        building = self._rebuild is not None
        info: Mapping[str, Any] = self._call("info")
        return {**info, "building": building}

    def share(self, on_manifest: Callable[[], None]) -> None:
        """Lets other processes of this user use the index; see `sharing`.

        Args:
            on_manifest: called after another process has changed the manifest.
        """
        if hasattr(socket, "AF_UNIX"):
            with suppress(OSError):  # a file system without sockets: others find it locked
                self._shared = SharedEngine(self, self.folder.path, on_manifest)

    def children(self) -> list[int]:
        """Ids of the child processes."""
        rebuild = self._rebuild
        rebuilding = rebuild.processes if rebuild else ()
        processes = [self._live, *rebuilding, *self._staging.children()]
        return [process.pid for process in processes if process and process.is_running()]

    def close(self) -> None:
        """Flushes and closes the index, and cancels a rebuild. Doing it again is harmless."""
        if not self._process.is_this:
            return  # the child process belongs to the parent
        with self._closing:
            if self._shared is not None:
                self._shared.close()
            self._closed = True
            if self._rebuild is not None:
                self._rebuild.stop()
            self._staging.close()
            with self._optimizing, self._lock.ticket():
                process, self._live = self._live, None
                if process is not None:
                    process.close()

    # --- another vector ---------------------------------------------------------------------

    def add_vector(self, spec: VectorSpec) -> None:
        """Begins to give the index another vector, beside the live shard; see `staging`.

        Raises:
            DiskFull: the disk has no room for both.
        """
        with self._optimizing:
            if spec.name in self._call("vector_names"):
                return
            manifest = Manifest.from_json(self.read_manifest() or {}, str(self.folder.path))
            if not self._staging.exists:
                self.folder.require_space(int(_STAGED * bytes_on_disk(self.folder.path)))
            self._staging.begin([*manifest.vectors.values(), spec])

    def lacking(self, name: str, after: str | None, limit: int) -> list[Point]:
        if not self._staging.exists:
            return next(self.scroll(Not(HasVector(name)), batch=limit, after=after), [])
        ids = self._staging.lacking(name, next_point_id(after), limit)
        return sorted(self.retrieve(ids), key=lambda point: point_id(point.id))

    def count_lacking(self, name: str) -> int:
        staged = self._staging.count(name)
        if staged is None:
            return self.count(Not(HasVector(name)))
        return max(self.count() - staged, 0)

    def set_vectors(self, name: str, updates: Sequence[tuple[str, str, Vector]]) -> None:
        if self._staging.exists:
            self._staging.set_vectors(name, updates)
            return
        for batch in batched(updates, BATCH):
            self._write([id for id, _, _ in batch], "set_vectors", name, batch)

    def install_vector(self, name: str) -> None:
        """Makes the shard with the further vector the current one, while other calls go on."""
        with self._optimizing:
            if self._staging.exists:
                with self._staging.suspended(name):
                    self._replace_shard(self._staging.installation(self._lock, name))

    def drop_vector(self, name: str) -> None:
        """Removes a vector from all points, while other calls go on."""
        with self._optimizing:
            self._staging.discard()
            if name in self._call("vector_names"):
                self._replace_shard(Rebuild(self.folder, self._call, self._lock, without=name))

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
        self._check_open()  # before the lock, which another thread may have held at a fork
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
            self._live = EngineProcess(self.folder, current, salvage=self._salvage)
        return self._live

    def acquire(self) -> None:
        """Takes the lock of the index, if there is one at the path.

        Raises:
            IndexLocked: another process has it.
        """
        if stored := self.read_manifest():
            require_schema(stored, str(self.folder.path))
            self.count()

    def _check_open(self) -> None:
        self._process.check()
        if self._closed:
            raise EngineError(f"The index {self.folder.path} has been closed: open it again.")

    # --- rebuild ----------------------------------------------------------------------------

    def _replace_shard(self, rebuild: Rebuild) -> None:
        path = self.folder.path
        with self._lock.ticket():
            self._rebuild = rebuild
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
            if generations.current(path) != rebuild.shard and not rebuild.is_lasting:
                generations.discard(rebuild.shard)
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
