"""Clusters: status, repair of replicas that differ, and their spread over nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.cluster import ACTIVE, ClusterStatus, Replica, Step, plan
from lookalike.engines.server.cluster import Cluster as ServerCluster
from lookalike.engines.server.engine import ServerEngine
from lookalike.engines.server.repair import differing_records, repair_state
from lookalike.errors import EngineError, InputError
from lookalike.system.state import StateRecord
from tests.contract.test_engines import SPECS, point
from tests.support.command_line import documents, error, lookalike
from tests.support.qdrant_wire import Cluster, RestServer

QUICK = ServerOptions(patience=0.2, timeout=2)
SERVER = ("--server", "patience=1,timeout=2")


def status(placement: dict[tuple[int, int], str], nodes: int, wanted: int) -> ClusterStatus:
    peers = {peer: f"http://node{peer}:6335/" for peer in range(nodes)}
    return ClusterStatus(peers, wanted, [Replica(*at, state) for at, state in placement.items()])


def carried_out(placement: dict[tuple[int, int], str], steps: list[Step]) -> set[tuple[int, int]]:
    """The replicas after some steps, each of which must be possible."""
    held = set(placement)
    for step in steps:
        if step.kind == "replicas":
            continue
        assert (step.shard, step.source) in held
        if step.kind in ("replicate", "move"):
            assert placement.get((step.shard, step.source), ACTIVE) == ACTIVE
            assert (step.shard, step.target) not in held
            held.add((step.shard, step.target))
        if step.kind in ("drop", "move"):
            held.remove((step.shard, step.source))
    return held


@given(
    st.integers(1, 7).flatmap(
        lambda nodes: st.tuples(
            st.just(nodes),
            st.integers(1, 3),
            st.lists(
                st.lists(st.integers(0, nodes - 1), min_size=1, max_size=3, unique=True),
                min_size=1,
                max_size=8,
            ),
            st.sets(st.integers(0, nodes - 1), max_size=2),
        )
    )
)
def test_a_plan_spreads_all_replicas_evenly(
    case: tuple[int, int, list[list[int]], set[int]],
) -> None:
    nodes, wanted, shards, without = case
    placement = {(shard, peer): ACTIVE for shard, peers in enumerate(shards) for peer in peers}
    if wanted > nodes - len(without):
        with pytest.raises(InputError, match="need as many nodes"):
            plan(status(placement, nodes, 1), replicas=wanted, without=sorted(without))
        return
    steps = plan(status(placement, nodes, 1), replicas=wanted, without=sorted(without))
    held = carried_out(placement, steps)
    by_shard = Counter(shard for shard, _ in held)
    assert set(by_shard) == set(range(len(shards)))
    assert all(number >= wanted for number in by_shard.values())
    assert not any(peer in without for _, peer in held)
    load = Counter({peer: 0 for peer in range(nodes) if peer not in without})
    load.update(peer for _, peer in held)
    assert max(load.values()) - min(load.values()) < 2
    again = status(dict.fromkeys(held, ACTIVE), nodes, wanted)
    assert plan(again, without=sorted(without)) == []


def test_a_dead_replica_is_never_copied_from() -> None:
    placement = {(0, 0): "Dead", (0, 1): ACTIVE}
    assert plan(status(placement, 3, 3)) == [Step("replicate", 0, 1, 2)]
    with pytest.raises(InputError, match="no active replica to copy from"):
        plan(status({(0, 0): "Dead"}, 3, 2))
    with pytest.raises(InputError, match="There is no node 9"):
        plan(status(placement, 3, 2), without=[9])


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Two nodes with two replicas of two shards, and twenty images."""
    with Cluster(2, replicas=2) as cluster:
        cluster.store.shards = 2
        with closing(ServerEngine.connect(cluster.url, QUICK)) as engine:
            engine.create(SPECS)
            engine.write_manifest({"schema": 1})
            engine.upsert([point(i) for i in range(20)])
        yield cluster


