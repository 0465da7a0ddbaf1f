"""The state of the stand-in server, and the faults that tests inject."""

from __future__ import annotations

import copy
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from qdrant_client import QdrantClient, models

from tests.support.qdrant_wire.older import as_before_1_20
from tests.support.qdrant_wire.refusals import Rejected, rejection, strict


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


def request_name(name: str, collection: str) -> str:
    """The name under which a request is counted and meets faults: those to the collection that
    services keep their state in have one of their own."""
    return "state" if collection.endswith("__state") else name


_FEW = (
    "Service internal error: The replica set for shard 0 on peer {node} does not have enough "
    "active replicas"
)
_CHANGES = ("upsert", "delete", "batch")
_WRITES = {
    *("upsert", "delete", "batch_update_points", "create_collection", "delete_collection"),
    *("create_vector_name", "delete_vector_name"),
}


class Replicas:
    """The replicas of everything: writes go to all, unless one of them misses it, reads to one.

    Attributes:
        clients: the replicas.
        reader: number of the one that is read.
        everywhere: whether points are read that all replicas have alike.
        missing: number of one that misses writes; None while all take them.
        away: numbers of those whose nodes do not answer.
    """

    def __init__(self, clients: Sequence[QdrantClient]) -> None:
        self.clients = clients
        self.reader = 0
        self.everywhere = False
        self.missing: int | None = None
        self.away: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if name in _WRITES or name == "update_collection":
                done = [
                    getattr(client, name)(*arguments, **keywords)
                    for i, client in enumerate(self.clients)
                    if i != self.missing and i not in self.away
                ]
                return done[0]
            answers = [
                getattr(client, name)(*arguments, **keywords)
                for i, client in enumerate(self.clients)
                if self.everywhere or i == self.reader
            ]
            return answers[0] if len(answers) == 1 else _common(name, answers)

        return call

    def recover(self, number: int, points: bool) -> None:
        """Brings back a replica, with what it missed if `points`, else only the collections."""
        self.away.discard(number)
        held_by: list[Any] = [client._client for client in self.clients]
        theirs = held_by[number].collections
        source = next(i for i in range(len(self.clients)) if i != number and i not in self.away)
        for name, held in held_by[source].collections.items():
            if points or name not in theirs:
                theirs[name] = copy.deepcopy(held)
            theirs[name].config.metadata = held.config.metadata


def _common(name: str, answers: Sequence[Any]) -> Any:
    """What all replicas have alike."""
    if name == "count":
        return min(answers, key=lambda answer: answer.count)
    if name == "retrieve":
        return _records_alike(answers)
    if name == "scroll":
        return _records_alike([records for records, _ in answers]), answers[0][1]
    return answers[0]


def _records_alike(answers: Sequence[Sequence[models.Record]]) -> list[models.Record]:
    others = [{record.id: record for record in records} for records in answers[1:]]
    return [one for one in answers[0] if all(_is_alike(one, held.get(one.id)) for held in others)]


def _is_alike(record: models.Record, other: models.Record | None) -> bool:
    """Compares records; in memory, vectors that were written twice may vary in their last bit."""
    if other is None or record.payload != other.payload:
        return False
    vectors: Any = record.vector or {}
    others: Any = other.vector or {}
    return all(np.allclose(vectors[name], others[name], atol=1e-6) for name in vectors)


