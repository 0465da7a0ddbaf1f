"""Replicas: how many a new collection gets, and whether those of a collection agree.

A write that one replica took and another did not stays where it is: the server repairs neither, and
expects that it is sent again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from qdrant_client import QdrantClient, models

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.connection import Node, Nodes
from lookalike.engines.server.errors import FAILURES, failure_of
from lookalike.errors import EngineError

ENOUGH_NODES = 3
"""Nodes from which on a new collection gets two replicas: with two nodes, losing one of them leaves
the cluster without a majority, and it takes no changes of its collections."""


ATTEMPTS = 3
"""Times that a node is asked for its count, as one that has just started may be slow."""


def number_of_nodes(client: QdrantClient) -> int | None:
    """Number of nodes of the cluster; None if the server, or the key, does not tell."""
    try:
        status: Any = client.cluster_status()
    except NotImplementedError:  # in memory
        return None
    except FAILURES as error:
        if failure_of(error, "", 0).temporary:
            raise
        return None
    return len(status.peers) if isinstance(status, models.ClusterStatusOneOf1) else 1


@dataclass(frozen=True, slots=True)
class NewReplicas:
    """The replicas of a new collection.

    Attributes:
        number: nodes that hold each shard.
        notice: a sentence for the user, where nobody asked for this number.
    """

    number: int
    notice: str | None = None

    @classmethod
    def of(cls, options: ServerOptions, nodes: int | None, url: str) -> NewReplicas:
        """Decides the number of replicas.

        Raises:
            EngineError: there are fewer nodes than replicas, or more must write than there are.
        """
        wanted, notice = options.replication_factor, None
        if wanted is None:
            wanted = 1
            if nodes is not None and nodes >= ENOUGH_NODES:
                wanted = 2
                notice = (
                    f"The cluster has {nodes} nodes, so every image is kept on two of them; "
                    "--server replication_factor=1 keeps one copy, in half the space."
                )
        if nodes is not None and wanted > nodes:
            are = "is 1 node" if nodes == 1 else f"are {nodes} nodes"
            raise EngineError(
                f"{url} cannot have {wanted} replicas, as there {are}: ask for at most {nodes} by "
                "--server replication_factor."
            )
        if options.write_consistency_factor > wanted:
            raise EngineError(
                f"{url} cannot wait for {options.write_consistency_factor} replicas to write, as "
                f"it has {wanted}: lower --server write_consistency_factor."
            )
        return cls(wanted, notice)


def disagreement(nodes: Nodes, collection: str, url: str) -> str | None:
    """A sentence on replicas that differ in number of images; None if none is known to differ.

    A node answers from its own replica where it has one; read consistency "all" counts what all
    replicas of a shard have. A node that does not answer cannot be compared, which is said, too.
    """
    counts: set[int] = set()
    silent: list[str] = []
    for node in nodes.nodes:
        count = _own_count(node, collection)
        if count is None:
            silent.append(f"{node.url} does not answer")
        else:
            counts.add(count)
    try:
        counts.add(_settled_count(nodes, collection))
    except FAILURES:
        silent.append("one of them is away, or recovers")
    if len(counts) > 1:
        found = ", ".join(f"{count:,}" for count in sorted(counts))
        return (
            f"The replicas of {url} differ ({found} images): run `lookalike cluster repair` with "
            "the addresses of all nodes."
        )
    if silent:
        return f"The replicas of {url} could not be compared, as {silent[0]}."
    return None


def _own_count(node: Node, collection: str) -> int | None:
    """The number of images that a node counts; None if it does not answer, busy or not."""
    for _ in range(ATTEMPTS):
        with suppress(*FAILURES):
            return _count(node, collection)
    return None


def _settled_count(nodes: Nodes, collection: str) -> int:
    """Counts the images that all replicas have."""
    node = next((node for node in nodes.nodes if node.up), nodes.nodes[0])
    return _count(node, collection, models.ReadConsistencyType.ALL)


def _count(node: Node, collection: str, consistency: int | models.ReadConsistencyType = 1) -> int:
    """Counts over REST: the client's own method knows no consistency, and a gRPC channel refuses
    at once for a second after its node came back.
    """
    response = node.client(quick=True).http.points_api.count_points(
        collection_name=collection,
        consistency=consistency,
        count_request=models.CountRequest(exact=True),
    )
    return 0 if response.result is None else response.result.count
