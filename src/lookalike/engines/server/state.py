"""The state of services in a collection of its own, beside that of the index.

A record is a point without vectors. Conditional writes are filters on the version: the server
applies the updates of a shard one after the other, and all of a shard's go through one node.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID, uuid5

from qdrant_client import QdrantClient, models

from lookalike.engines.options import ServerOptions
from lookalike.engines.server import reads
from lookalike.engines.server.caller import Caller
from lookalike.engines.server.limits import Limits
from lookalike.engines.server.replicas import NewReplicas, number_of_nodes
from lookalike.errors import EngineError
from lookalike.system.iteration import batched
from lookalike.system.state import StateRecord

SUFFIX = "__state"
"""Appended to the name of an index's collection."""
_METADATA_KEY = "lookalike_state"
_NAMESPACE = UUID("5a1b8f0e-6f57-4f0b-9c7b-5d3c6f6c2a11")
_PAGE = 100
"""Records that are read at once."""
_BATCH_BYTES = 4 * 2**20
"""Bytes of data that are written at once; servers accept requests of up to 32 MiB."""
_KEYWORD = models.PayloadSchemaType.KEYWORD
_INDEXES: Mapping[str, models.PayloadSchemaType] = {
    "kind": _KEYWORD,
    "order": models.PayloadSchemaType.INTEGER,
    "tags": _KEYWORD,
    "version": _KEYWORD,
}
# Not `strong`, whose node does not change: while it is away, nothing could be written.
_ORDERING = models.WriteOrdering.MEDIUM


