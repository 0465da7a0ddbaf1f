"""The embedded engine: Qdrant Edge in this process; one process at a time has the index open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import qdrant_edge as qe

from lookalike import record
from lookalike.engines.edge import generations
from lookalike.engines.edge.filters import to_edge
from lookalike.engines.edge.folder import RESERVE, IndexFolder, bytes_on_disk
from lookalike.engines.edge.layout import index_params, shard_config, vector_sizes
from lookalike.engines.edge.requests import candidate_request, payload_selector, query_request
from lookalike.engines.edge.shard import PAYLOAD_SHARE, OpenShard
from lookalike.engines.facets import exact_facet
from lookalike.engines.points import PayloadUpdate, check_vectors, unnamed_vectors
from lookalike.engines.rows import all_scored, ordered_value, stored, with_likeness
from lookalike.errors import DiskFull, EngineError, IndexDamaged, IndexLocked
from lookalike.manifest import require_schema
from lookalike.system.files import make_folder
from lookalike.system.point_ids import next_point_id
from lookalike.system.processes import OwnProcess
from lookalike.types import (
    CandidateQuery,
    Candidates,
    FieldType,
    Filter,
    Payload,
    PayloadPart,
    Point,
    Query,
    Scored,
    VectorSpec,
    point_id,
)

_SEE = "see what is left with `lookalike verify`"


class EdgeEngine:
    """Implements `protocols.Engine`.

    Args:
        path: the index's folder; it need not exist yet.
        reserve: free bytes that must remain before a write.
        generation: name of the shard's folder; by default the current one.
        owner: the process that others are told has the index open, in the form of
            `folder.this_process`; by default this process.
        salvage: opens a damaged index all the same, for reading what is left.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        reserve: int = RESERVE,
        generation: str | None = None,
        owner: Mapping[str, Any] | None = None,
        salvage: bool = False,
    ) -> None:
        self.folder = IndexFolder(path, reserve=reserve, owner=owner)
        self._generation = generation
        self._salvage = salvage
        self._open: OpenShard | None = None
        self._closed = False
        self._process = OwnProcess(f"The index {path}")

    # --- the folder -------------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        return self.folder.read_manifest()

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self._check_open()
        self.folder.write_manifest(manifest)

    def create(self, vectors: Sequence[VectorSpec]) -> None:
        path = self.folder.path
        shard = generations.current(path)
        if shard.exists():  # left by a creation that was cut off before it wrote the manifest
            self._require_empty(shard)
        try:
            make_folder(path)
        except OSError as error:
            raise EngineError(
                f"The index folder {path} cannot be created ({error.strerror}); choose another "
                "path."
            ) from error
        self.folder.require_space(0)
        generations.forget(path)
        shard = generations.current(path)
        with self._translated():
            OpenShard.create(shard, shard_config(vectors))
        self._hold(self._load(shard))

    def _require_empty(self, shard: Path) -> None:
        """Raises if another process has a shard open, or if it holds points."""
        left = self._load(shard)
        points = left.count()
        left.close()
        if points:
            raise IndexDamaged(
                f"{self.folder.path} holds {points:,} images, but no manifest.json; restore it "
                "from a backup, or choose another folder and index again."
            )

    # --- writing ----------------------------------------------------------------------------

    def create_field_index(self, path: str, type: FieldType) -> None:
        self._update(qe.UpdateOperation.create_field_index(path, index_params(path, type)))
        self._commit()

    def upsert(self, points: Sequence[Point]) -> None:
        if not points:
            return
        check_vectors(points, self.read_manifest)
        size = sum(vector.nbytes for point in points for vector in point.vectors.values())
        rows = [
            qe.Point(
                point_id(point.id),
                {name: vector.tolist() for name, vector in point.vectors.items()},
                dict(point.payload),
            )
            for point in points
        ]
        self._update(qe.UpdateOperation.upsert_points(rows), points=len(rows), needed=4 * size)
        self._commit()

    def amend(self, points: Sequence[Point]) -> None:
        if not points:
            return
        check_vectors(points, self.read_manifest)
        size = sum(vector.nbytes for point in points for vector in point.vectors.values())
        rows = [
            qe.PointVectors(
                point_id(point.id),
                {name: vector.tolist() for name, vector in point.vectors.items()},
            )
            for point in points
        ]
        for names, ids in unnamed_vectors(points, vector_sizes(self.shard_folder)).items():
            removal = qe.UpdateOperation.delete_vectors([*map(point_id, ids)], list(names))
            self._update(removal, points=len(ids))
        self._update(qe.UpdateOperation.update_vectors(rows), points=len(rows), needed=4 * size)
        self.set_payloads([(point.id, point.payload) for point in points])

    def delete(self, ids: Sequence[str]) -> None:
        if ids:
            self._delete([point_id(id) for id in ids])
            self._commit()

    def _delete(self, ids: Sequence[qe.PointId]) -> None:
        self._update(qe.UpdateOperation.delete_points(list(ids)), points=len(ids), deletes=True)

    def set_payload(self, id: str, fields: Payload) -> None:
        self.set_payloads([(id, fields)])

    def set_payloads(self, updates: Sequence[tuple[str, Payload]]) -> None:
        self.folder.require_space(0)
        with self._translated():
            for id, fields in updates:
                for operation in _merging(id, PayloadUpdate.of(fields)):
                    self.open_shard.update(operation, PAYLOAD_SHARE, deletes=False)
        self._commit()

    # --- reading ----------------------------------------------------------------------------

    def retrieve(
        self, ids: Sequence[str], *, payload: PayloadPart = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        with self._translated():
            records = self.shard.retrieve(
                [point_id(id) for id in ids], payload_selector(payload), list(vectors) or False
            )
        return [stored(record) for record in records]

    def nearest(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        lists: list[Candidates] = [
            [(row.id, row.score) for row in rows]  # type: ignore[misc]  # ours are all UUIDs
            for rows in self._query([candidate_request(query) for query in queries])
        ]
        return with_likeness(lists, queries)

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        return all_scored(self._query([query_request(query) for query in queries]), queries)

    def _query(self, requests: list[qe.QueryRequest]) -> list[list[qe.ScoredPoint]]:
        with self._translated():
            return self.shard.query_batch(qe.QueryBatchRequest(requests))

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: PayloadPart = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[list[Point]]:
        offset: qe.PointId | None = next_point_id(after)
        while True:
            points, offset = self.page(offset, filter, payload, vectors, batch)
            if points:
                yield points
            if offset is None:
                return

    def page(
        self,
        offset: qe.PointId | None,
        filter: Filter | None,
        payload: PayloadPart,
        vectors: Sequence[str],
        limit: int,
    ) -> tuple[list[Point], qe.PointId | None]:
        """One page of a scroll, and the offset of the next; None after the last."""
        request = qe.ScrollRequest(
            offset=offset,
            limit=limit,
            filter=to_edge(filter),
            with_payload=payload_selector(payload),
            with_vector=list(vectors) or False,
        )
        with self._translated():
            records, offset = self.shard.scroll(request)
        return [stored(record) for record in records], offset

    def count(self, filter: Filter | None = None, *, exact: bool = True) -> int:
        with self._translated():
            return self.shard.count(qe.CountRequest(filter=to_edge(filter), exact=exact))

    def facet(
        self, path: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        def request(number: int) -> list[tuple[str | int | bool, int]]:
            request = qe.FacetRequest(path, limit=number, exact=True, filter=to_edge(filter))
            with self._translated():
                return [(hit.value, hit.count) for hit in self.shard.facet(request)]

        return exact_facet(request, limit)

    def bounds(
        self, path: str, filter: Filter | None = None
    ) -> tuple[float | str, float | str] | None:
        ends: list[float | str] = []
        for direction in (qe.Direction.Asc, qe.Direction.Desc):
            request = qe.ScrollRequest(
                limit=1,
                filter=to_edge(filter),
                with_payload=qe.PayloadSelector.Include([path]),
                order_by=qe.OrderBy(path, direction),
            )
            with self._translated():
                records, _ = self.shard.scroll(request)
            if not records:
                return None
            ends.append(ordered_value(records[0], path))
        return ends[0], ends[1]

    def ordered(
        self,
        path: str,
        filter: Filter | None,
        limit: int,
        *,
        descending: bool = False,
        vectors: Sequence[str] = (),
    ) -> list[tuple[float | str, Point]]:
        request = qe.ScrollRequest(
            limit=limit,
            filter=to_edge(filter),
            with_payload=True,
            with_vector=list(vectors) or False,
            order_by=qe.OrderBy(path, qe.Direction.Desc if descending else qe.Direction.Asc),
        )
        with self._translated():
            records, _ = self.shard.scroll(request)
        return [(ordered_value(record, path), stored(record)) for record in records]

    # --- upkeep -----------------------------------------------------------------------------

    def optimize(self) -> None:
        # The optimizer writes the new segments before it drops the old ones.
        self.folder.require_space(bytes_on_disk(self.folder.path))
        with self._translated():
            self.open_shard.optimize()

    def problems(self, *, whole: bool = False) -> list[str]:
        with self._translated():
            return self.open_shard.problems(whole=whole)

    def accept(self) -> None:
        """Takes what a damaged index still holds for all that it should hold."""
        with self._translated():
            self.open_shard.accept()

    def settled(self) -> Self:
        return self

    def info(self) -> Mapping[str, Any]:
        with self._translated():
            info = self.shard.info()
        return {
            "points": info.points_count,
            "indexed_vectors": info.indexed_vectors_count,
            "bytes_on_disk": bytes_on_disk(self.folder.path),
            "engine": "qdrant-edge",
        }

    def close(self) -> None:
        if not self._process.is_this:
            return  # a forked process has nothing to flush, and would hang
        self._closed = True
        if self._open is not None:
            shard, self._open = self._open, None
            with self._translated():
                shard.close()
            self.folder.release()

    # --- the shard --------------------------------------------------------------------------

    def acquire(self) -> None:
        """Takes the lock of the index, if there is one at the path.

        Raises:
            IndexLocked: another process has it.
        """
        if stored := self.read_manifest():
            require_schema(stored, str(self.folder.path))
            self.count()

    @property
    def shard(self) -> qe.EdgeShard:
        """The shard, loaded on first use."""
        return self.open_shard.edge

    @property
    def open_shard(self) -> OpenShard:
        """The shard with its log and its ledger, loaded on first use."""
        self._check_open()
        if self._open is None:
            if self._generation:
                self._hold(self._load(self.shard_folder))
            else:
                self._hold(self._load_current())
                generations.tidy(self.folder.path, self.shard_folder)
        assert self._open is not None  # noqa: S101 -- for the type checker
        return self._open

    def _check_open(self) -> None:
        """Raises if the index was closed, or was opened by the process that forked this one."""
        self._process.check()
        if self._closed:
            raise EngineError(f"The index {self.folder.path} has been closed; open it again.")

    @property
    def shard_folder(self) -> Path:
        """The shard's folder, which need not exist."""
        if self._generation:
            return self.folder.path / self._generation
        return generations.current(self.folder.path)

    def _load_current(self) -> OpenShard:
        folder = self.shard_folder
        try:
            shard = self._load(folder)
        except EngineError:
            if folder == self.shard_folder:
                raise
        else:
            if folder == self.shard_folder:
                return shard
            shard.close()
        return self._load_current()  # its owner has just switched to another generation

    def _load(self, folder: Path) -> OpenShard:
        if not folder.is_dir():
            raise IndexDamaged(
                f"{self.folder.path} has a manifest but no shard; restore the folder from a "
                "backup, or delete it and index again."
            )
        self.folder.require_space_to_load(folder)
        damage = OpenShard.damage_of(folder)
        if damage and not self._salvage:
            raise self._damaged(damage)
        with self._translated(IndexDamaged):
            shard = OpenShard.load(folder, damage)
        if shard.damage and not self._salvage:
            shard.close()
            raise self._damaged(shard.damage)
        return shard

    def _damaged(self, problems: Sequence[str]) -> IndexDamaged:
        otherwise = "index again into a new folder" if self._salvage else _SEE
        return IndexDamaged(
            f"The index {self.folder.path} is damaged: {'; '.join(problems)}; restore it from a "
            f"backup, or {otherwise}."
        )

    def _hold(self, shard: OpenShard) -> None:
        self._open = shard
        self.folder.claim()

    def _update(
        self,
        operation: qe.UpdateOperation,
        *,
        points: int = 1,
        deletes: bool = False,
        needed: int = 0,
    ) -> None:
        self.folder.require_space(needed)
        with self._translated():
            self.open_shard.update(operation, points, deletes=deletes)

    def _commit(self) -> None:
        """Brings the updates of a call to the disk, before it returns."""
        with self._translated():
            self.open_shard.commit()

    @contextmanager
    def _translated(self, kind: type[EngineError] = EngineError) -> Iterator[None]:
        """Translates the engine's errors, bare exceptions and panics, into ours."""
        path = self.folder.path
        try:
            yield
        except EngineError:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            message = str(error)
            if "WAL" in message and "WouldBlock" in message:
                owner, own = self.folder.describe_owner()
                locked = IndexLocked(f"The index {path} is in use by {owner}.")
                locked.own_process = own
                raise locked from error
            if "No space left" in message:
                raise DiskFull(
                    f"The disk that holds {path} is full; free some space and run the same "
                    "command again."
                ) from error
            if kind is IndexDamaged:
                raise self._damaged([f"Qdrant Edge cannot load it ({message})"]) from error
            raise kind(
                f"Qdrant Edge failed on the index {path} ({message}); look for damage with "
                "`lookalike verify`."
            ) from error


def _merging(id: str, update: PayloadUpdate) -> Iterator[qe.UpdateOperation]:
    """The operations that merge an update into the payload of a point, our record last: by it the
    next run sees that an image is up to date."""
    point: list[qe.PointId] = [point_id(id)]
    if update.fields:
        yield qe.UpdateOperation.set_payload(point, dict(update.fields))
    if update.removed:
        yield qe.UpdateOperation.delete_payload(point, list(update.removed))
    if update.record:
        yield qe.UpdateOperation.set_payload(point, dict(update.record), key=record.KEY)
