"""Repair of replicas that differ: points that not every node has alike are sent again.

Each node answers from its own replica where it has one, so the nodes are read side by side, in the
order of the points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from qdrant_client import QdrantClient, models

from lookalike.engines.rows import stored
from lookalike.engines.server.cluster import Cluster
from lookalike.engines.server.connection import Node
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import EngineError
from lookalike.record import record_of
from lookalike.system.iteration import batched
from lookalike.types import Point

_PAGE = 500
_SENT_TOGETHER = 100


def differing_points(cluster: Cluster) -> Iterator[tuple[str, Node]]:
    """Yields the point ids that not all nodes have alike, each with the node whose point is taken.

    A point that one node has and another lacks is kept, as nothing tells a deletion that one node
    missed from an addition; `lookalike index --prune` deletes it. Of points that differ, the one
    that more nodes have is taken, then the one that was indexed last.

    Raises:
        EngineError: a node does not answer.
    """
    nodes = cluster.answering()
    if len(nodes) < 2:
        raise EngineError(
            f"{cluster.url} names one node only: name all of them, as in "
            "http://a:6333,b:6333/name, so that their replicas can be compared."
        )
    readers = [_Reader(_records(cluster, node)) for node in nodes]
    while heads := [reader.head for reader in readers if reader.head is not None]:
        id = min(str(head.id) for head in heads)
        records = [reader.take(id) for reader in readers]
        payloads = [None if record is None else record.payload or {} for record in records]
        if any(payload != payloads[0] for payload in payloads):
            yield id, nodes[_best(payloads)]


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


def _best(payloads: Sequence[dict[str, Any] | None]) -> int:
    """Number of the node whose point is taken."""

    def rank(i: int) -> tuple[bool, int, str]:
        payload = payloads[i]
        if payload is None:
            return False, 0, ""
        alike = sum(other == payload for other in payloads)
        return True, alike, str(record_of(payload).get("indexed_at", ""))

    return max(range(len(payloads)), key=rank)


def _records(cluster: Cluster, node: Node) -> Iterator[models.Record]:
    """All points of a node in the order of their ids, without vectors."""
    offset: Any = None
    while True:
        page = partial(_page, cluster.collection, offset)
        records, offset = cluster.ask(node, page)
        yield from records
        if offset is None:
            return


def _page(collection: str, offset: Any, client: QdrantClient) -> tuple[list[models.Record], Any]:
    return client.scroll(collection, limit=_PAGE, offset=offset, with_payload=True)


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
