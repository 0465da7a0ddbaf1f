"""The rebuild of an index's search graph beside the live shard, as its next generation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from lookalike.engines.edge import generations
from lookalike.engines.edge.engine_process import EngineProcess
from lookalike.engines.edge.folder import IndexFolder
from lookalike.engines.edge.layout import copy_config
from lookalike.engines.edge.messages import BATCH
from lookalike.errors import EngineError
from lookalike.system.locks import TicketLock
from lookalike.types import FieldType

_BACKLOG = 16
"""Points left to replay at which the switch is made, while other calls wait."""


class Rebuild:
    """A new shard that becomes the next generation of an index.

    `prepare` copies the points and builds the graph in a background process, opens the new shard in
    another process, and replays the writes that came meanwhile. `finish` replays the last ones, for
    the moment of the switch.

    Args:
        folder: the index.
        live: calls a method of the live engine.
        lock: held by whoever sends a request to the live engine.
        without: name of a vector that the new shard is not to have.

    Attributes:
        shard: the new shard's folder.
        changed: ids of the points written since the copy began and not replayed yet, in their
            order. For the holder of the lock.
        delays_writes: whether each write must wait a moment, so that the replay can catch up.
        processes: the child processes at work.
        is_lasting: whether the shard stays if it does not become the next generation.
    """

    def __init__(
        self,
        folder: IndexFolder,
        live: Callable[..., Any],
        lock: TicketLock,
        *,
        without: str | None = None,
    ) -> None:
        self.shard = generations.new(folder.path)
        self.changed: dict[str, None] = {}
        self.delays_writes = False
        self.processes: list[EngineProcess] = []
        self.is_lasting = False
        self._without = without
        self._folder = folder
        self._live = live
        self._lock = lock
        self._indexed: dict[str, FieldType] = {}
        self._stopping = threading.Lock()
        self._stopped = False

    def prepare(self, recent_reads: Mapping[str, bytes]) -> EngineProcess:
        """Makes the new shard and opens it; returns the process that holds it.

        Args:
            recent_reads: the last request of each kind.
        """
        self._copy()
        replacement = self._start(background=False)
        replacement.call("count")  # loads the shard
        replacement.call("warm_up")  # returns once it is in memory
        # The first request of a kind is slow (240 ms at 100,000 points), so repeat the last ones.
        for request in tuple(recent_reads.values()):
            replacement.post(request)()
        self.delays_writes = True
        self.replay(replacement)
        replacement.call("flush")
        # The first write creates files and may wait for the disk, so make one while nobody waits.
        batch, _ = self._live("export_page", None, 1)
        self._write(replacement, batch)
        return replacement

    def replay(self, replacement: EngineProcess) -> None:
        """Replays all writes since the copy but those to a few points."""
        self._index_fields(replacement, self._live("field_indexes"))
        while len(self.changed) > _BACKLOG:
            with self._lock.ticket():  # the live engine has every write that is noted by now
                count = min(BATCH, len(self.changed))
                ids = [self.changed.popitem()[0] for _ in range(count)]
            self._write(replacement, self._live("export_points", ids))

    def finish(self, replacement: EngineProcess, live: EngineProcess) -> None:
        """Replays the remaining writes, for the holder of the lock."""
        self._index_fields(replacement, live.call("field_indexes"))
        self._write(replacement, live.call("export_points", list(self.changed)))

    def stop(self) -> None:
        """Kills the child processes, so that calls that wait for them fail."""
        with self._stopping:
            self._stopped = True
            for process in self.processes:
                process.kill()

    def _copy(self) -> None:
        """Copies all points into the new shard and builds its graph."""
        self.shard.mkdir()
        copy_config(generations.current(self._folder.path), self.shard, without=self._without)
        builder = self._start(background=True)
        self._index_fields(builder, self._live("field_indexes"))
        offset = None
        while True:
            batch, offset = self._live("export_page", offset, BATCH)
            self._write(builder, batch)
            if offset is None:
                break
        builder.call("build_graph")
        builder.kill()

    def _write(self, process: EngineProcess, batch: bytes) -> None:
        """Writes points as the live engine exported them."""
        process.call("import_batch", batch)

    def _start(self, *, background: bool) -> EngineProcess:
        with self._stopping:
            if self._stopped:
                raise EngineError("The build was stopped.")
            process = EngineProcess(self._folder, self.shard.name, background=background)
            self.processes.append(process)
            return process

    def _index_fields(self, process: EngineProcess, fields: Mapping[str, FieldType]) -> None:
        """Creates the field indexes that the new shard still lacks, or has of another type."""
        for path, type in fields.items():
            if self._indexed.get(path) is not type:
                process.call("create_field_index", path, type)
                self._indexed[path] = type
