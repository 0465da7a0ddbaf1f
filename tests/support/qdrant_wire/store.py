"""The state of the stand-in server, and the faults that tests inject."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from qdrant_client import QdrantClient, models


@dataclass(frozen=True)
class Fault:
    """A fault that one request meets.

    Attributes:
        status: HTTP status of the error response; 0 carries out the request and then drops the
            connection; None carries it out.
        error: text of the error response.
        headers: headers of the error response.
        seconds: delay before anything happens.
        on: part of the request's name; other requests are served normally.
    """

    status: int | None = None
    error: str = "fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    on: str = ""


class Rejected(Exception):
    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.headers = status, error, headers or {}


@dataclass
class Store:
    """The state that both APIs share.

    Attributes:
        local: holds the collections.
        faults: faults of the requests to come, in order.
        requests: names of the requests received, but for the version.
        thresholds: indexing thresholds by collection.
        created: requests that created a collection.
        version: the server's version.
        api_key: the key that requests must carry.
        shards: shards of every collection, which count facets each for itself.
        status: statuses that the collection reports, in order.
        queries: the queries received.
    """

    local: QdrantClient = field(default_factory=lambda: QdrantClient(":memory:"))
    lock: threading.RLock = field(default_factory=threading.RLock)
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[str] = field(default_factory=list)
    thresholds: dict[str, int] = field(default_factory=dict)
    created: dict[str, models.CreateCollection] = field(default_factory=dict)
    version: str = "1.20.0"
    api_key: str | None = None
    shards: int = 1
    status: list[str] = field(default_factory=list)
    queries: list[list[models.QueryRequest]] = field(default_factory=list)

    def do(self, name: str, key: str | None, work: Callable[[], Any]) -> Any:
        """Carries out a request, unless a fault is due."""
        with self.lock:
            if name != "root":
                self.requests.append(name)
            fault = None
            if self.faults and self.faults[0].on in name and name != "root":
                fault = self.faults.popleft()
        if self.api_key is not None and key != self.api_key and name != "root":
            raise Rejected(401, "Must provide an API key or an Authorization bearer token")
        if fault is not None:
            time.sleep(fault.seconds)
            if fault.status:
                raise Rejected(fault.status, fault.error, fault.headers)
        with self.lock:
            try:
                answer = work()
            except ValueError as error:
                raise _rejection(str(error)) from error
            except KeyError as error:
                raise Rejected(404, f"Not found: No point with id {error} found") from error
        if fault is not None and fault.status == 0:
            raise ConnectionAbortedError
        return answer

    def create(self, name: str, body: models.CreateCollection) -> bool:
        done = self.local.create_collection(
            name,
            vectors_config=body.vectors,
            shard_number=body.shard_number,
            metadata=body.metadata,
        )
        self.created[name] = body
        self._set(name, body.optimizers_config)
        return done

    def update(self, name: str, body: models.UpdateCollection) -> bool:
        self.local.update_collection(name, metadata=body.metadata)
        self._set(name, body.optimizers_config)
        return True

    def _set(self, name: str, optimizers: models.OptimizersConfigDiff | None) -> None:
        if optimizers is not None and optimizers.indexing_threshold is not None:
            self.thresholds[name] = optimizers.indexing_threshold

    def info(self, name: str) -> models.CollectionInfo:
        info = self.local.get_collection(name)
        threshold = self.thresholds.get(name, 10_000)
        info.config.optimizer_config.indexing_threshold = threshold
        if threshold and self.status:
            info.status = models.CollectionStatus(self.status.pop(0))
        return info

    def query(self, name: str, requests: list[models.QueryRequest]) -> list[models.QueryResponse]:
        self.queries.append(requests)
        return self.local.query_batch_points(name, requests)

    def facet(
        self, name: str, key: str, filter: models.Filter | None, limit: int
    ) -> models.FacetResponse:
        """Adds up what each shard names, so that counts may be too low, as on a real server."""
        everything = self.local.facet(name, key, filter, 1_000_000, exact=True).hits
        if self.shards == 1:
            return models.FacetResponse(hits=everything[:limit])
        totals: Counter[str | int | bool] = Counter()
        for shard in range(self.shards):
            of_shard: Counter[str | int | bool] = Counter()
            for hit in everything:
                share, rest = divmod(hit.count, self.shards)
                of_shard[hit.value] = share + (hash(hit.value) % self.shards == shard) * rest
            totals.update(dict(of_shard.most_common(limit)))
        ranked = totals.most_common()
        random.shuffle(ranked)  # equal counts in any order
        ranked = sorted(ranked, key=lambda one: -one[1])[:limit]
        return models.FacetResponse(
            hits=[models.FacetValueHit(value=value, count=count) for value, count in ranked]
        )


def _rejection(error: str) -> Rejected:
    """The real server's status and message for an error of the in-memory mode."""
    if error.startswith("Collection") and error.endswith("not found"):
        return Rejected(404, f"Not found: Collection `{error.split()[1]}` doesn't exist!")
    if "already exists" in error:
        return Rejected(409, f"Wrong input: {error}!")
    return Rejected(400, error)
