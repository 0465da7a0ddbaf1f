"""The contract of every store of the services' state."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from lookalike.api.stores.local_state import LocalState
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from lookalike.system.state import StateRecord, StateStore
from tests.support.qdrant_wire import GrpcServer, RestServer, Store

URL = os.environ.get("QDRANT_URL")


def local(folder: Path) -> AbstractContextManager[StateStore]:
    return closing(LocalState(folder / "folder" / "state.sqlite"))


@contextmanager
def over_rest(_: Path) -> Iterator[StateStore]:
    options = ServerOptions(grpc=False)
    with (
        closing(RestServer(Store())) as server,
        closing(ServerEngine.connect(server.url, options)) as engine,
    ):
        yield engine.open_state()


@contextmanager
def over_grpc(_: Path) -> Iterator[StateStore]:
    store = Store()
    with (
        closing(RestServer(store)) as server,
        closing(GrpcServer(store)) as grpc,
        closing(ServerEngine.connect(server.url, ServerOptions(grpc_port=grpc.port))) as engine,
    ):
        yield engine.open_state()


@contextmanager
def on_server(_: Path) -> Iterator[StateStore]:
    options = ServerOptions(api_key=os.environ.get("QDRANT_API_KEY"))
    with closing(ServerEngine.connect(f"{URL}/lookalike-{uuid.uuid4()}", options)) as engine:
        yield engine.open_state()
        engine.client.delete_collection(f"{engine.collection}__state")


STORES: dict[str, Callable[[Path], AbstractContextManager[StateStore]]] = {
    "local": local,
    "server-over-rest": over_rest,
    "server-over-grpc": over_grpc,
}
if URL:
    STORES["server"] = on_server


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    with STORES[request.param](tmp_path) as made:
        yield made


def keys(records: Iterator[StateRecord] | list[StateRecord]) -> list[str]:
    return [record.key for record in records]


def test_records_are_read_as_written(store: StateStore) -> None:
    record = StateRecord(
        "ä/1", {"a": [1, None, 0.1, "ü\0"], "b": {}}, 2**52 + 1, ("x", "y"), bytes(range(256)) * 9
    )
    plain = StateRecord("plain")
    store.put("one", [record, plain])
    store.put("other", [StateRecord("ä/1")])
    found = {one.key: one for one in store.read("one", ["ä/1", "plain", "none"])}
    assert set(found["ä/1"].tags) == {"x", "y"}
    assert found["ä/1"].changed(tags=(), key="") != found["ä/1"]
    assert found["plain"] == plain
    for name in ("key", "value", "order", "data", "version"):
        assert getattr(found["ä/1"], name) == getattr(record, name)


def test_records_are_listed_by_order_without_those_set_aside(store: StateStore) -> None:
    store.put("k", [StateRecord(f"{n}", order=n) for n in range(249, -1, -1)])
    store.put("k", [StateRecord("aside", order=-1), StateRecord("7 too", order=7)])
    store.put("other", [StateRecord("another", order=3)])
    listed = keys(store.scan("k"))
    assert sorted(listed[7:9]) == ["7", "7 too"]
    assert listed[:7] + listed[9:] == [f"{n}" for n in range(250) if n != 7]
    assert store.count("k") == len(listed) == 251
    assert keys(store.scan("k", offset=100)) == listed[100:]
    assert keys(store.scan("k", start=200)) == [f"{n}" for n in range(200, 250)]
    assert keys(store.scan("k", offset=251)) == keys(store.scan("none")) == []


def test_records_are_found_by_tag_even_set_aside(store: StateStore) -> None:
    store.put("k", [StateRecord("a", order=2, tags=("x", "y")), StateRecord("b", tags=("z",))])
    store.put("k", [StateRecord("c", order=-3, tags=("y",))])
    assert keys(store.tagged("k", ["y", "x", "none"])) == ["c", "a"]
    assert keys(store.tagged("k", [f"{n}" for n in range(300)] + ["z"])) == ["b"]
    store.put("k", [StateRecord("c")])
    assert keys(store.tagged("k", ["y"])) == ["a"]


def test_a_record_is_replaced_only_if_unchanged(store: StateStore) -> None:
    first = StateRecord("a", {"n": 1})
    assert store.replace("k", None, first)
    assert not store.replace("k", None, StateRecord("a", {"n": 2}))
    second = first.changed(value={"n": 3})
    assert store.replace("k", first, second)
    assert not store.replace("k", first, first.changed(value={"n": 4}))
    assert store.read("k", ["a"]) == [second]
    store.delete("k", ["a"])
    assert not store.replace("k", second, second.changed(value={"n": 5}))
    assert store.read("k", ["a"]) == []


def test_of_many_writers_one_wins_each_round(store: StateStore) -> None:
    """Counts to 40 from four threads, none of which may lose an increment."""
    store.put("k", [StateRecord("n", {"n": 0})])

    def count() -> None:
        for _ in range(10):
            while True:
                (old,) = store.read("k", ["n"])
                if store.replace("k", old, old.changed(value={"n": old.value["n"] + 1})):
                    break

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("k", ["n"])[0].value == {"n": 40}


def test_records_are_removed_one_by_one_or_by_kind(store: StateStore) -> None:
    store.put("k", [StateRecord(f"{n}", order=n - 1, tags=("t",)) for n in range(4)])
    store.put("other", [StateRecord("1")])
    store.delete("k", ["1", "none"])
    assert keys(store.scan("k")) == ["2", "3"]
    store.clear("k")
    assert keys(store.scan("k")) == keys(store.tagged("k", ["t"])) == []
    assert keys(store.scan("other")) == ["1"]