def damage(cluster: Cluster) -> None:
    """Has each of the two nodes miss some writes."""
    with closing(ServerEngine.connect(cluster.url, QUICK)) as engine:
        for missing, ids in ((0, range(20, 23)), (1, range(23, 25))):
            cluster.store.local.missing = missing
            with pytest.raises(EngineError):
                engine.upsert([point(i) for i in ids])
        cluster.store.local.missing = 0
        with pytest.raises(EngineError):
            engine.delete([point(0).id])
        with pytest.raises(EngineError):
            engine.set_payload(point(1).id, {"category": "changed"})
        cluster.store.local.missing = None


def test_status_names_what_is_wrong(cluster: Cluster) -> None:
    at = ("--index", cluster.url, *SERVER)
    out = lookalike("cluster", "status", *at).stdout
    assert "shard 1 on node 0: Active" in out
    assert "All is as it should be, with 2 replicas of each shard." in out
    damage(cluster)
    cluster.store.placement[1, 0] = "Dead"
    out = lookalike("cluster", "status", *at, code=1).stdout
    assert "The replica of shard 1 on node 0 is Dead." in out
    assert "points): run `lookalike cluster repair`" in out
    cluster.nodes[1].kill()
    found = documents("cluster", "status", *at, code=1)
    assert f"http://127.0.0.1:{cluster.nodes[1].port} does not answer." in found["problems"]
    assert {replica["points"] is None for replica in found["replicas"]} == {True, False}


def test_repair_sends_again_what_differs(cluster: Cluster) -> None:
    damage(cluster)
    at = ("--index", cluster.url, *SERVER)
    assert documents("cluster", "repair", *at)["differing"] == 7
    assert "7 images that the nodes do not have alike" in lookalike("cluster", "repair", *at).stdout
    assert lookalike("cluster", "repair", *at, "--yes").stdout == "7 images sent again\n"
    one, two = (
        sorted(client.scroll("catalog", limit=99, with_vectors=True)[0], key=lambda r: str(r.id))
        for client in cluster.store.local.clients
    )
    assert [record.payload for record in one] == [record.payload for record in two]
    assert len(one) == 25
    assert documents("cluster", "repair", *at)["differing"] == 0
    assert lookalike("cluster", "status", *at)
    cluster.nodes[0].kill()
    assert "cannot be compared: start it" in error("cluster", "repair", *at, code=1)
    alone = f"http://127.0.0.1:{cluster.nodes[1].port}/catalog"
    assert "names one node only" in error("cluster", "repair", "--index", alone, *SERVER, code=1)


def test_balance_shows_its_steps_and_then_takes_them() -> None:
    with Cluster(3) as cluster:
        store = cluster.store
        store.shards = 6
        with closing(ServerEngine.connect(cluster.url, QUICK)) as engine:
            engine.create(SPECS)
            engine.write_manifest({"schema": 1})
        store.placement.update({(shard, 0): "Active" for shard in range(6)})
        at = ("cluster", "balance", "--index", cluster.url, *SERVER)
        shown = lookalike(*at)
        assert shown.stdout.startswith("move shard 0 from node 0 to node 1\n")
        assert "--yes" in shown.stderr
        assert not store.operations
        lookalike(*at, "--yes")
        assert Counter(peer for _, peer in store.placement) == {0: 2, 1: 2, 2: 2}
        assert "nothing to do" in lookalike(*at).stdout
        steps = documents(*at, "--replicas", 2)["steps"]
        assert steps[0]["kind"] == "replicas"
        lookalike(*at, "--replicas", 2, "--yes")
        assert Counter(peer for _, peer in store.placement) == {0: 4, 1: 4, 2: 4}
        assert store.wanted == 2
        assert "3 replicas need as many nodes" in error(*at, "--replicas", 3, "--without", 2)
        lookalike(*at, "--without", 2, "--yes")
        assert Counter(peer for _, peer in store.placement) == {0: 6, 1: 6}


