"""Replicas: a write that one takes and another does not, and how many a new collection gets."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import EngineError
from lookalike.index import Index
from tests.contract.test_engines import SPECS, point
from tests.engines.server.conftest import QUICK
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import Cluster, Fault, GrpcServer, RestServer, Store


def ids_by_replica(store: Store, collection: str = "catalog") -> list[set[str]]:
    return [
        {record.payload["image"]["id"] for record in client.scroll(collection, limit=999)[0]}
        for client in store.local.clients
    ]


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
@pytest.mark.parametrize("missing", [0, 1])
def test_what_one_replica_lacks_is_sent_again(tmp_path: Path, grpc: bool, missing: int) -> None:
    with Cluster(2, replicas=2) as cluster:
        options = ServerOptions(grpc=grpc, patience=0.1, timeout=5)
        photos = folder_of(tmp_path, 6)
        with Index.open(cluster.url, model="built-in", server=options) as index:
            index.add(photos / "000.jpg", photos / "001.jpg")
            cluster.store.local.missing = missing
            with pytest.raises(EngineError, match="1 out of 1 shards failed"):
                index.add(photos)
            cluster.store.local.missing = None
            one, two = ids_by_replica(cluster.store)
            assert len(one) != len(two)
            assert "differ (2, 6 images)" in index.stats()["notes"][0]
            report = index.add(photos)
        one, two = ids_by_replica(cluster.store)
        assert one == two
        assert (report.unchanged, report.added, report.engine_notes) == (2, 4, ())


def test_a_run_whose_replicas_differ_says_so(tmp_path: Path) -> None:
    with Cluster(2, replicas=2) as cluster:
        photos = folder_of(tmp_path, 3)
        with Index.open(cluster.url, model="built-in", server=QUICK) as index:
            index.add(photos)
            lost = str(photos / "001.jpg")
            cluster.store.local.missing = 0
            with pytest.raises(EngineError):
                index._parts.engine.delete([lost])
            cluster.store.local.missing = None
            report = index.add(photos / "000.jpg")
            assert "differ (2, 3 images)" in report.engine_notes[0]
            found = [index.get_many([lost]) for _ in cluster.nodes]  # by each node in turn
            index._parts.engine.upsert(max(found, key=len))
            assert index.add(photos / "000.jpg").engine_notes == ()
            cluster.nodes[1].kill()
            report = index.add(photos / "000.jpg")
            assert "could not be compared" in report.engine_notes[0]


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_a_node_that_is_back_is_compared_at_once(grpc: bool) -> None:
    with Cluster(2, replicas=2) as cluster:
        options = replace(QUICK, grpc=grpc)
        with closing(ServerEngine.connect(cluster.url, options)) as engine:
            engine.create(SPECS)
            engine.upsert([point(i) for i in range(20)])
            assert not _is_uncompared(engine)
            cluster.nodes[1].kill()
            assert _is_uncompared(engine)
            cluster.nodes[1].start()
            assert not _is_uncompared(engine)


def _is_uncompared(engine: ServerEngine) -> bool:
    return any("could not be compared" in note for note in engine.info()["notes"])


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
@pytest.mark.parametrize("hangs", [False, True], ids=["refused", "hangs"])
def test_runs_decide_without_replicas_that_are_away(grpc: bool, hangs: bool) -> None:
    store = Store(nodes=3, replicas=3)
    with closing(RestServer(store)) as rest, closing(GrpcServer(store)) as wire:
        options = replace(QUICK, grpc=grpc, grpc_port=wire.port, timeout=1)
        with closing(ServerEngine.connect(rest.url, options)) as engine:
            engine.create(SPECS)
            engine.upsert([point(i) for i in range(20)])
            settled = engine.settled()
            if hangs:
                store.faults.append(Fault(seconds=1.5, on="retrieve"))
            else:
                store.lose(1)
            store.requests.clear()
            for _ in range(3):
                assert len(settled.retrieve([point(i).id for i in range(30)])) == 20
            assert store.requests == ["retrieve"] * 4  # all were asked once
            assert sum(len(points) for points in settled.scroll()) == 20


@pytest.mark.parametrize(
    ("nodes", "asked", "made", "notice"),
    [
        (1, None, 1, None),
        (2, None, 1, None),
        (3, None, 2, "has 3 nodes, so every image is kept on two"),
        (3, 1, 1, None),
        (3, 3, 3, None),
    ],
)
def test_a_new_collection_has_replicas_where_there_are_nodes(
    nodes: int, asked: int | None, made: int, notice: str | None
) -> None:
    store = Store(nodes=nodes)
    options = replace(QUICK, replication_factor=asked)
    with closing(RestServer(store)) as rest, closing(ServerEngine.connect(rest.url, options)) as e:
        said = e.create(SPECS)
        assert store.created["catalog"].replication_factor == made
        assert (said is None) == (notice is None)
        assert (notice or "") in (said or "")
        assert e.create(SPECS) is None  # it exists
        e.upsert([point(1)])


@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        (1, {"replication_factor": 5}, "cannot have 5 replicas, as there is 1 node"),
        (3, {"replication_factor": 4}, "cannot have 4 replicas, as there are 3 nodes"),
        (3, {"write_consistency_factor": 3}, "cannot wait for 3 replicas"),
    ],
)
def test_more_replicas_than_nodes_are_refused(
    nodes: int, options: dict[str, int], message: str
) -> None:
    store = Store(nodes=nodes)
    made = replace(QUICK, **options)  # type: ignore[arg-type]
    with (
        closing(RestServer(store)) as rest,
        closing(ServerEngine.connect(rest.url, made)) as engine,
        pytest.raises(EngineError, match=message),
    ):
        engine.create(SPECS)
    assert not store.created
