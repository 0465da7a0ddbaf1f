"""The embedded engine: Qdrant Edge in this process, one folder an index, one process a folder.

The folder holds `manifest.json`, `shard/` (the engine's own files; see `_generations`) and, while
it is open, `owner.json`, which names the process that holds it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as qe

from lookalike import record
from lookalike.engines import UNIQUE_FIELDS, check_vectors
from lookalike.engines.edge import generations
from lookalike.engines.edge.filters import to_edge
from lookalike.engines.rows import scored, stored, vectors_wanted
from lookalike.errors import DiskFull, EngineError, IndexDamaged, IndexLocked
from lookalike.protocols import oversampling
from lookalike.system.files import write_atomically
from lookalike.types import (
    CandidateQuery,
    Candidates,
    Distance,
    FieldType,
    Filter,
    Payload,
    Point,
    Query,
    Scored,
    VectorSpec,
    WeightedVector,
    point_id,
)

RESERVE = 256 * 2**20
"""Free bytes that must remain before a write: a disk that fills under the engine's memory maps
kills the process, and opening the shard then kills it again."""

_THREADS = 2
"""Of a search: one each for what has a graph and for what was added since. The engine's default is
four a core, which wait by spinning: counting a facet took a fifth longer, and all of it a fifth
more of the cores."""

_INDEXES: Mapping[FieldType, Callable[..., Any]] = {
    FieldType.INTEGER: qe.IntegerIndexParams,
    FieldType.FLOAT: qe.FloatIndexParams,
    FieldType.BOOLEAN: qe.BoolIndexParams,
    FieldType.DATETIME: qe.DatetimeIndexParams,
    FieldType.KEYWORD: qe.KeywordIndexParams,
    FieldType.KEYWORDS: qe.KeywordIndexParams,
}

_ID_ALONE = qe.PayloadSelector.Include([record.ID])
# Exact search: no graph and no quantized vectors, either of which could miss a point.
_ORIGINALS = qe.SearchParams(exact=True, quantization=qe.QuantizationSearchParams(ignore=True))

T = TypeVar("T")


class EdgeEngine:
    """See `protocols.Engine`.

    Args:
        path: the index's folder; it need not exist yet.
        reserve: free bytes that must remain before a write.
        generation: name of the shard's folder, where its holder knows better than the pointer.
        owner: who is said to hold the index, as `this_process` tells it; by default this process.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        reserve: int = RESERVE,
        generation: str | None = None,
        owner: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.reserve = reserve
        self.generation = generation
        self._holder = owner or this_process()
        self._shard: qe.EdgeShard | None = None

    # --- the folder -------------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        file = self.path / "manifest.json"
        try:
            manifest = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise EngineError(
                f"{self.path} is a file, and an index is a folder: name another."
            ) from None
        except (OSError, ValueError) as error:
            raise IndexDamaged(
                f"{file} cannot be read ({error}); restore it from a backup, or delete the folder "
                "and index again."
            ) from error
        if not isinstance(manifest, dict):
            raise IndexDamaged(
                f"{file} holds no manifest; restore it from a backup, or delete the folder and "
                "index again."
            )
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.require_space(0)
        content = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
        write_atomically(self.path / "manifest.json", content)

    def create(self, vectors: Sequence[VectorSpec]) -> None:
        shard, draft = generations.current(self.path), self.path / "shard.new"
        if shard.exists():  # from a creation that was cut off before it wrote the manifest
            self._load(shard).close()  # raises where another process is at it
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
        except OSError as error:
            raise EngineError(
                f"The index folder {self.path} cannot be made ({error.strerror}): name another."
            ) from error
        self.require_space(0)
        generations.forget(self.path)
        shard = generations.current(self.path)
        config = qe.EdgeConfig(
            vectors={spec.name: _params(spec) for spec in vectors},
            hnsw_config=qe.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=10_000),
            max_search_threads=_THREADS,
        )
        # Made under another name, so that a shard is whole as soon as it is there.
        with self._translated():
            qe.EdgeShard.create(str(draft), config).close()
            draft.rename(shard)
        self._hold(self._load(shard))

    # --- writing ----------------------------------------------------------------------------

    def create_field_index(self, path: str, type: FieldType) -> None:
        unique = path in UNIQUE_FIELDS
        options = {"enable_hnsw": False, "memory": qe.Memory.Cold} if unique else {}
        self._update(qe.UpdateOperation.create_field_index(path, _INDEXES[type](**options)))

    def upsert(self, points: Sequence[Point]) -> None:
        if not points:
            return
        check_vectors(points)
        size = sum(vector.nbytes for point in points for vector in point.vectors.values())
        self.require_space(4 * size)
        self._update(
            qe.UpdateOperation.upsert_points(
                [
                    qe.Point(
                        point_id(point.id),
                        {name: vector.tolist() for name, vector in point.vectors.items()},
                        dict(point.payload),
                    )
                    for point in points
                ]
            )
        )

    def delete(self, ids: Sequence[str]) -> None:
        if ids:
            self._update(qe.UpdateOperation.delete_points([point_id(id) for id in ids]))

    def set_payload(self, id: str, fields: Payload) -> None:
        self.require_space(0)
        own = fields.get(record.KEY, {})
        users = {name: value for name, value in fields.items() if name != record.KEY}
        point: list[qe.PointId] = [point_id(id)]
        kept = {name: value for name, value in users.items() if value is not None}
        gone = [_quoted(name) for name, value in users.items() if value is None]
        if kept:
            self._update(qe.UpdateOperation.set_payload(point, kept))
        if own:
            self._update(qe.UpdateOperation.set_payload(point, dict(own), key=record.KEY))
        if gone:
            self._update(qe.UpdateOperation.delete_payload(point, gone))

    # --- reading ----------------------------------------------------------------------------

    def retrieve(
        self, ids: Sequence[str], *, payload: bool = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        with self._translated():
            records = self.shard.retrieve(
                [point_id(id) for id in ids], payload or _ID_ALONE, list(vectors) or False
            )
        return [stored(record) for record in records]

    def nearest(self, asked: Sequence[CandidateQuery]) -> list[Candidates]:
        requests = [
            qe.QueryRequest(
                query=_nearest(ask.near),
                filter=to_edge(ask.filter),
                limit=ask.limit,
                with_payload=False,
                params=_candidate_params(ask),
            )
            for ask in asked
        ]
        return [
            [(row.id, row.score) for row in rows]  # type: ignore[misc]  # ours are all UUIDs
            for rows in self._query(requests)
        ]

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        answers = self._query([_request(query) for query in queries])
        return [
            [scored(row, query) for row in rows]
            for rows, query in zip(answers, queries, strict=True)
        ]

    def _query(self, requests: list[qe.QueryRequest]) -> list[list[qe.ScoredPoint]]:
        with self._translated():
            return self.shard.query_batch(qe.QueryBatchRequest(requests))

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: bool = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
    ) -> Iterator[list[Point]]:
        offset: qe.PointId | None = None
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
        payload: bool,
        vectors: Sequence[str],
        limit: int,
    ) -> tuple[list[Point], qe.PointId | None]:
        """One batch of a scroll, and where the next begins; None: there is no more."""
        request = qe.ScrollRequest(
            offset=offset,
            limit=limit,
            filter=to_edge(filter),
            with_payload=payload or _ID_ALONE,
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
        request = qe.FacetRequest(path, limit=limit, exact=True, filter=to_edge(filter))
        with self._translated():
            hits = self.shard.facet(request)
        # The index remembers values that no point has any more.
        return [(hit.value, hit.count) for hit in hits if hit.count]

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
            value: Any = records[0].payload
            while isinstance(value, dict):  # it holds the one path that was asked for
                (value,) = value.values()
            # A float of many digits may come back from the payload with its last bit changed; the
            # index, which ranges go by, has it right.
            number = records[0].order_value
            ends.append(value if number is None or isinstance(value, str) else number)
        return ends[0], ends[1]

    # --- upkeep -----------------------------------------------------------------------------

    def optimize(self) -> None:
        # The optimizer writes new segments before it drops the old ones.
        self.require_space(bytes_on_disk(self.path))
        with self._translated():
            self.shard.optimize()
            self.shard.flush()

    def info(self) -> Mapping[str, Any]:
        with self._translated():
            info = self.shard.info()
        return {
            "points": info.points_count,
            "indexed_vectors": info.indexed_vectors_count,
            "bytes_on_disk": bytes_on_disk(self.path),
            "engine": "qdrant-edge",
        }

    def close(self) -> None:
        if self._shard is not None:
            shard, self._shard = self._shard, None
            with self._translated():
                shard.flush()
                shard.close()
            (self.path / "owner.json").unlink(missing_ok=True)

    # --- inside -----------------------------------------------------------------------------

    @property
    def shard(self) -> qe.EdgeShard:
        """The shard, loaded at its first use."""
        if self._shard is None:
            self.require_space(0)  # loading allocates too
            if self.generation:
                self._hold(self._load(self.shard_folder))
            else:
                self._hold(self._load_current())
                generations.tidy(self.path, self.shard_folder)
        assert self._shard is not None  # noqa: S101 -- for the type checker
        return self._shard

    @property
    def shard_folder(self) -> Path:
        """Where the shard is, or would be."""
        if self.generation:
            return self.path / self.generation
        return generations.current(self.path)

    def _load_current(self) -> qe.EdgeShard:
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
        return self._load_current()  # its holder has switched to another in between

    def _load(self, folder: Path) -> qe.EdgeShard:
        if not folder.is_dir():
            raise IndexDamaged(
                f"{self.path} has a manifest and no shard: restore the folder from a backup, "
                "or delete it and index again."
            )
        with self._translated():
            return qe.EdgeShard.load(str(folder))

    def _hold(self, shard: qe.EdgeShard) -> None:
        self._shard = shard
        (self.path / "owner.json").write_text(json.dumps(self._holder), encoding="utf-8")

    def _update(self, operation: qe.UpdateOperation) -> None:
        with self._translated():
            self.shard.update(operation)

    def require_space(self, needed: int) -> None:
        """Refuses what would leave less than the reserve.

        Raises:
            DiskFull: and nothing was written.
        """
        free = shutil.disk_usage(self.path).free
        if free < self.reserve + needed:
            missing = (self.reserve + needed - free) // 2**20 + 1
            raise DiskFull(
                f"The disk that holds {self.path} has {free // 2**20} MiB left; free at least "
                f"{missing} MiB more and run the same command again: nothing was lost."
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """WriteLock the engine's bare exceptions into ours."""
        try:
            yield
        except EngineError:
            raise
        except Exception as error:
            message = str(error)
            if "WAL" in message and "WouldBlock" in message:
                raise IndexLocked(f"The index {self.path} is in use by {self._owner()}.") from error
            if "No space left" in message:
                raise DiskFull(
                    f"The disk that holds {self.path} is full; free some space and run the same "
                    "command again."
                ) from error
            raise EngineError(f"The index {self.path} answered: {message}") from error

    def _owner(self) -> str:
        try:
            owner = json.loads((self.path / "owner.json").read_text(encoding="utf-8"))
            pid, command = int(owner["pid"]), str(owner["command"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process; wait until it ends"
        if pid == self._holder["pid"]:
            return "this very process, which has opened it already; close the first one"
        return f"process {pid} ({command}); wait until it ends, or stop it"


def this_process() -> dict[str, Any]:
    """Who we are, for those who find the index in use."""
    return {"pid": os.getpid(), "command": " ".join(sys.argv)[:200]}


def _params(spec: VectorSpec) -> qe.EdgeVectorParams:
    cosine = spec.distance is Distance.COSINE
    return qe.EdgeVectorParams(
        size=spec.size,
        distance=qe.Distance.Cosine if cosine else qe.Distance.Manhattan,
        datatype=qe.VectorStorageDatatype.Uint8 if spec.datatype == "uint8" else None,
        memory=qe.Memory.Cold,
        quantization_config=qe.ScalarQuantizationConfig(
            qe.ScalarType.Int8, quantile=0.99, memory=qe.Memory.Pinned
        )
        if cosine and spec.datatype == "float32"
        else None,
    )


def _candidate_params(ask: CandidateQuery) -> qe.SearchParams:
    if ask.exact:
        return _ORIGINALS
    return qe.SearchParams(
        hnsw_ef=ask.limit + ask.explored, quantization=qe.QuantizationSearchParams(rescore=False)
    )


def _nearest(near: WeightedVector) -> qe.Query:
    return qe.Query.Nearest(near.vector.tolist(), using=near.name)


def _request(query: Query) -> qe.QueryRequest:
    ask: dict[str, Any] = {
        "limit": query.limit,
        "offset": query.offset,
        "with_payload": True,
        "with_vector": vectors_wanted(query) or False,
    }
    if query.among is None:
        (near,) = query.near
        return qe.QueryRequest(
            query=_nearest(near),
            filter=to_edge(query.filter),
            params=_ORIGINALS
            if query.exact
            else qe.SearchParams(
                quantization=qe.QuantizationSearchParams(
                    rescore=True, oversampling=oversampling(query)
                )
            ),
            **ask,
        )
    among = qe.Filter(must=[qe.HasIdCondition(set(query.among))])
    stages = [
        qe.Prefetch(query=_nearest(near), filter=among, limit=len(query.among), params=_ORIGINALS)
        for near in query.near
    ]
    total = qe.Expression.Sum(
        [
            qe.Expression.Mult(
                [qe.Expression.Constant(near.weight), qe.Expression.Variable(f"$score[{i}]")]
            )
            for i, near in enumerate(query.near)
        ]
    )
    return qe.QueryRequest(prefetches=stages, query=qe.Formula(total, {}), **ask)


def _quoted(name: str) -> str:
    """A user's field name as a JSON path, whatever characters it has."""
    return f'"{name}"'


def bytes_on_disk(path: Path) -> int:
    """Blocks really taken: the engine's files are sparse."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):  # the optimizer drops segments as we look
                total += (Path(folder) / name).stat().st_blocks * 512
    return total
