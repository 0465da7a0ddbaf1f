"""The server engine: a collection on a Qdrant server, a cluster, or Qdrant Cloud.

The manifest is stored in the collection's metadata, under one key. Writes wait until the server
has them on disk. All requests but creation are idempotent, so they are retried after a lost
connection or while the server is busy.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

from qdrant_client import QdrantClient, models

from lookalike.engines.facets import exact_facet
from lookalike.engines.options import ServerOptions
from lookalike.engines.points import check_vectors
from lookalike.engines.rows import ordered_value, stored
from lookalike.engines.server import reads
from lookalike.engines.server.caller import Caller
from lookalike.engines.server.connection import Nodes
from lookalike.engines.server.consistency import Consistency
from lookalike.engines.server.filters import to_server
from lookalike.engines.server.layout import field_params, sizes_of, vector_params, vectors_of
from lookalike.engines.server.limits import Limits
from lookalike.engines.server.points import (
    changing_lists,
    merging,
    replacing_vectors,
    to_grpc,
    to_rest,
)
from lookalike.engines.server.queries import Queries
from lookalike.engines.server.replicas import NewReplicas, disagreement, number_of_nodes
from lookalike.engines.server.requests import payload_selector
from lookalike.engines.server.state import ServerState
from lookalike.engines.server.vectors import GrowingCollection
from lookalike.errors import EngineError
from lookalike.system import patience
from lookalike.system.iteration import batched
from lookalike.system.point_ids import next_point_id
from lookalike.types import (
    All,
    AnyOfValues,
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

T = TypeVar("T")

_METADATA_KEY = "lookalike"
"""The manifest's key in the collection's metadata; its value is an empty mapping until there is a
manifest. The server merges metadata by top-level key, so it replaces the value as a whole."""


class ServerEngine(GrowingCollection):
    """Implements `protocols.Engine`. Thread-safe.

    Args:
        nodes: the connections to the server.
        collection: the collection's name.
        options: layout of a new collection, and settings of the connection.
        url: names the collection in errors.
    """

    def __init__(
        self,
        nodes: Nodes,
        collection: str,
        options: ServerOptions | None = None,
        *,
        url: str | None = None,
    ) -> None:
        self._nodes = nodes
        self.collection = collection
        self.options = options or ServerOptions()
        self.url = url or f"the collection {collection!r}"
        self._call = Caller(nodes, self.url, self.options)
        self._known: _Known | None = None
        self._writers = ThreadPoolExecutor(self.options.parallel, "upsert")
        # Whether batches are sent in parallel. This pays only if the server is slow: the threads
        # contend for the GIL and cost a quarter more CPU time.
        self._parallel = False
        self._consistency = Consistency.of(collection, self.options.read_consistency)

    @classmethod
    def connect(cls, url: str, options: ServerOptions | None = None) -> ServerEngine:
        """Connects to `http(s)://host[:6333][/prefix]/collection`, which need not exist yet.

        In place of a host there may be several, separated by commas. Uses gRPC with each node that
        answers over it, and REST otherwise or behind a prefix.

        Raises:
            EngineError: the address is not valid, no server answers there, or it is too old.
        """
        options = options or ServerOptions()
        nodes, collection, shown = Nodes.connect(url, options)
        return cls(nodes, collection, options, url=shown)

    @property
    def nodes(self) -> Nodes:
        """The connections to the server."""
        return self._nodes

    @property
    def client(self) -> QdrantClient:
        """The client of the first node."""
        return self._nodes.nodes[0].client(quick=False)

    # --- the collection ---------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        if not self._exists():
            return None
        manifest: Mapping[str, Any] = self._metadata(self._info())
        return manifest or None

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        metadata = {_METADATA_KEY: dict(manifest)}
        self._call(lambda client: client.update_collection(self.collection, metadata=metadata))

    def create(self, vectors: Sequence[VectorSpec]) -> str | None:
        layout = {spec.name: vector_params(spec, self.options) for spec in vectors}
        notice = None
        if not self._exists():
            replicas = NewReplicas.of(self.options, self._call(number_of_nodes), self.url)
            notice = replicas.notice
            try:
                self._call.once(lambda client: self._create(client, layout, replicas.number))
            except EngineError:
                # If it exists now, another process was first, or the response was lost.
                if not self._exists():
                    raise
        info = self._info()
        self._metadata(info)  # raises if lookalike did not create it
        existing = sizes_of(vectors_of(info))
        if existing != sizes_of(layout):
            raise EngineError(
                f"{self.url} was created with other vectors ({', '.join(existing)}); delete that "
                "collection, or choose another name."
            )
        return notice

    def _create(
        self, client: QdrantClient, layout: Mapping[str, models.VectorParams], replicas: int
    ) -> None:
        options = self.options
        client.create_collection(
            self.collection,
            vectors_config=layout,
            shard_number=options.shard_number,
            replication_factor=replicas,
            write_consistency_factor=options.write_consistency_factor,
            hnsw_config=models.HnswConfigDiff(
                m=options.m, ef_construct=options.ef_construct, full_scan_threshold=10_000
            ),
            # Uploads are faster while no graph is built; `optimize` turns that on.
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
            metadata={_METADATA_KEY: {}},
        )

    def drop_empty(self) -> None:
        """Deletes the collection if it is one of lookalike's and has no points."""
        if self.read_manifest() is not None and not self.count():
            self._call.once(lambda client: client.delete_collection(self.collection))

    def _exists(self) -> bool:
        return self._call(lambda client: client.collection_exists(self.collection))

    def _info(self) -> models.CollectionInfo:
        info = self._call(lambda client: client.get_collection(self.collection))
        self._known = _Known(vectors_of(info), Limits.of(info, self._nodes.version))
        return info

    @property
    def _collection(self) -> _Known:
        """The layout and the limits of the collection, read once."""
        if self._known is None:
            self._info()
        assert self._known is not None  # noqa: S101 -- for the type checker
        return self._known

    def _metadata(self, info: models.CollectionInfo) -> Mapping[str, Any]:
        metadata: Mapping[str, Any] | None = (info.config.metadata or {}).get(_METADATA_KEY)
        if metadata is None:
            raise EngineError(
                f"{self.url} exists, but lookalike did not create it; choose another collection."
            )
        return metadata

    # --- writing ----------------------------------------------------------------------------

    def create_field_index(self, path: str, type: FieldType) -> None:
        params = field_params(path, type, self.options)
        self._call(
            lambda client: client.create_payload_index(self.collection, path, params, wait=True)
        )
        self._known = None  # matches of texts depend on their indexes

    def upsert(self, points: Sequence[Point]) -> None:
        check_vectors(points, self.read_manifest)
        # Batches may arrive in any order, so of points with the same id only the last is sent.
        unique = list({point.id: point for point in points}.values())
        size = self._collection.limits.within_batch(self.options.batch)
        as_struct = to_grpc if self.client.init_options.get("prefer_grpc") else to_rest
        pending: deque[Future[float]] = deque()
        try:
            for start in range(0, len(unique), size):
                started = time.perf_counter()
                structs = [as_struct(point) for point in unique[start : start + size]]
                converting = time.perf_counter() - started
                if not self._parallel:
                    self._parallel = self._send(structs) > converting / 2
                    continue
                # This thread converts all batches while others send. If each converted its own,
                # they would all be ready at the same time, and the server idle until then.
                if len(pending) >= 2 * self.options.parallel:
                    pending.popleft().result()
                pending.append(self._writers.submit(patience.carried(self._send), structs))
        finally:
            wait(pending)
        for sent in pending:
            sent.result()

    def _send(self, structs: list[Any]) -> float:
        """Sends a batch; returns the seconds spent waiting for the server."""
        started, busy = time.perf_counter(), time.thread_time()
        self._call(lambda client: client.upsert(self.collection, structs, wait=True))
        return time.perf_counter() - started - (time.thread_time() - busy)

    def amend(self, points: Sequence[Point]) -> None:
        check_vectors(points, self.read_manifest)
        names = vectors_of(self._info()) if points else ()  # another process may have added one
        for batch in batched(points, self._collection.limits.within_batch(self.options.batch)):
            updates = [one for point in batch for one in merging(point.id, point.payload)]
            self._update([*replacing_vectors(batch, names), *updates])

    def delete(self, ids: Sequence[str]) -> None:
        if ids:
            selector = models.PointIdsList(points=[str(point_id(id)) for id in ids])
            self._call(lambda client: client.delete(self.collection, selector, wait=True))

    def set_payload(self, id: str, fields: Payload) -> None:
        self.set_payloads([(id, fields)])

    def set_payloads(self, updates: Sequence[tuple[str, Payload]]) -> None:
        size = self._collection.limits.within_batch(self.options.batch)
        for batch in batched(updates, size):
            operations = [one for id, fields in batch for one in merging(id, fields)]
            if operations:
                self._update(operations)

    def set_lists(
        self, id: str, before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]
    ) -> None:
        # In one order on all replicas, so that each decides alike.
        self._update([changing_lists(id, before, after)], models.WriteOrdering.MEDIUM)

    def _update(
        self,
        operations: Sequence[models.UpdateOperation],
        ordering: models.WriteOrdering | None = None,
    ) -> None:
        self._call(
            lambda client: client.batch_update_points(
                self.collection, operations, wait=True, ordering=ordering
            )
        )

    # --- reading ----------------------------------------------------------------------------

    def _read(
        self, work: Callable[[Mapping[str, Any], QdrantClient], T], request: Mapping[str, Any]
    ) -> T:
        """Carries out one of `reads` with the engine's read consistency."""
        return self._call(
            lambda client: self._consistency.read(
                lambda reading: work({**request, **reading}, client)
            )
        )

    def retrieve(
        self, ids: Sequence[str], *, payload: PayloadPart = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        request = {
            "with_payload": payload_selector(payload),
            "with_vectors": list(vectors) or False,
        }
        found: list[Point] = []
        for some in batched(ids, self._collection.limits.within_page(len(ids)) or 1):
            here = {**request, "ids": [str(point_id(id)) for id in some]}
            found += map(stored, self._read(reads.retrieve, here))
        return found

    def nearest(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        return self._queries.nearest(queries)

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        return self._queries.ranked(queries)

    def nearest_to(
        self, id: str, candidates: Sequence[CandidateQuery], rankings: Sequence[Query]
    ) -> tuple[Point, list[Candidates], list[list[Scored]]] | None:
        return self._queries.nearest_to(id, candidates, rankings)

    @property
    def allows_exact(self) -> bool:
        return self._collection.limits.exact

    @property
    def _queries(self) -> Queries:
        return Queries(self._read, self._collection.layout, self._collection.limits)

    def _condition(self, filter: Filter | None) -> models.Filter | None:
        """A filter within the collection's limits."""
        return None if filter is None else self._collection.limits.filter(to_server(filter))

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: PayloadPart = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[list[Point]]:
        offset: Any = after and str(next_point_id(after))
        request = {
            "scroll_filter": self._condition(filter),
            "limit": self._collection.limits.within_page(batch),
            "with_payload": payload_selector(payload),
            "with_vectors": list(vectors) or False,
        }
        while True:
            here = {**request, "offset": offset}
            records, offset = self._read(reads.scroll, here)
            if records:
                yield [stored(record) for record in records]
            if offset is None:
                return

    def count(self, filter: Filter | None = None, *, exact: bool = True) -> int:
        if exact and not self._collection.limits.exact:
            if filter is not None:
                return sum(map(len, self.scroll(filter, payload=False)))
            exact = False
        # The only read for which the client does not pass on a read consistency.
        condition = self._condition(filter)
        response = self._call(lambda client: client.count(self.collection, condition, exact=exact))
        return response.count

    def facet(
        self, path: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        exact = self._collection.limits.exact
        common = {"key": path, "facet_filter": self._condition(filter), "exact": exact}

        def request(number: int) -> list[tuple[str | int | bool, int]]:
            return self._read(reads.facet, {**common, "limit": number})

        def count(value: str | int | bool) -> int:
            same = AnyOfValues(path, (value,))
            return self.count(same if filter is None else All((filter, same)))

        return exact_facet(request, limit, count, most=self._collection.limits.page)

    def bounds(
        self, path: str, filter: Filter | None = None
    ) -> tuple[float | str, float | str] | None:
        ends: list[float | str] = []
        for direction in (models.Direction.ASC, models.Direction.DESC):
            request = {
                "scroll_filter": self._condition(filter),
                "limit": 1,
                "order_by": models.OrderBy(key=path, direction=direction),
                "with_payload": models.PayloadSelectorInclude(include=[path]),
            }
            records, _ = self._read(reads.scroll, request)
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
        direction = models.Direction.DESC if descending else models.Direction.ASC
        request = {
            "scroll_filter": self._condition(filter),
            "limit": limit,
            "order_by": models.OrderBy(key=path, direction=direction),
            "with_payload": True,
            "with_vectors": list(vectors) or False,
        }
        records, _ = self._read(reads.scroll, request)
        return [(ordered_value(record, path), stored(record)) for record in records]

    # --- upkeep -----------------------------------------------------------------------------

    def optimize(self) -> None:
        """Has the server build its graphs, and waits for up to `optimize_timeout` seconds.

        After that, the server goes on by itself.
        """
        threshold = self._info().config.optimizer_config.indexing_threshold
        if threshold == 0:  # still as at creation, so that uploads were fast
            optimizers = models.OptimizersConfigDiff(
                indexing_threshold=self.options.indexing_threshold
            )
            self._call(
                lambda client: client.update_collection(
                    self.collection, optimizers_config=optimizers
                )
            )
        deadline = time.monotonic() + self.options.optimize_timeout
        pause, green = 0.1, 0
        # The status may be green for a moment before the server notices what is to do.
        while green < 2 and time.monotonic() < deadline:
            info = self._info()
            if info.status is models.CollectionStatus.RED:
                raise EngineError(
                    f"{self.url} failed to build its graphs ({info.optimizer_status}); see the "
                    "server's log."
                )
            green = green + 1 if info.status is models.CollectionStatus.GREEN else 0
            if green < 2:
                time.sleep(pause)
                pause = min(2 * pause, 5.0)

    def settled(self) -> ServerEngine:
        replicas = self._info().config.params.replication_factor or 1
        if replicas == 1:
            return self
        settled = copy(self)
        settled._consistency = Consistency.settled(self.collection, replicas)
        return settled

    def info(self) -> Mapping[str, Any]:
        info = self._info()
        differing = None
        if (info.config.params.replication_factor or 1) > 1:
            differing = disagreement(self._nodes, self.collection, self.url)
        protocols = {note for node in self._nodes.nodes if node.up and (note := node.note)}
        missing = None
        if info.points_count and info.config.optimizer_config.indexing_threshold == 0:
            missing = f"{self.url} has no search graph yet: run `lookalike optimize`."
        return {
            "notes": [*sorted(protocols)[:1], *filter(None, [differing, missing])],
            "points": info.points_count or 0,
            "indexed_vectors": info.indexed_vectors_count or 0,
            "bytes_on_disk": None,  # servers tell reserved file sizes, many times what is used
            "engine": "qdrant-server",
            "status": info.status.value,
        }

    def open_state(self) -> ServerState:
        state = ServerState(self._call, self.collection, self.options, self.url)
        state.open()
        return state

    def problems(self, *, whole: bool = False) -> list[str]:
        status = self._info().status.value
        return ["the server reports a failed operation (status red)"] if status == "red" else []

    def close(self) -> None:
        self._writers.shutdown()
        self._nodes.close()


@dataclass(frozen=True, slots=True)
class _Known:
    """Facts about a collection.

    Attributes:
        layout: its vectors.
        limits: the limits that it sets to requests.
    """

    layout: Mapping[str, models.VectorParams]
    limits: Limits
