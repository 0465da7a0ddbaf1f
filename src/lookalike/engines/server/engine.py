"""The server engine: a collection on a Qdrant server, a cluster, or Qdrant Cloud.

The manifest is the collection's metadata, under one key of ours. What is written is on the
server's disk when a call returns; requests that a lost connection or a busy server cut short are
sent again, as each of them does the same when it is done twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any
from uuid import UUID

from qdrant_client import QdrantClient, models

from lookalike import record
from lookalike.engines.options import ServerOptions
from lookalike.engines.points import PayloadUpdate, check_vectors
from lookalike.engines.rows import ordered_value, scored, stored
from lookalike.engines.server.connection import connect
from lookalike.engines.server.errors import Caller
from lookalike.engines.server.filters import to_server
from lookalike.engines.server.layout import field_params, vector_params
from lookalike.engines.server.points import to_grpc, to_rest
from lookalike.engines.server.requests import ID_ALONE, nearest_request, query_request
from lookalike.errors import EngineError
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
    point_id,
)

_OURS = "lookalike"
"""The key in the collection's metadata: an empty mapping until there is a manifest. Metadata is
merged key by key at the top, so a value under one key is replaced whole."""


class ServerEngine:
    """See `protocols.Engine`. Safe to use from several threads.

    Args:
        client: speaks to the server.
        collection: its name.
        options: how a new collection is laid out, and how the server is spoken to.
        url: names the collection in errors.
    """

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        options: ServerOptions | None = None,
        *,
        url: str | None = None,
    ) -> None:
        self.client = client
        self.collection = collection
        self.options = options or ServerOptions()
        self.url = url or f"the collection {collection!r}"
        self._call = Caller(self.url, self.options)
        self._layout: Mapping[str, models.VectorParams] | None = None
        self._writers = ThreadPoolExecutor(self.options.parallel, "upsert")
        # Whether the server takes so long that it is worth sending from several threads, which take
        # turns at the interpreter and so cost a quarter more of it.
        self._lags = False
        consistency = self.options.read_consistency
        self._reading: dict[str, Any] = {
            "collection_name": collection,
            "consistency": models.ReadConsistencyType(consistency)
            if isinstance(consistency, str)
            else consistency,
        }

    @classmethod
    def connect(cls, url: str, options: ServerOptions | None = None) -> ServerEngine:
        """The collection at `http(s)://host[:6333][/prefix]/collection`; it need not exist yet.

        gRPC is spoken where the server answers to it; behind a prefix there is only REST.

        Raises:
            EngineError: no such address, no server there, or one that is too old.
        """
        options = options or ServerOptions()
        client, collection, shown = connect(url, options)
        return cls(client, collection, options, url=shown)

    # --- the collection ---------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        if not self._exists():
            return None
        manifest: Mapping[str, Any] = self._metadata(self._info())
        return manifest or None

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self._call(self.client.update_collection, self.collection, metadata={_OURS: dict(manifest)})

    def create(self, vectors: Sequence[VectorSpec]) -> None:
        options = self.options
        layout = {spec.name: vector_params(spec, options) for spec in vectors}
        if not self._exists():
            try:
                self._call.once(
                    self.client.create_collection,
                    self.collection,
                    vectors_config=layout,
                    shard_number=options.shard_number,
                    replication_factor=options.replication_factor,
                    write_consistency_factor=options.write_consistency_factor,
                    hnsw_config=models.HnswConfigDiff(
                        m=options.m, ef_construct=options.ef_construct, full_scan_threshold=10_000
                    ),
                    # Points come faster where no graph is built meanwhile; see `optimize`.
                    optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
                    metadata={_OURS: {}},
                )
            except EngineError:
                if not self._exists():  # else another process was first, or the answer got lost
                    raise
        info = self._info()
        self._metadata(info)  # raises where it is not ours
        there = {name: (one.size, one.distance) for name, one in _vectors(info).items()}
        if there != {name: (one.size, one.distance) for name, one in layout.items()}:
            raise EngineError(
                f"{self.url} was begun with other vectors ({', '.join(there)}): delete that "
                "collection, or name another."
            )

    def _exists(self) -> bool:
        return self._call(self.client.collection_exists, self.collection)

    def _info(self) -> models.CollectionInfo:
        info = self._call(self.client.get_collection, self.collection)
        self._layout = _vectors(info)
        return info

    def _metadata(self, info: models.CollectionInfo) -> Mapping[str, Any]:
        ours: Mapping[str, Any] | None = (info.config.metadata or {}).get(_OURS)
        if ours is None:
            raise EngineError(
                f"{self.url} exists, and lookalike did not make it: name another collection."
            )
        return ours

    # --- writing ----------------------------------------------------------------------------

    def create_field_index(self, path: str, type: FieldType) -> None:
        params = field_params(path, type, self.options)
        self._call(self.client.create_payload_index, self.collection, path, params, wait=True)

    def upsert(self, points: Sequence[Point]) -> None:
        check_vectors(points)
        # Batches travel side by side: of two points with one id only the last may.
        last = list({point.id: point for point in points}.values())
        size = self.options.batch
        as_struct = to_grpc if self.client.init_options.get("prefer_grpc") else to_rest
        on_the_way: deque[Future[float]] = deque()
        try:
            for start in range(0, len(last), size):
                began = time.perf_counter()
                structs = [as_struct(point) for point in last[start : start + size]]
                made = time.perf_counter() - began
                if not self._lags:
                    self._lags = self._send(structs) > made / 2
                    continue
                # While others send, the next are made: by one thread, for if all made their own
                # they would be done at the same time, and the server idle until then.
                if len(on_the_way) >= 2 * self.options.parallel:
                    on_the_way.popleft().result()
                on_the_way.append(self._writers.submit(self._send, structs))
        finally:
            wait(on_the_way)
        for sent in on_the_way:
            sent.result()

    def _send(self, structs: list[Any]) -> float:
        """Seconds that were spent waiting for the server."""
        began, busy = time.perf_counter(), time.thread_time()
        self._call(self.client.upsert, self.collection, structs, wait=True)
        return time.perf_counter() - began - (time.thread_time() - busy)

    def delete(self, ids: Sequence[str]) -> None:
        if ids:
            selector = models.PointIdsList(points=[str(point_id(id)) for id in ids])
            self._call(self.client.delete, self.collection, selector, wait=True)

    def set_payload(self, id: str, fields: Payload) -> None:
        point: list[models.ExtendedPointId] = [str(point_id(id))]
        update = PayloadUpdate.of(fields)
        operations: list[models.UpdateOperation] = []
        if update.fields:
            merge = models.SetPayload(payload=dict(update.fields), points=point)
            operations.append(models.SetPayloadOperation(set_payload=merge))
        if update.record:
            merge = models.SetPayload(payload=dict(update.record), points=point, key=record.KEY)
            operations.append(models.SetPayloadOperation(set_payload=merge))
        if update.removed:
            remove = models.DeletePayload(keys=list(update.removed), points=point)
            operations.append(models.DeletePayloadOperation(delete_payload=remove))
        if operations:
            self._call(self.client.batch_update_points, self.collection, operations, wait=True)

    # --- reading ----------------------------------------------------------------------------

    def retrieve(
        self, ids: Sequence[str], *, payload: bool = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        if not ids:
            return []
        records = self._call(
            self.client.retrieve,
            ids=[str(point_id(id)) for id in ids],
            with_payload=payload or ID_ALONE,
            with_vectors=list(vectors) or False,
            **self._reading,
        )
        return [stored(record) for record in records]

    def nearest(self, asked: Sequence[CandidateQuery]) -> list[Candidates]:
        if self._layout is None:
            self._info()
        requests = [nearest_request(ask, self._layout or {}) for ask in asked]
        return [[(UUID(str(row.id)), row.score) for row in rows] for rows in self._query(requests)]

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        answers = self._query([query_request(query) for query in queries])
        return [
            [scored(row, query) for row in rows]
            for rows, query in zip(answers, queries, strict=True)
        ]

    def _query(self, requests: list[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        if not requests:
            return []
        answers = self._call(self.client.query_batch_points, requests=requests, **self._reading)
        return [answer.points for answer in answers]

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: bool = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
    ) -> Iterator[list[Point]]:
        offset: Any = None
        while True:
            records, offset = self._call(
                self.client.scroll,
                scroll_filter=to_server(filter),
                limit=batch,
                offset=offset,
                with_payload=payload or ID_ALONE,
                with_vectors=list(vectors) or False,
                **self._reading,
            )
            if records:
                yield [stored(record) for record in records]
            if offset is None:
                return

    def count(self, filter: Filter | None = None, *, exact: bool = True) -> int:
        # The one read to which the client passes no consistency on.
        answer = self._call(self.client.count, self.collection, to_server(filter), exact=exact)
        return answer.count

    def facet(
        self, path: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        answer = self._call(
            self.client.facet,
            key=path,
            facet_filter=to_server(filter),
            limit=limit,
            exact=True,
            **self._reading,
        )
        # The index remembers values that no point has any more.
        return [(hit.value, hit.count) for hit in answer.hits if hit.count]

    def bounds(
        self, path: str, filter: Filter | None = None
    ) -> tuple[float | str, float | str] | None:
        ends: list[float | str] = []
        for direction in (models.Direction.ASC, models.Direction.DESC):
            records, _ = self._call(
                self.client.scroll,
                scroll_filter=to_server(filter),
                limit=1,
                order_by=models.OrderBy(key=path, direction=direction),
                with_payload=models.PayloadSelectorInclude(include=[path]),
                **self._reading,
            )
            if not records:
                return None
            ends.append(ordered_value(records[0]))
        return ends[0], ends[1]

    # --- upkeep -----------------------------------------------------------------------------

    def optimize(self) -> None:
        """Has the server build its graphs, and waits for them for `optimize_timeout` seconds; then
        they go on being built without us."""
        threshold = self._info().config.optimizer_config.indexing_threshold
        if threshold == 0:  # of a collection that was being filled
            self._call(
                self.client.update_collection,
                self.collection,
                optimizers_config=models.OptimizersConfigDiff(
                    indexing_threshold=self.options.indexing_threshold
                ),
            )
        deadline = time.monotonic() + self.options.optimize_timeout
        pause, calm = 0.1, 0
        # A server may be calm for a moment before it sees what there is to do.
        while calm < 2 and time.monotonic() < deadline:
            info = self._info()
            if info.status is models.CollectionStatus.RED:
                raise EngineError(
                    f"{self.url} failed to build its graphs ({info.optimizer_status}): see the "
                    "server's log."
                )
            calm = calm + 1 if info.status is models.CollectionStatus.GREEN else 0
            if calm < 2:
                time.sleep(pause)
                pause = min(2 * pause, 5.0)

    def info(self) -> Mapping[str, Any]:
        info = self._info()
        return {
            "points": info.points_count or 0,
            "indexed_vectors": info.indexed_vectors_count or 0,
            "bytes_on_disk": self._bytes_on_disk(),
            "engine": "qdrant-server",
            "status": info.status.value,
        }

    def _bytes_on_disk(self) -> int:
        """What the server says of all its nodes; 0 where it says nothing."""
        try:
            rest = self.client.http.client
        except NotImplementedError:  # in memory
            return 0
        answer: Any = self._call(
            rest.request,
            type_=object,
            method="GET",
            url="/collections/{collection_name}/memory",
            path_params={"collection_name": self.collection},
        )
        return int(answer["result"]["total"]["disk_bytes"])

    def close(self) -> None:
        self._writers.shutdown()
        self.client.close()


def _vectors(info: models.CollectionInfo) -> Mapping[str, models.VectorParams]:
    """The named vectors; a collection with a nameless one is none of ours."""
    vectors = info.config.params.vectors
    return vectors if isinstance(vectors, dict) else {}
