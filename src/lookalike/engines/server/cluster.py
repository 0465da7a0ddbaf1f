"""A cluster's replicas: where they are, how they are to be spread, and the steps that do it.

A step is one operation of Qdrant's own. A plan is made of what is there now, so one that was cut
off goes on when it is made again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from qdrant_client import QdrantClient, models

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.caller import Caller
from lookalike.engines.server.connection import Node, Nodes
from lookalike.engines.server.errors import FAILURES, failure_of
from lookalike.engines.server.state import SUFFIX
from lookalike.errors import AccessDenied, EngineError, InputError
from lookalike.system import patience

T = TypeVar("T")

ACTIVE = "Active"
_PAUSE = 0.5
"""Seconds between two looks at a transfer."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica of a shard.

    Attributes:
        shard: number of the shard.
        peer: id of the node that holds it.
        state: as Qdrant names it: Active, Dead, Recovery, Partial, …
        points: number of its points; None if its node does not answer, or is not in the address.
    """

    shard: int
    peer: int
    state: str
    points: int | None = None


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The state of a cluster.

    Attributes:
        peers: the nodes by id, with the addresses by which they know each other.
        wanted: replicas that each shard should have.
        replicas: all replicas, by shard and node.
        transfers: shards that are being transferred.
        problems: sentences on what is not as it should be.
    """

    peers: Mapping[int, str]
    wanted: int
    replicas: Sequence[Replica]
    transfers: Sequence[int] = ()
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of Qdrant's own.

    Attributes:
        kind: `replicate` and `move` go from one node to another, `drop` gives a replica up, and
            `replicas` sets the number of replicas, which is its `shard`.
        shard: number of the shard.
        source: node that it goes from, or is dropped from.
        target: node that it goes to.
    """

    kind: Literal["replicate", "move", "drop", "replicas"]
    shard: int
    source: int = 0
    target: int = 0

    def __str__(self) -> str:
        match self.kind:
            case "replicas":
                return f"set the number of replicas to {self.shard}"
            case "drop":
                return f"drop the replica of shard {self.shard} on node {self.source}"
            case "replicate":
                return f"copy shard {self.shard} from node {self.source} to node {self.target}"
            case "move":
                return f"move shard {self.shard} from node {self.source} to node {self.target}"


@dataclass(slots=True)
class _Placement:
    """The replicas as they will be after the steps so far."""

    nodes: Sequence[int]
    holders: dict[int, set[int]]
    healthy: Mapping[int, set[int]]
    steps: list[Step] = field(default_factory=list)

    def load(self) -> Counter[int]:
        """Number of replicas by node."""
        load = Counter(dict.fromkeys(self.nodes, 0))
        for peers in self.holders.values():
            load.update(peer for peer in peers if peer in load)
        return load

    def free(self, shard: int) -> int | None:
        """The node with the fewest replicas that has none of a shard."""
        load = self.load()
        free = [peer for peer in self.nodes if peer not in self.holders[shard]]
        return min(free, key=lambda peer: (load[peer], peer)) if free else None


def plan(
    status: ClusterStatus, *, replicas: int | None = None, without: Sequence[int] = ()
) -> list[Step]:
    """Plans what spreads the replicas evenly over the nodes.

    Args:
        status: the cluster as it is.
        replicas: replicas that each shard is to have; by default as many as it should have.
        without: nodes that are to hold none, as they leave for good.

    Raises:
        InputError: there are fewer nodes than replicas, or a shard has no replica to copy from.
    """
    wanted = replicas or status.wanted
    for peer in without:
        if peer not in status.peers:
            raise InputError(f"There is no node {peer}; `lookalike cluster status` lists them.")
    nodes = sorted(peer for peer in status.peers if peer not in without)
    if wanted > len(nodes):
        raise InputError(
            f"{wanted} replicas need as many nodes, and there would be {len(nodes)}: add nodes, or "
            f"ask for --replicas {len(nodes)}."
        )
    shards = sorted({replica.shard for replica in status.replicas})
    holders: dict[int, set[int]] = {shard: set() for shard in shards}
    healthy: dict[int, set[int]] = {shard: set() for shard in shards}
    for replica in status.replicas:
        holders[replica.shard].add(replica.peer)
        if replica.state == ACTIVE:
            healthy[replica.shard].add(replica.peer)
    placement = _Placement(nodes, holders, healthy)
    if wanted != status.wanted:
        placement.steps.append(Step("replicas", wanted))
    for shard in shards:
        _fill(placement, shard, wanted)
    _level(placement)
    return placement.steps


def _fill(placement: _Placement, shard: int, wanted: int) -> None:
    """Gives a shard the replicas that it lacks, then drops those on nodes that leave."""
    sources = placement.healthy[shard]
    if not sources:
        raise InputError(
            f"Shard {shard} has no active replica to copy from: bring one of its nodes back, or "
            "restore the index from a backup."
        )
    source = min(sources, key=lambda peer: (peer not in placement.nodes, peer))
    leaving = [peer for peer in placement.holders[shard] if peer not in placement.nodes]
    staying = placement.holders[shard] - set(leaving)
    while len(staying) < wanted and (target := placement.free(shard)) is not None:
        placement.steps.append(Step("replicate", shard, source, target))
        placement.holders[shard].add(target)
        placement.healthy[shard].add(target)
        staying.add(target)
    for peer in leaving:
        placement.steps.append(Step("drop", shard, peer))
        placement.holders[shard].discard(peer)


def _level(placement: _Placement) -> None:
    """Moves replicas from nodes with more to nodes with fewer, until none has two more."""
    while True:
        load = placement.load()
        target = min(placement.nodes, key=lambda peer: (load[peer], peer))
        for source in sorted(placement.nodes, key=lambda peer: (-load[peer], peer)):
            if load[source] - load[target] < 2:
                return
            movable = [
                shard
                for shard, peers in placement.holders.items()
                if source in peers and target not in peers and source in placement.healthy[shard]
            ]
            if movable:
                shard = movable[0]
                placement.steps.append(Step("move", shard, source, target))
                for peers in (placement.holders[shard], placement.healthy[shard]):
                    peers.remove(source)
                    peers.add(target)
                break
        else:
            return


class Cluster:
    """The cluster behind the nodes of an address.

    Args:
        nodes: the nodes of the address.
        collection: the collection's name.
        url: names the collection in errors.
        options: timeout and patience.
    """

    def __init__(self, nodes: Nodes, collection: str, url: str, options: ServerOptions) -> None:
        self.nodes = nodes
        self.collection = collection
        self.url = url
        self._call = Caller(nodes, url, options)

    def of_state(self) -> Cluster | None:
        """The same for the collection that services keep their state in; None where there is none,
        or none that the key permits."""
        name = f"{self.collection}{SUFFIX}"
        try:
            exists = self._call(lambda client: client.collection_exists(name))
        except AccessDenied:
            return None
        return (
            Cluster(self.nodes, name, f"{self.url}{SUFFIX}", self._call.options) if exists else None
        )

    def status(self) -> ClusterStatus:
        """Asks all nodes of the address for what they hold.

        Raises:
            EngineError: the server is a single node, or cannot be used.
        """
        cluster: Any = self._call(lambda client: client.cluster_status())
        if not isinstance(cluster, models.ClusterStatusOneOf1):
            raise EngineError(f"{self.url} is on a single node, not on a cluster.")
        info = self._call(lambda client: client.get_collection(self.collection))
        seen, silent = self._seen()
        points = {
            (shard.shard_id, one.peer_id): shard.points_count
            for one in seen
            for shard in one.local_shards
        }
        states = _states(seen)
        status = ClusterStatus(
            {int(peer): about.uri for peer, about in cluster.peers.items()},
            info.config.params.replication_factor or 1,
            [
                Replica(shard, peer, state, points.get((shard, peer)))
                for (shard, peer), state in sorted(states.items())
            ],
            sorted({transfer.shard_id for one in seen for transfer in one.shard_transfers}),
        )
        return _with_problems(status, silent)

    def _seen(self) -> tuple[list[models.CollectionClusterInfo], list[str]]:
        """Returns the state of the collection on each node, and the nodes that do not answer."""
        seen, silent = [], []
        for node in self.nodes.nodes:
            try:
                seen.append(_collection_cluster(node.client(quick=True), self.collection))
            except FAILURES as error:
                failure = failure_of(error, self.url, 1)
                if not failure.away:
                    raise failure.error from error
                silent.append(node.url)
        if not seen:
            raise EngineError(f"{self.url} cannot be reached: start the server, or check the URL.")
        return seen, silent

    def carry_out(self, steps: Sequence[Step]) -> Iterator[Step]:
        """Carries out steps one after the other; yields each when it is done.

        Raises:
            EngineError: Qdrant refused a step, or gave a transfer up.
        """
        for step in steps:
            self._wait()
            self._call(lambda client, step=step: self._do(client, step))  # type: ignore[misc]
            if step.kind in ("replicate", "move"):
                self._wait()
                states = _states([self._call(self._cluster)])
                if states.get((step.shard, step.target)) != ACTIVE:
                    raise EngineError(
                        f"{self.url} gave up a transfer ({step}): see the server's log, and run "
                        "the same command again to go on."
                    )
            yield step

    def _cluster(self, client: QdrantClient) -> models.CollectionClusterInfo:
        return _collection_cluster(client, self.collection)

    def _wait(self) -> None:
        """Waits until no shard is being transferred."""
        with patience.waiting("waiting for a transfer of Qdrant"):
            while self._call(self._cluster).shard_transfers:
                time.sleep(_PAUSE)

    def _do(self, client: QdrantClient, step: Step) -> None:
        if step.kind == "replicas":
            client.update_collection(
                self.collection,
                collection_params=models.CollectionParamsDiff(replication_factor=step.shard),
            )
            return
        ends: dict[str, Any] = {
            "shard_id": step.shard,
            "from_peer_id": step.source,
            "to_peer_id": step.target,
        }
        operation: models.ClusterOperations
        match step.kind:
            case "replicate":
                operation = models.ReplicateShardOperation(
                    replicate_shard=models.ReplicateShard(**ends)
                )
            case "move":
                operation = models.MoveShardOperation(move_shard=models.MoveShard(**ends))
            case "drop":
                replica = models.Replica(shard_id=step.shard, peer_id=step.source)
                operation = models.DropReplicaOperation(drop_replica=replica)
        client.http.distributed_api.update_collection_cluster(
            collection_name=self.collection, cluster_operations=operation
        )

    def answering(self) -> list[Node]:
        """The nodes of the address that answer.

        Raises:
            EngineError: one of them does not, so that replicas cannot be compared.
        """
        _, silent = self._seen()
        if silent:
            raise EngineError(
                f"{silent[0]} does not answer, so its replicas cannot be compared: start it, and "
                "run the same command again."
            )
        return list(self.nodes.nodes)

    def ask(self, node: Node, work: Callable[[QdrantClient], T]) -> T:
        """Asks one node for what no other can tell.

        Raises:
            EngineError: it does not answer.
        """
        return Caller(self.nodes, node.url, self._call.options)(work, among=[node])

    def close(self) -> None:
        """Closes the connections."""
        self.nodes.close()


def _collection_cluster(client: QdrantClient, collection: str) -> models.CollectionClusterInfo:
    response = client.http.distributed_api.collection_cluster_info(collection_name=collection)
    assert response.result is not None  # noqa: S101 -- for the type checker
    return response.result


def _states(seen: Sequence[models.CollectionClusterInfo]) -> dict[tuple[int, int], str]:
    """The state of each replica by shard and node; a node knows best about its own."""
    states: dict[tuple[int, int], str] = {}
    for one in seen:
        for shard in one.remote_shards:
            states[shard.shard_id, shard.peer_id] = shard.state.value
    for one in seen:
        for local in one.local_shards:
            states[local.shard_id, one.peer_id] = local.state.value
    return states


def _with_problems(status: ClusterStatus, silent: Sequence[str]) -> ClusterStatus:
    problems = [f"{url} does not answer." for url in silent]
    by_shard: dict[int, list[Replica]] = {}
    for replica in status.replicas:
        by_shard.setdefault(replica.shard, []).append(replica)
        if replica.state != ACTIVE:
            problems.append(
                f"The replica of shard {replica.shard} on node {replica.peer} is {replica.state}."
            )
        if replica.peer not in status.peers:
            problems.append(f"Shard {replica.shard} is on node {replica.peer}, which is gone.")
    for shard, replicas in by_shard.items():
        if len(replicas) < status.wanted:
            problems.append(
                f"Shard {shard} has {len(replicas)} of {status.wanted} replicas: run `lookalike "
                "cluster balance`."
            )
        counts = {replica.points for replica in replicas if replica.points is not None}
        if len(counts) > 1:
            found = " and ".join(f"{count:,}" for count in sorted(counts))
            problems.append(
                f"The replicas of shard {shard} differ ({found} points): run `lookalike cluster "
                "repair`."
            )
    return ClusterStatus(
        status.peers, status.wanted, status.replicas, status.transfers, tuple(problems)
    )
