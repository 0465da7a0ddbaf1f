"""The embedded engine as it runs in a child process: with the operations of a rebuild.

A rebuild copies an index's points into a new shard, builds the search graph there, and replays the
writes that came meanwhile (see `rebuild`). Points travel between the two shards as packed batches.
"""

from __future__ import annotations

import hashlib
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
from lookalike.engines.edge.filters import to_edge
from lookalike.engines.edge.folder import bytes_on_disk
from lookalike.engines.edge.layout import vector_sizes
from lookalike.engines.edge.merging import Exported, Outline, merged, sha256_of
from lookalike.engines.edge.messages import pack, unpack
from lookalike.system.files import files_below
from lookalike.types import FieldType, HasVector, Vector, point_id

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
        self._import(points, deleted, len(batch))

    def import_merged(
        self, batch: bytes, name: str, updates: Sequence[tuple[str, str, Vector]]
    ) -> None:
        """As `import_batch`; each point gets its vector of a name from the updates, or keeps the
        one that it has, if that is of the same image.

        Args:
            batch: what the other generation exported.
            name: of the vector.
            updates: image id, SHA-256 and vector.
        """
        points, deleted = unpack(batch)
        with self._translated():
            records = self.shard.retrieve([id for id, _, _ in points], True, [name])
        stored: dict[Any, tuple[str, Vector]] = {}
        for record in records:
            vectors: Any = record.vector or {}
            if name in vectors:
                vector = np.asarray(vectors[name], np.float32)
                stored[record.id] = sha256_of(record.payload or {}), vector
        self._import(merged(points, name, updates, stored), deleted, len(batch))

    def _import(self, points: Sequence[Exported], deleted: Sequence[qe.PointId], size: int) -> None:
        if points:
            names = vector_sizes(self.shard_folder)
            rows = [
                qe.Point(
                    id,
                    {name: row.tolist() for name, row in vectors.items() if name in names},
                    dict(payload),
                )
                for id, vectors, payload in points
            ]
            operation = qe.UpdateOperation.upsert_points(rows)
            self._update(operation, points=len(rows), needed=4 * size)
        if deleted:
            self._delete(deleted)
        self._commit()

    # --- another vector ---------------------------------------------------------------------

    def outline(
        self, offset: qe.PointId | None, limit: int, having: str | None
    ) -> tuple[list[Outline], qe.PointId | None]:
        """A page of points in short, and the offset of the next.

        Args:
            offset: the first point; None for the very first.
            limit: number of points.
            having: name of a vector that they have; None for all points.
        """
        filter = None if having is None else to_edge(HasVector(having))
        request = qe.ScrollRequest(offset=offset, limit=limit, filter=filter, with_payload=True)
        with self._translated():
            records, offset = self.shard.scroll(request)
        return [_outlined(record) for record in records], offset

    def vector_names(self) -> list[str]:
        """Names of the vectors that points may have."""
        return list(vector_sizes(self.shard_folder))

    def set_vectors(self, name: str, updates: Sequence[tuple[str, str, Vector]]) -> None:
        """Sets the vectors of existing points, each as long as its image has a certain SHA-256."""
        wanted: list[qe.PointId] = [point_id(id) for id, _, _ in updates]
        with self._translated():
            records = self.shard.retrieve(wanted, True, False)
        current = {record.id: sha256_of(record.payload or {}) for record in records}
        rows = [
            qe.PointVectors(id, {name: vector.tolist()})
            for id, (_, sha256, vector) in zip(wanted, updates, strict=True)
            if current.get(id) == sha256
        ]
        if rows:
            size = 4 * sum(vector.nbytes for _, _, vector in updates)
            operation = qe.UpdateOperation.update_vectors(rows)
            self._update(operation, points=len(rows), needed=size)
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
        sizes = list(vector_sizes(self.shard_folder).values())
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


def _batch(records: Sequence[qe.Record], deleted: Sequence[qe.PointId] = ()) -> bytes:
    points = []
    for record in records:
        vectors: Any = record.vector or {}
        arrays = {name: np.asarray(values, np.float32) for name, values in vectors.items()}
        points.append((record.id, arrays, record.payload or {}))
    return pack((points, list(deleted)))


def _outlined(record: qe.Record) -> Outline:
    payload: Any = record.payload or {}
    content = json.dumps(payload, sort_keys=True, ensure_ascii=False).encode()
    digest = hashlib.blake2b(content, digest_size=8).digest()
    point: Any = record.id  # ours are all UUIDs
    return Outline(point, str(payload.get("image", {}).get("id", "")), sha256_of(payload), digest)


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