class ServerState:
    """Implements `system.state.StateStore`.

    Args:
        call: carries out requests.
        collection: the name of the index's collection.
        options: the layout of new collections.
        url: names the index in errors.
    """

    shared = True

    def __init__(self, call: Caller, collection: str, options: ServerOptions, url: str) -> None:
        self.where = f"{url}{SUFFIX}"
        self._call = call
        self._name = f"{collection}{SUFFIX}"
        self._options = options
        self._limits = Limits()

    def open(self) -> None:
        """Makes the collection where there is none, and reads its limits; see `KeepsState`."""
        if not self._exists():
            replicas = NewReplicas.of(self._options, self._call(number_of_nodes), self.where)
            try:
                self._call.once(lambda client: self._create(client, replicas.number))
            except EngineError:
                # If it exists now, another service was first, or the response was lost.
                if not self._exists():
                    raise
        info = self._call(lambda client: client.get_collection(self._name))
        if _METADATA_KEY not in (info.config.metadata or {}):
            raise EngineError(
                f"{self.where} exists, but lookalike did not create it; rename that collection, or "
                "the one of the index."
            )
        self._limits = Limits.of(info)
        for field, kind in _INDEXES.items():
            self._call(partial(self._create_index, field, kind))

    def _exists(self) -> bool:
        return self._call(lambda client: client.collection_exists(self._name))

    def _create(self, client: QdrantClient, replicas: int) -> None:
        client.create_collection(
            self._name,
            vectors_config={},
            shard_number=1,
            replication_factor=replicas,
            write_consistency_factor=self._options.write_consistency_factor,
            metadata={_METADATA_KEY: {"schema": 1}},
        )

    def _create_index(
        self, field: str, kind: models.PayloadSchemaType, client: QdrantClient
    ) -> None:
        client.create_payload_index(self._name, field, kind, wait=True)

    # --- reading ----------------------------------------------------------------------------

    def read(self, kind: str, keys: Sequence[str]) -> list[StateRecord]:
        found: list[StateRecord] = []
        for some in batched(keys, self._limits.within_page(_PAGE)):
            request = {
                "collection_name": self._name,
                "ids": [_id(kind, key) for key in some],
                "with_payload": True,
                "with_vectors": False,
                "consistency": None,
            }
            found += map(_record, self._call(partial(reads.retrieve, request)))
        return found

    def scan(self, kind: str, *, start: int = 0, offset: int = 0) -> Iterator[StateRecord]:
        if offset:
            orders = self._rows(kind, start, 1_000, ["order"])
            row = next(islice(orders, offset, None), None)
            if row is None:
                return
            start = row.payload["order"]
        yield from map(_record, self._rows(kind, start, _PAGE, True))

    def _rows(self, kind: str, start: int, size: int, payload: Any) -> Iterator[Any]:
        """Yields the points of a kind by their order."""
        size, seen = self._limits.within_page(size), set[Any]()
        while True:
            request = {
                "collection_name": self._name,
                "scroll_filter": _filter(kind, set_aside=False),
                "limit": size,
                "order_by": models.OrderBy(key="order", start_from=start),
                "with_payload": payload,
                "with_vectors": False,
            }
            rows: Sequence[Any] = self._call(partial(reads.scroll, request))[0]
            new = [row for row in rows if row.id not in seen]
            yield from new
            if len(rows) < size or not new:
                return
            start, seen = rows[-1].payload["order"], {row.id for row in rows}

    def tagged(self, kind: str, tags: Sequence[str]) -> list[StateRecord]:
        found: dict[str, StateRecord] = {}
        for some in batched(tags, self._limits.values or _PAGE):
            matching = models.FieldCondition(key="tags", match=models.MatchAny(any=list(some)))
            offset = None
            while True:
                request = {
                    "collection_name": self._name,
                    "scroll_filter": _filter(kind, matching),
                    "limit": self._limits.within_page(_PAGE),
                    "offset": offset,
                    "with_payload": True,
                    "with_vectors": False,
                }
                rows, offset = self._call(partial(reads.scroll, request))
                found.update((record.key, record) for record in map(_record, rows))
                if offset is None:
                    break
        return sorted(found.values(), key=lambda record: record.order)

    def count(self, kind: str) -> int:
        filter = _filter(kind, set_aside=False)
        return self._call(lambda client: client.count(self._name, filter, exact=True)).count

    # --- writing ----------------------------------------------------------------------------

    def put(self, kind: str, records: Sequence[StateRecord]) -> None:
        largest = max((len(record.data) for record in records), default=0)
        size = self._limits.within_batch(min(_PAGE, max(_BATCH_BYTES // max(largest, 1), 1)))
        for some in batched(records, size):
            self._call(partial(self._upsert, [_point(kind, record) for record in some]))

    def _upsert(self, points: list[models.PointStruct], client: QdrantClient) -> None:
        client.upsert(self._name, points, wait=True, ordering=_ORDERING)

    def replace(self, kind: str, old: StateRecord | None, new: StateRecord) -> bool:
        point = _point(kind, new)
        if old is None:
            self._call(partial(self._insert, point))
        else:
            self._overwrite(point, [old.version])
        stored = self.read(kind, [new.key])
        return bool(stored) and new.version in (stored[0].version, *stored[0].before)

    def send_again(self, point: models.PointStruct, versions: Sequence[str]) -> None:
        """Writes a record to the replicas that lack it, or have one of these versions of it."""
        self._call(partial(self._insert, point))
        self._overwrite(point, versions)

    def _overwrite(self, point: models.PointStruct, versions: Sequence[str]) -> None:
        """Replaces a record where it has one of these versions."""
        condition = models.FieldCondition(key="version", match=models.MatchAny(any=list(versions)))
        unchanged = models.Filter(must=[models.HasIdCondition(has_id=[point.id]), condition])
        content = models.SetPayload(payload=point.payload or {}, filter=unchanged)
        self._update(models.OverwritePayloadOperation(overwrite_payload=content))

    def _insert(self, point: models.PointStruct, client: QdrantClient) -> None:
        client.upsert(
            self._name,
            [point],
            wait=True,
            ordering=_ORDERING,
            update_mode=models.UpdateMode.INSERT_ONLY,
        )

    def _update(self, operation: models.UpdateOperation) -> None:
        self._call(
            lambda client: client.batch_update_points(
                self._name, [operation], wait=True, ordering=_ORDERING
            )
        )

    def delete(self, kind: str, keys: Sequence[str]) -> None:
        for some in batched(keys, 1_000):
            points = models.PointIdsList(points=[_id(kind, key) for key in some])
            self._update(models.DeleteOperation(delete=points))

    def clear(self, kind: str) -> None:
        self._update(models.DeleteOperation(delete=models.FilterSelector(filter=_filter(kind))))

    def close(self) -> None:
        pass  # the connections are the engine's


def _id(kind: str, key: str) -> str:
    return str(uuid5(_NAMESPACE, f"{kind}/{key}"))


def _filter(kind: str, *more: models.Condition, set_aside: bool = True) -> models.Filter:
    """Records of a kind, with those set aside or without."""
    conditions: list[models.Condition] = [
        models.FieldCondition(key="kind", match=models.MatchValue(value=kind)),
        *more,
    ]
    if not set_aside:
        conditions.append(models.FieldCondition(key="order", range=models.Range(gte=0)))
    return models.Filter(must=conditions)


def _point(kind: str, record: StateRecord) -> models.PointStruct:
    payload = {
        "kind": kind,
        "key": record.key,
        "order": record.order,
        "tags": list(record.tags),
        "version": record.version,
        "before": list(record.before),
        "value": json.dumps(record.value),
        "data": base64.b64encode(record.data).decode(),
    }
    return models.PointStruct(id=_id(kind, record.key), vector={}, payload=payload)


def _record(row: Any) -> StateRecord:
    payload = row.payload
    return StateRecord(
        key=payload["key"],
        value=json.loads(payload["value"]),
        order=payload["order"],
        tags=tuple(payload["tags"]),
        data=base64.b64decode(payload["data"]),
        version=payload["version"],
        before=tuple(payload["before"]),
    )
