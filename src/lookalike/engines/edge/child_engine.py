"""The embedded engine as it runs in a child process: with the operations of a rebuild.

A rebuild copies an index's points into a new shard, builds the search graph there, and replays the
writes that came meanwhile (see `rebuild`). Points travel between the two shards as packed batches.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as qe

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.folder import bytes_on_disk
from lookalike.engines.edge.messages import pack, unpack
from lookalike.errors import EngineError
from lookalike.system.files import files_below
from lookalike.types import FieldType, point_id

UNINDEXED_KB = 10_000
"""Kilobytes of unindexed vectors of one name from which on Edge builds a graph for them."""
UNINDEXED_SHARE = 0.05
"""Share of unindexed points up to which scanning them is cheaper than a rebuild, which builds the
whole graph anew."""

_FIELD_TYPES = {
    qe.PayloadSchemaType.Integer: FieldType.INTEGER,
    qe.PayloadSchemaType.Float: FieldType.FLOAT,
    qe.PayloadSchemaType.Bool: FieldType.BOOLEAN,
    qe.PayloadSchemaType.Datetime: FieldType.DATETIME,
    qe.PayloadSchemaType.Keyword: FieldType.KEYWORD,
    qe.PayloadSchemaType.Text: FieldType.TEXT,
    qe.PayloadSchemaType.Geo: FieldType.GEO,
}


class ChildEngine(EdgeEngine):
    """The embedded engine, and what moves points from one generation of an index to the next."""

    # --- exchange between generations -------------------------------------------------------

    def field_indexes(self) -> dict[str, FieldType]:
        """The payload indexes that exist, by field path."""
        with self._translated():
            schema = self.shard.info().payload_schema
        return {path: _FIELD_TYPES[info.data_type] for path, info in schema.items()}

    def export_page(self, offset: qe.PointId | None, limit: int) -> tuple[bytes, qe.PointId | None]:
        """A batch of points for another generation, and the offset of the next page."""
        request = qe.ScrollRequest(offset=offset, limit=limit, with_payload=True, with_vector=True)
        with self._translated():
            records, offset = self.shard.scroll(request)
        return _batch(records), offset

    def export_points(self, ids: Sequence[str]) -> bytes:
        """A batch of these points as they are now; those that were deleted are marked so."""
        wanted: list[qe.PointId] = [point_id(id) for id in ids]
        with self._translated():
            records = self.shard.retrieve(wanted, True, True)
        present = {record.id for record in records}
        return _batch(records, [id for id in wanted if id not in present])

    def import_batch(self, batch: bytes) -> None:
        """Writes a batch that another generation exported."""
        points, deleted = unpack(batch)
        if points:
            rows = [
                qe.Point(id, {name: row.tolist() for name, row in vectors.items()}, payload)
                for id, vectors, payload in points
            ]
            operation = qe.UpdateOperation.upsert_points(rows)
            self._update(operation, points=len(rows), needed=4 * len(batch))
        if deleted:
            self._delete(deleted)
        self._commit()

    # --- graph ------------------------------------------------------------------------------

    def is_rebuild_due(self, written: int) -> bool:
        """Tells whether so many points lack a graph that a rebuild pays.

        Args:
            written: points written since the last known build. The engine does not tell how many
                points in its graph have been replaced since.
        """
        with self._translated():
            info = self.shard.info()
        sizes = self._vector_bytes()
        beyond_graph = info.points_count - info.indexed_vectors_count // len(sizes)
        unindexed = min(max(beyond_graph, written), info.points_count)
        least = max(UNINDEXED_KB * 1024 / max(sizes), UNINDEXED_SHARE * info.points_count)
        return unindexed >= least

    def build_graph(self) -> None:
        """Builds the graph and closes the shard."""
        self.folder.require_space(bytes_on_disk(self.shard_folder))
        with _killed_with_parent(), self._translated():
            self.open_shard.optimize()
            self.open_shard.close()
        self._open = None

    def flush(self) -> None:
        """Brings everything to the disk."""
        with self._translated():
            self.open_shard.checkpoint()

    # --- commits ----------------------------------------------------------------------------

    def _commit(self) -> None:
        """Leaves the updates to `commit`, so that several calls share one."""

    @property
    def is_behind(self) -> bool:
        """True if a power cut would lose what calls have written."""
        return self._open is not None and self._open.is_behind

    def commit(self) -> None:
        """Brings the updates of all calls to the disk."""
        if self.is_behind:
            super()._commit()

    def warm_up(self) -> None:
        """Reads the shard's segments into the system's page cache.

        Closing a shard drops its pages from the cache. Without this the first searches of a new
        generation read them one by one, and one search stalled for 6 s. Segments larger than half
        of the memory are left alone, as their pages would evict each other.
        """
        segments = self.shard_folder / "segments"
        if hasattr(os, "sysconf"):
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            if bytes_on_disk(segments) < memory // 2:
                for _, file in files_below(segments):
                    _read_through(Path(file))

    def _vector_bytes(self) -> list[int]:
        """Bytes of one point's vector, for each vector name."""
        config = self.shard_folder / "edge_config.json"
        try:
            specs = json.loads(config.read_text(encoding="utf-8"))["vectors"].values()
            return [spec["size"] * (1 if spec.get("datatype") == "uint8" else 4) for spec in specs]
        except (OSError, ValueError, KeyError) as error:
            raise EngineError(
                f"{config} cannot be read ({error}); restore the index folder from a backup."
            ) from error


def _batch(records: Sequence[qe.Record], deleted: Sequence[qe.PointId] = ()) -> bytes:
    points = []
    for record in records:
        vectors: Any = record.vector or {}
        arrays = {name: np.asarray(values, np.float32) for name, values in vectors.items()}
        points.append((record.id, arrays, record.payload or {}))
    return pack((points, list(deleted)))


def _read_through(file: Path) -> None:
    buffer = bytearray(2**20)
    with suppress(OSError), file.open("rb", buffering=0) as opened:  # it may have gone meanwhile
        while opened.readinto(buffer):
            pass


@contextmanager
def _killed_with_parent() -> Iterator[None]:
    """Has the kernel kill this process by SIGIO as soon as its parent closes standard input.

    `optimize` holds the GIL, so no code in this process would notice that the parent is gone. When
    the parent was killed, a builder of 20,000 points worked on for 6 s without this, and ended
    within 10 ms with it.
    """
    if sys.platform == "win32":  # there it ends after the call
        yield
        return
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:  # the parent ended just before
        os._exit(0)
    try:
        yield
    finally:
        fcntl.fcntl(0, fcntl.F_SETFL, flags)
