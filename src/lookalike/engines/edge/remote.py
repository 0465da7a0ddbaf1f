"""An embedded engine in another process: its methods, as calls that travel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from lookalike.engines.edge.messages import BATCH
from lookalike.engines.points import check_vectors
from lookalike.system.point_ids import next_point_id
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
)

if TYPE_CHECKING:
    from qdrant_edge import PointId

_READ_BATCH = 256
"""Points that one call reads: no other call waits longer than that takes."""


class RemoteEngine:
    """Implements the operations of `protocols.Engine` on points, by `_call`, `_read`, `_write`."""

    def read_manifest(self) -> Mapping[str, Any] | None:
        raise NotImplementedError

    def create(self, vectors: Sequence[VectorSpec]) -> None:
        self._call("create", list(vectors))

    # --- writing ----------------------------------------------------------------------------

    def create_field_index(self, path: str, type: FieldType) -> None:
        self._call("create_field_index", path, type)

    def upsert(self, points: Sequence[Point]) -> None:
        check_vectors(points, self.read_manifest)
        for start in range(0, len(points), BATCH):
            batch = list(points[start : start + BATCH])
            self._write([point.id for point in batch], "upsert", batch)

    def amend(self, points: Sequence[Point]) -> None:
        check_vectors(points, self.read_manifest)
        for start in range(0, len(points), BATCH):
            batch = list(points[start : start + BATCH])
            self._write([point.id for point in batch], "amend", batch)

    def delete(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), BATCH):
            batch = list(ids[start : start + BATCH])
            self._write(batch, "delete", batch)

    def set_payload(self, id: str, fields: Payload) -> None:
        self.set_payloads([(id, fields)])

    def set_payloads(self, updates: Sequence[tuple[str, Payload]]) -> None:
        for start in range(0, len(updates), BATCH):
            batch = [(id, dict(fields)) for id, fields in updates[start : start + BATCH]]
            self._write([id for id, _ in batch], "set_payloads", batch)

    # --- reading ----------------------------------------------------------------------------

    def retrieve(
        self, ids: Sequence[str], *, payload: PayloadPart = True, vectors: Sequence[str] = ()
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
        payload: PayloadPart = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[list[Point]]:
        offset: PointId | None = next_point_id(after)
        limit = min(batch, _READ_BATCH)
        while True:
            points, offset = self.page(offset, filter, payload, list(vectors), limit)
            if points:
                yield points
            if offset is None:
                return

    def page(
        self,
        offset: PointId | None,
        filter: Filter | None,
        payload: PayloadPart,
        vectors: Sequence[str],
        limit: int,
    ) -> tuple[list[Point], PointId | None]:
        """One page of a scroll, and the offset of the next; None after the last."""
        page: tuple[list[Point], PointId | None] = self._call(
            "page", offset, filter, payload, list(vectors), limit
        )
        return page

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

    def ordered(
        self,
        path: str,
        filter: Filter | None,
        limit: int,
        *,
        descending: bool = False,
        vectors: Sequence[str] = (),
    ) -> list[tuple[float | str, Point]]:
        points: list[tuple[float | str, Point]] = self._read(
            "ordered", path, filter, limit, descending=descending, vectors=list(vectors)
        )
        return points

    # --- upkeep -----------------------------------------------------------------------------

    def settled(self) -> Self:
        return self

    def info(self) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self._call("info")
        return info

    def problems(self, *, whole: bool = False) -> list[str]:
        problems: list[str] = self._call("problems", whole=whole)
        return problems

    # --- requests ---------------------------------------------------------------------------

    def _call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Calls a method of the engine."""
        raise NotImplementedError

    def _read(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """As `_call`, for a request that may be repeated at any time."""
        return self._call(method, *arguments, **keywords)

    def _write(self, ids: Sequence[str], method: str, *arguments: Any) -> None:
        """As `_call`, for a request that writes the points of these ids."""
        self._call(method, *arguments)
