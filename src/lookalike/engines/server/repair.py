"""Repair of replicas that differ: points that not every node has alike are sent again.

Each node answers from its own replica where it has one, so the nodes are read side by side, in the
order of the points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from qdrant_client import QdrantClient, models

from lookalike.engines.rows import stored
from lookalike.engines.server.cluster import Cluster
from lookalike.engines.server.connection import Node
from lookalike.engines.server.engine import ServerEngine
from lookalike.engines.server.state import ServerState
from lookalike.errors import EngineError
from lookalike.record import record_of
from lookalike.system.iteration import batched
from lookalike.types import Point

_PAGE = 500
_SENT_TOGETHER = 100
_VERSIONS = ["version", "before"]
"""Fields of a state record that tell its content; see `StateRecord`."""

Payloads: TypeAlias = Sequence[dict[str, Any] | None]
"""The payload of a point on each node; None where it is missing."""


def differing_points(cluster: Cluster) -> Iterator[tuple[str, Node]]:
    """Yields the point ids that not all nodes have alike, each with the node whose point is taken.

    A point that one node has and another lacks is kept, as nothing tells a deletion that one node
    missed from an addition; `lookalike index --prune` deletes it. Of points that differ, the one
    that more nodes have is taken, then the one that was indexed last.

    Raises:
        EngineError: a node does not answer.
    """
    nodes = cluster.answering()
    for id, payloads in _differing(cluster, nodes, payload=True):
        yield id, nodes[_best(payloads)]


def _differing(
    cluster: Cluster, nodes: Sequence[Node], *, payload: bool | list[str]
) -> Iterator[tuple[str, Payloads]]:
    """Yields the point ids that not all nodes have alike, with what each has.

    Args:
        cluster: the cluster.
        nodes: its nodes.
        payload: the fields to compare; True compares all.
    """
    if len(nodes) < 2:
        raise EngineError(
            f"{cluster.url} names one node only: name all of them, as in "
            "http://a:6333,b:6333/name, so that their replicas can be compared."
        )
    readers = [_Reader(_records(cluster, node, payload)) for node in nodes]
    while heads := [reader.head for reader in readers if reader.head is not None]:
        id = min(str(head.id) for head in heads)
        records = [reader.take(id) for reader in readers]
        payloads = [None if record is None else record.payload or {} for record in records]
        if any(payload != payloads[0] for payload in payloads):
            yield id, payloads


def repair(cluster: Cluster, engine: ServerEngine, differing: Iterator[tuple[str, Node]]) -> int:
    """Sends differing points again, to all replicas; returns their number."""
    sent = 0
    for batch in batched(differing, _SENT_TOGETHER):
        by_node: dict[Node, list[str]] = {}
        for id, node in batch:
            by_node.setdefault(node, []).append(id)
        for node, ids in by_node.items():
            engine.upsert(_whole(cluster, node, ids))
        sent += len(batch)
    return sent


def _whole(cluster: Cluster, node: Node, ids: Sequence[str]) -> list[Point]:
    name = cluster.collection
    records = cluster.ask(
        node,
        lambda client: client.retrieve(name, list(ids), with_payload=True, with_vectors=True),
    )
    return [stored(record) for record in records]


def differing_records(cluster: Cluster) -> Iterator[tuple[str, Node, Sequence[str]]]:
    """Yields the point ids of state records that not all nodes have alike, each with the node whose
    record is taken and the versions of it that there are.

    As with images, a record that a node lacks is kept. Of several versions, the one that was made
    of the others is taken.

    Args:
        cluster: of the state; see `Cluster.of_state`.

    Raises:
        EngineError: a node does not answer.
    """
    nodes = cluster.answering()
    for id, payloads in _differing(cluster, nodes, payload=_VERSIONS):
        versions = [payload["version"] for payload in payloads if payload]
        yield id, nodes[_latest(payloads)], sorted(set(versions))


def repair_state(
    cluster: Cluster,
    state: ServerState,
    differing: Iterator[tuple[str, Node, Sequence[str]]],
) -> int:
    """Sends differing records again, to all replicas; returns their number.

    One that a service changes meanwhile stays as the service has made it.
    """
    sent = 0
    for id, node, versions in differing:
        read = partial(_record, cluster.collection, id)
        if (record := cluster.ask(node, read)) is not None:
            point = models.PointStruct(id=id, vector={}, payload=record.payload)
            state.send_again(point, versions)
            sent += 1
    return sent


def _record(collection: str, id: str, client: QdrantClient) -> models.Record | None:
    return next(iter(client.retrieve(collection, [id], with_payload=True)), None)


def _latest(payloads: Payloads) -> int:
    """Number of the node whose state record is taken."""

    def rank(i: int) -> tuple[bool, int, int, str]:
        payload = payloads[i]
        if payload is None:
            return False, 0, 0, ""
        others = [other["version"] for other in payloads if other]
        older = sum(other in payload["before"] for other in others)
        return True, older, others.count(payload["version"]), payload["version"]

    return max(range(len(payloads)), key=rank)


def _best(payloads: Payloads) -> int:
    """Number of the node whose point is taken."""

    def rank(i: int) -> tuple[bool, int, str]:
        payload = payloads[i]
        if payload is None:
            return False, 0, ""
        alike = sum(other == payload for other in payloads)
        return True, alike, str(record_of(payload).get("indexed_at", ""))

    return max(range(len(payloads)), key=rank)


def _records(cluster: Cluster, node: Node, payload: bool | list[str]) -> Iterator[models.Record]:
    """All points of a node in the order of their ids, without vectors."""
    offset: Any = None
    while True:
        page = partial(_page, cluster.collection, offset, payload)
        records, offset = cluster.ask(node, page)
        yield from records
        if offset is None:
            return


def _page(
    collection: str, offset: Any, payload: bool | list[str], client: QdrantClient
) -> tuple[list[models.Record], Any]:
    return client.scroll(collection, limit=_PAGE, offset=offset, with_payload=payload)


class _Reader:
    """A stream of points with one that is looked at ahead."""

    def __init__(self, records: Iterator[models.Record]) -> None:
        self._records = records
        self.head: models.Record | None = next(records, None)

    def take(self, id: str) -> models.Record | None:
        """The point with an id if it is the next one."""
        if self.head is None or str(self.head.id) != id:
            return None
        taken, self.head = self.head, next(self._records, None)
        return taken