def test_the_state_of_services_is_watched_and_moved_with_the_index() -> None:
    with Cluster(3, replicas=2) as cluster:
        with closing(ServerEngine.connect(cluster.url, QUICK)) as engine:
            engine.create(SPECS)
            engine.write_manifest({"schema": 1})
            engine.open_state().put("kind", [StateRecord("key")])
        at = ("--index", cluster.url, *SERVER)
        assert (
            "state of the services: shard 0 on node 1: Active"
            in lookalike("cluster", "status", *at).stdout
        )
        cluster.store.state_placement[0, 1] = "Dead"
        assert documents("cluster", "status", *at, code=1)["state"]["problems"] == [
            "The replica of shard 0 on node 1 is Dead."
        ]
        cluster.store.state_placement[0, 1] = "Active"
        leaving = ("cluster", "balance", *at, "--without", 1)
        shown = "state of the services: copy shard 0 from node 0 to node 2\n"
        assert shown in lookalike(*leaving).stdout
        assert {step["kind"] for step in documents(*leaving)["state_steps"]} == {
            "replicate",
            "drop",
        }
        lookalike(*leaving, "--yes")
        assert set(cluster.store.state_placement) == {(0, 0), (0, 2)}
        assert {node for _, node in cluster.store.placement} == {0, 2}


def test_repair_sends_the_latest_state_again(cluster: Cluster) -> None:
    at = ("--index", cluster.url, *SERVER)
    local = cluster.store.local
    with closing(ServerEngine.connect(cluster.url, QUICK)) as engine:
        state = engine.open_state()
        same, old, gone = (StateRecord(key, {"n": 1}) for key in ("same", "old", "gone"))
        state.put("kind", [same, old, gone])
        new = old.changed(value={"n": 2})
        newer = new.changed(value={"n": 3})
        local.missing = 0
        state.put("kind", [newer])
        local.missing = 1
        state.put("kind", [StateRecord("added")])
        state.delete("kind", ["gone"])
        local.missing = None
        assert documents("cluster", "repair", *at) == {
            "differing": 0,
            "first": [],
            "state_differing": 3,
        }
        shown = lookalike("cluster", "repair", *at)
        assert "state of the services: 3 records that the nodes" in shown.stdout
        assert "--yes" in shown.stderr
        done = lookalike("cluster", "repair", *at, "--yes").stdout
        assert done == "0 images sent again\nstate of the services: 3 records sent again\n"
        for local.reader in range(2):
            found = {record.key: record for record in state.scan("kind")}
            assert found.keys() == {"same", "old", "gone", "added"}
            assert found["old"] == newer
            assert found["same"] == same
    assert documents("cluster", "repair", *at, "--yes") == {"sent": 0, "state_sent": 0}


def test_repair_leaves_what_a_service_changes_meanwhile(cluster: Cluster) -> None:
    with (
        closing(ServerEngine.connect(cluster.url, QUICK)) as engine,
        closing(engine_cluster(engine)) as whole,
    ):
        state = engine.open_state()
        cluster.store.local.missing = 0
        state.put("kind", [StateRecord("key", {"n": 1})])
        cluster.store.local.missing = None
        beside = whole.of_state()
        assert beside is not None
        differing = list(differing_records(beside))
        changed = StateRecord("key", {"n": 2})
        state.put("kind", [changed])
        assert repair_state(beside, state, iter(differing)) == 1
        for cluster.store.local.reader in range(2):
            assert state.read("kind", ["key"]) == [changed]


def engine_cluster(engine: ServerEngine) -> ServerCluster:
    return ServerCluster(engine.nodes, engine.collection, engine.url, QUICK)


def test_what_is_not_a_cluster_is_refused(tmp_path: Path, rest: RestServer) -> None:
    folder = ("--index", tmp_path / "i")
    assert "only an index on a server has nodes" in error("cluster", "status", *folder)
    at = ("--index", rest.url, "--server", "grpc=false")
    assert "single node, not on a cluster" in error("cluster", "status", *at, code=1)
    wrong = error("cluster", "status", *at, "--replicas", 2)
    assert "belong to `lookalike cluster balance`" in wrong