@dataclass
class Store:
    """The state that both APIs share.

    Attributes:
        local: holds the collections, in `replicas` copies.
        nodes: nodes of the cluster.
        faults: faults of the requests to come, in order.
        requests: names of the requests received, but for the version.
        thresholds: indexing thresholds by collection.
        created: requests that created a collection.
        version: the server's version.
        api_key: the key that requests must carry.
        shards: shards of every collection, which count facets each for itself.
        placement: states of replicas by shard and node.
        state_placement: the same of the collection with the state of services.
        operations: operations on replicas, in order.
        wanted: replicas that each shard should have, if not `replicas`.
        strict: limits of every collection.
        status: statuses that the collection reports, in order.
        queries: the queries received.
        denied: a collection that the key does not permit.
        dead: nodes whose replicas missed a write that enough others took.
        texts: fields with a text index, as far as a version before 1.20 asks.
    """

    local: Any = None
    replicas: int = 1
    nodes: int = 1
    lock: threading.RLock = field(default_factory=threading.RLock)
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[str] = field(default_factory=list)
    thresholds: dict[str, int] = field(default_factory=dict)
    created: dict[str, models.CreateCollection] = field(default_factory=dict)
    version: str = "1.20.0"
    api_key: str | None = None
    shards: int = 1
    placement: dict[tuple[int, int], str] = field(default_factory=dict)
    state_placement: dict[tuple[int, int], str] = field(default_factory=dict)
    operations: list[Any] = field(default_factory=list)
    wanted: int | None = None
    strict: models.StrictModeConfigOutput = field(default_factory=models.StrictModeConfigOutput)
    status: list[str] = field(default_factory=list)
    queries: list[list[models.QueryRequest]] = field(default_factory=list)
    denied: str = ""
    dead: set[int] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.local = Replicas([QdrantClient(":memory:") for _ in range(self.replicas)])

    def lose(self, node: int) -> None:
        """Has a node answer no other one, if each has a replica of its own."""
        with self.lock:
            if self.replicas == self.nodes > 1:
                self.local.away.add(node)

    def regain(self, node: int) -> None:
        """Has a node answer the others again, and its replica recover where it is dead."""
        with self.lock:
            if node in self.local.away:
                self.local.recover(node, node in self.dead)
            self.dead.discard(node)

    def cluster(self) -> Any:
        """The status of the cluster."""
        if self.nodes == 1:
            return {"status": "disabled"}
        peers = {str(i): {"uri": f"http://node{i}:6335/"} for i in range(self.nodes)}
        raft = {"term": 1, "commit": 1, "pending_operations": 0, "leader": 0, "is_voter": True}
        return {
            "status": "enabled",
            "peer_id": 0,
            "peers": peers,
            "raft_info": raft,
            "consensus_thread_status": {
                "consensus_thread_status": "working",
                "last_update": "2026-01-01T00:00:00Z",
            },
            "message_send_failures": {},
        }

    def collection_cluster(self, name: str, node: int) -> Any:
        """What a node says of a collection."""
        placement, number = self._placed(name)
        if not placement:
            for shard in range(number):
                for i in range(self.replicas):
                    placement[shard, (shard + i) % self.nodes] = "Active"
        client = self.local.clients[node % self.replicas]
        points = client.scroll(name, limit=1_000_000, with_payload=False)[0]
        shards = Counter(UUID(str(point.id)).int % number for point in points)
        states = {at: "Dead" if at[1] in self.dead else s for at, s in placement.items()}
        local = [
            {"shard_id": shard, "points_count": shards[shard], "state": state}
            for (shard, peer), state in states.items()
            if peer == node
        ]
        remote = [
            {"shard_id": shard, "peer_id": peer, "state": state}
            for (shard, peer), state in states.items()
            if peer != node
        ]
        return {
            "peer_id": node,
            "shard_count": number,
            "local_shards": local,
            "remote_shards": remote,
            "shard_transfers": [],
        }

    def _placed(self, name: str) -> tuple[dict[tuple[int, int], str], int]:
        """The placement and the number of shards of a collection."""
        if name.endswith("__state"):
            return self.state_placement, 1
        return self.placement, self.shards

    def change_cluster(self, name: str, body: Any) -> bool:
        """Carries out an operation on the replicas of a collection."""
        self.operations.append(body)
        placement, _ = self._placed(name)
        match body:
            case {"replicate_shard": ends}:
                placement[ends["shard_id"], ends["to_peer_id"]] = "Active"
            case {"move_shard": ends}:
                del placement[ends["shard_id"], ends["from_peer_id"]]
                placement[ends["shard_id"], ends["to_peer_id"]] = "Active"
            case {"drop_replica": ends}:
                del placement[ends["shard_id"], ends["peer_id"]]
        return True

    def do(
        self,
        name: str,
        key: str | None,
        work: Callable[[], Any],
        *,
        everywhere: bool = False,
        node: int = 0,
    ) -> Any:
        """Carries out a request, unless a fault is due.

        Args:
            name: the request.
            key: the key that came with it.
            work: carries it out.
            everywhere: whether it has the read consistency "all".
            node: the node that received it.
        """
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
            if everywhere and (self.local.away or self.dead):
                raise Rejected(500, _FEW.format(node=node))
            self.local.everywhere, self.local.reader = everywhere, node % self.replicas
            try:
                answer = work()
            except ValueError as error:
                raise rejection(str(error)) from error
            except KeyError as error:
                raise Rejected(404, f"Not found: No point with id {error.args[0]} found") from error
            if name in _CHANGES:  # before a node may come back, which would not know what it missed
                self._check_written()
        if fault is not None and fault.status == 0:
            raise ConnectionAbortedError
        return answer

    def _check_written(self) -> None:
        """Fails a write that too few replicas took, which stays where it is; of one that enough
        took, the replicas without it are dead until they have recovered."""
        lost = self.local.away
        taken = self.replicas - len(lost)
        least = max((one.write_consistency_factor or 1 for one in self.created.values()), default=1)
        if self.local.missing is not None or taken < min(least, self.replicas):
            raise Rejected(
                500,
                "Service internal error: 1 out of 1 shards failed to apply operation. First error "
                "captured: Service internal error: the peer does not answer",
            )
        self.dead |= lost

    def create(self, name: str, body: models.CreateCollection) -> bool:
        done: bool = self.local.create_collection(
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
        if body.params is not None:
            self.wanted = body.params.replication_factor or self.wanted
        return True

    def _set(self, name: str, optimizers: models.OptimizersConfigDiff | None) -> None:
        if optimizers is not None and optimizers.indexing_threshold is not None:
            self.thresholds[name] = optimizers.indexing_threshold

    def upsert(
        self, name: str, points: Sequence[Any], mode: models.UpdateMode | None = None
    ) -> Any:
        self.check("upsert limit", len(points), self.strict.upsert_max_batchsize)
        return self.local.upsert(name, points, update_mode=mode)

    def scroll(self, name: str, filter: models.Filter | None, limit: int, *rest: Any) -> Any:
        self.check("limit", limit, self.strict.max_query_limit)
        self.check_filter(filter)
        return self.local.scroll(name, self.understood(filter), limit, *rest)

    def info(self, name: str) -> models.CollectionInfo:
        info: models.CollectionInfo = self.local.get_collection(name)
        threshold = self.thresholds.get(name, 10_000)
        info.config.optimizer_config.indexing_threshold = threshold
        info.config.strict_mode_config = self.strict
        for path in self.texts:
            text = models.PayloadIndexInfo(data_type=models.PayloadSchemaType.TEXT, points=0)
            info.payload_schema[path] = text
        info.config.params.replication_factor = self.wanted or self.replicas
        if threshold and self.status:
            info.status = models.CollectionStatus(self.status.pop(0))
        return info

    def check(self, limit: str, value: float, most: float | None) -> None:
        """Refuses what exceeds a limit of strict mode."""
        if most is not None and value > most:
            raise strict(
                f'Limit exceeded {value} > {most} for "{limit}"',
                f'Reduce the "{limit}" parameter to or below {most}.',
            )

    def check_exact(self, exact: bool | None) -> None:
        """Refuses exact search, counts and facets where they are not allowed."""
        if exact and self.strict.search_allow_exact is False:
            raise strict("Exact search disabled!", "Set exact=false.")

    def check_query(self, request: Any) -> None:
        """Refuses a query, or a stage of one, that exceeds a limit."""
        self.check("limit", request.limit or 0, self.strict.max_query_limit)
        self.check_filter(request.filter)
        if params := request.params:
            self.check_exact(params.exact)
            oversampling = params.quantization and params.quantization.oversampling
            self.check("oversampling", oversampling or 0, self.strict.search_max_oversampling)
            self.check("hnsw_ef", params.hnsw_ef or 0, self.strict.search_max_hnsw_ef)
        for stage in request.prefetch or []:
            self.check_query(stage)

    def check_filter(self, filter: models.Filter | None) -> None:
        """Refuses a filter that exceeds a limit."""
        leaves = list(_leaves(filter))
        number, most = len(leaves), self.strict.filter_max_conditions
        if most is not None and number > most:
            raise strict(
                f"Filter condition limit reached ({number} > {most})",
                "Reduce the amount of conditions of your filter.",
            )
        for leaf in leaves:
            values = getattr(leaf, "has_id", getattr(getattr(leaf, "match", None), "any", []))
            size, most = len(values), self.strict.condition_max_size
            if most is not None and size > most:
                raise strict(
                    f"Condition size limit reached ({size} > {most})",
                    "Reduce the size of your condition.",
                )

    def understood(self, filter: models.Filter | None) -> models.Filter | None:
        """The filter as this version of the server understands it."""
        return as_before_1_20(filter, self.texts) if self.version.startswith("1.19") else filter

    def query(self, name: str, requests: list[models.QueryRequest]) -> list[models.QueryResponse]:
        self.check("search batch size", len(requests), self.strict.search_max_batchsize)
        for request in requests:
            self.check_query(request)
        self.queries.append(requests)
        requests = [
            one.model_copy(update={"filter": self.understood(one.filter)}) for one in requests
        ]
        answers: list[models.QueryResponse] = self.local.query_batch_points(name, requests)
        return answers

    def count(
        self, name: str, filter: models.Filter | None, exact: bool | None
    ) -> models.CountResult:
        self.check_filter(filter)
        self.check_exact(exact)
        counted: models.CountResult = self.local.count(name, self.understood(filter))
        return counted

    def change(self, name: str, operations: Sequence[models.UpdateOperation]) -> Any:
        """Carries out updates one after the other."""
        for one in operations:
            if isinstance(one, models.UpdateVectorsOperation):
                number = len(one.update_vectors.points)
                self.check("update limit", number, self.strict.upsert_max_batchsize)
        return self.local.batch_update_points(name, operations)

    def facet(
        self, name: str, key: str, filter: models.Filter | None, limit: int, exact: bool | None
    ) -> models.FacetResponse:
        """Adds up what each shard names, so that counts may be too low, as on a real server."""
        self.check("limit", limit, self.strict.max_query_limit)
        self.check_filter(filter)
        self.check_exact(exact)
        filter = self.understood(filter)
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


def _leaves(filter: models.Filter | None) -> Iterator[Any]:
    for clause in () if filter is None else (filter.must, filter.should, filter.must_not):
        for one in clause if isinstance(clause, list) else []:
            match one:
                case models.Filter():
                    yield from _leaves(one)
                case models.NestedCondition(nested=nested):
                    yield from _leaves(nested.filter)
                case _:
                    yield one
