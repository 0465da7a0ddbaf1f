"""Losses of nodes, and the comparison of what every replica has after them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import httpx
import numpy as np

from lookalike.engines.options import ServerOptions
from lookalike.engines.server import connection
from lookalike.engines.server.cluster import Cluster
from lookalike.engines.server.state import SUFFIX
from tests.cluster.nodes import Node, Nodes
from tests.support.command_line import documents

Kind: TypeAlias = Literal["killed", "frozen", "restarted", "gone"]
Written: TypeAlias = Literal["one", "all"]
_AWAY = (0.5, 2.5)
"""Seconds for which a node is away, at least and at most, if it comes back by itself."""


@dataclass(slots=True)
class Scene:
    """One collection on a cluster, whose nodes get lost.

    Attributes:
        nodes: the cluster.
        collection: the collection's name.
        draw: what moments and nodes are drawn from.
    """

    nodes: Nodes
    collection: str
    draw: Random
    _timers: list[threading.Timer] = field(default_factory=list)
    _gone: list[Node] = field(default_factory=list)
    _moments: list[list[float]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The collection's address, with all nodes."""
        return self.nodes.address(self.collection)

    def options(self, written: Written = "one", **more: Any) -> ServerOptions:
        """Options of an index whose writes wait for one replica or for all."""
        replicas = self.nodes.replicas
        return ServerOptions(
            replication_factor=replicas,
            write_consistency_factor=1 if written == "one" else replicas,
            **{"shard_number": 3, "timeout": 10, "backoff": 0.1, "batch": 32} | more,
        )

    def lose(self, kind: Kind) -> None:
        """Loses a node, which comes back by itself unless it is gone."""
        node = self.draw.choice(self.nodes.nodes)
        away = 0.0 if kind == "restarted" else self.draw.uniform(*_AWAY)
        print(f"node {self.nodes.nodes.index(node)} is {kind}; away for {away:.2f} s")
        node.freeze() if kind == "frozen" else node.kill()
        if kind == "gone":
            self._gone.append(node)
        elif kind == "restarted":
            node.start()
        else:
            back = node.thaw if kind == "frozen" else node.start
            self._timers.append(threading.Timer(away, back))
            self._timers[-1].start()

    def moment(self, action: Callable[[], object]) -> Callable[[float], None]:
        """What is told a share of work that is done, and acts once, at any share from 5 to 80 %."""
        share, done = self.draw.uniform(0.05, 0.8), list[float]()

        def tell(now: float) -> None:
            if now >= share and not done:
                done.append(now)
                print(f"at {now:.0%}:")
                action()

        self._moments.append(done)
        return tell

    def bring_back(self) -> None:
        """Starts nodes that are gone, and waits until every node is there again."""
        for node in self._gone:
            node.start()
        self._gone.clear()
        for timer in self._timers:
            timer.join()
        self._timers.clear()
        self.nodes.wait()

    def assert_whole(self, ids: Iterable[str]) -> None:
        """Checks that every replica has the same, that is all, and that the tools say so."""
        assert all(self._moments), "no node was lost: nothing was shown"
        self.bring_back()
        self._await_status()
        assert documents("cluster", "status", "--index", self.url)["problems"] == []
        wanted, by_node = set(ids), [self._points(node) for node in self.nodes.nodes]
        for number, points in enumerate(by_node):
            assert set(points) == wanted, f"node {number} has other images"
        for number, points in enumerate(by_node[1:], 1):
            for id, point in points.items():
                assert _alike(point, by_node[0][id]), f"{id} differs on node {number}"
        differing = documents("cluster", "repair", "--index", self.url)
        assert differing == {"differing": 0, "first": [], "state_differing": 0}

    def _await_status(self) -> None:
        """Waits until `cluster status` has nothing to object to."""
        deadline = time.monotonic() + self.nodes.patience
        while True:
            problems = self._problems()
            if not problems:
                return
            assert time.monotonic() < deadline, problems
            time.sleep(0.2)

    def _problems(self) -> list[str]:
        options = self.options()
        connections, collection, url = connection.Nodes.connect(self.url, options)
        with closing(Cluster(connections, collection, url, options)) as cluster:
            status = cluster.status()
        return [*status.problems, *(f"shard {one} is on its way" for one in status.transfers)]

    def _points(self, node: Node) -> Mapping[str, Any]:
        """The points by image id as one node has them, which prefers its own replicas."""
        found: dict[str, Any] = {}
        body: dict[str, Any] = {"limit": 1000, "with_payload": True, "with_vector": True}
        path = f"http://127.0.0.1:{node.port}/collections/{self.collection}/points/scroll"
        while True:
            result = httpx.post(path, json=body, timeout=60).raise_for_status().json()["result"]
            found |= {point["payload"]["image"]["id"]: point for point in result["points"]}
            body["offset"] = result["next_page_offset"]
            if body["offset"] is None:
                return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bring_back()
        for name in (self.collection, f"{self.collection}{SUFFIX}"):
            path = f"http://127.0.0.1:{self.nodes.nodes[0].port}/collections/{name}"
            httpx.delete(path, timeout=60)


def _alike(point: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    vectors, others = point["vector"], other["vector"]
    return (
        point["payload"] == other["payload"]
        and vectors.keys() == others.keys()
        and all(np.allclose(vectors[name], others[name], atol=1e-5) for name in vectors)
    )
