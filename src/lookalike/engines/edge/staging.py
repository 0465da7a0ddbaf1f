"""The generation in which an index gets another vector, beside the live shard.

Vectors that are added to points of a shard with a graph make its searches six to eight times
slower until the whole graph has been built anew. So a new vector is written to another shard, with
a copy of its point, in any number of sessions. Installing it brings that shard up to date, builds
its graph, and makes it the current one, as a rebuild does (see `rebuild`).

The live shard is the truth: whatever is not in it, or not the same, is copied again.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from lookalike.engines.edge import generations
from lookalike.engines.edge.engine_process import EngineProcess
from lookalike.engines.edge.folder import IndexFolder
from lookalike.engines.edge.layout import bytes_of, shard_config, vector_sizes
from lookalike.engines.edge.merging import Outline, side_by_side
from lookalike.engines.edge.messages import BATCH
from lookalike.engines.edge.rebuild import Rebuild
from lookalike.engines.edge.shard import OpenShard
from lookalike.errors import EngineError
from lookalike.system.iteration import batched
from lookalike.system.locks import TicketLock
from lookalike.types import HasVector, Vector, VectorSpec

_OUTLINED = 256
"""Points that one call outlines: no other call waits longer than that takes."""

Call: TypeAlias = Callable[..., Any]


class Staging:
    """The shard that gets a vector.

    Args:
        folder: the index.
        live: calls a method of the live engine.
    """

    def __init__(self, folder: IndexFolder, live: Call) -> None:
        self._folder = folder
        self._live = live
        self._process: EngineProcess | None = None
        self._starting = threading.Lock()
        self._held: dict[str, int] | None = None  # vectors by name, during the installation

    def begin(self, vectors: Sequence[VectorSpec]) -> None:
        """Makes the shard, or goes on with the one that an earlier session left for these."""
        path = self._folder.path
        shard = generations.upcoming(path)
        wanted = {spec.name: bytes_of(spec) for spec in vectors}
        if shard is not None and (vector_sizes(shard) != wanted or OpenShard.damage_of(shard)):
            self.discard()
            shard = None
        if shard is None:
            shard = generations.new(path)
            OpenShard.create(shard, shard_config(vectors))
            generations.announce(shard, path)
            # While it is empty, as each would read all points.
            for field, type in self._live("field_indexes").items():
                self._call("create_field_index", field, type)

    @property
    def exists(self) -> bool:
        """True while there is such a shard."""
        return generations.upcoming(self._folder.path) is not None

    def lacking(self, name: str, after: uuid.UUID | None, limit: int) -> list[str]:
        """Ids of up to `limit` images that have no vector of this name, as they are now."""
        ids: list[str] = []
        staged = _outlines(self._call, after, having=name)
        for live, other in side_by_side(_outlines(self._live, after), staged):
            if live is not None and (other is None or other.sha256 != live.sha256):
                ids.append(live.id)
                if len(ids) == limit:
                    break
        return ids

    def count(self, name: str) -> int | None:
        """Number of points with a vector of this name; during the installation, as they were at its
        beginning. None if there is no such shard."""
        with self._starting:
            if self._held is not None:
                return self._held.get(name, 0)
            if not self.exists:
                return None
            found: int = self._running().call("count", HasVector(name))
            return found

    @contextmanager
    def suspended(self, name: str) -> Iterator[None]:
        """Closes the shard within the block, in which another process opens it; only the vectors of
        this name can be counted meanwhile."""
        held = {name: self.count(name) or 0}
        with self._starting:
            self._held = held
            process, self._process = self._process, None
        try:
            if process is not None:
                process.close()
            yield
        finally:
            self._held = None

    def set_vectors(self, name: str, updates: Sequence[tuple[str, str, Vector]]) -> None:
        """Writes vectors, with copies of their points; see `SubprocessEngine`."""
        for batch in batched(updates, BATCH):
            points = self._live("export_points", [id for id, _, _ in batch])
            self._call("import_merged", points, name, batch)

    def installation(self, lock: TicketLock, name: str) -> Rebuild:
        """The rebuild that makes the shard the next generation."""
        shard = generations.upcoming(self._folder.path)
        assert shard is not None  # noqa: S101 -- for the type checker
        return _Installation(self._folder, self._live, lock, shard.name, name)

    def close(self) -> None:
        """Closes the shard."""
        with self._starting:
            process, self._process = self._process, None
        if process is not None:
            process.close()

    def discard(self) -> None:
        """Removes the shard."""
        with self._starting:
            process, self._process = self._process, None
            if process is not None:
                process.kill()
            shard = generations.upcoming(self._folder.path)
            if shard is not None:
                generations.announce(None, self._folder.path)
                generations.discard(shard)

    def children(self) -> list[EngineProcess]:
        """The child processes at work."""
        return [self._process] if self._process is not None else []

    def _call(self, method: str, *arguments: Any) -> Any:
        with self._starting:
            if self._held is not None:
                raise EngineError(
                    f"The vectors in {self._folder.path} are about to be installed: run the same "
                    "command again when that is done."
                )
            return self._running().call(method, *arguments)

    def _running(self) -> EngineProcess:
        """The process that has the shard open, for a holder of the lock."""
        shard = generations.upcoming(self._folder.path)
        if shard is None:
            raise EngineError(f"The vector that {self._folder.path} was to get is removed.")
        if self._process is None or not self._process.is_running():
            self._process = EngineProcess(self._folder, shard.name)
        return self._process


class _Installation(Rebuild):
    """The rebuild that brings a staged shard up to date. If it fails, the shard stays."""

    def __init__(
        self, folder: IndexFolder, live: Call, lock: TicketLock, shard: str, name: str
    ) -> None:
        super().__init__(folder, live, lock)
        self.shard = folder.path / shard
        self.is_lasting = True
        self._name = name

    def _copy(self) -> None:
        builder = self._start(background=True)
        self._indexed = builder.call("field_indexes")
        self._index_fields(builder, self._live("field_indexes"))
        pairs = side_by_side(_outlines(self._live), _outlines(builder.call))
        differing = (live or other for live, other in pairs if live is None or live != other)
        for batch in batched(differing, BATCH):
            ids = [outline.id for outline in batch if outline is not None]
            self._write(builder, self._live("export_points", ids))
        builder.call("build_graph")
        builder.kill()

    def _write(self, process: EngineProcess, batch: bytes) -> None:
        process.call("import_merged", batch, self._name, ())


def _outlines(
    call: Call, after: uuid.UUID | None = None, having: str | None = None
) -> Iterator[Outline]:
    """The points of a shard in the order of their ids."""
    offset = after
    while True:
        page, offset = call("outline", offset, _OUTLINED, having)
        yield from page
        if offset is None:
            return
