"""The collection of the server engine: creation, layout, writes, requests."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from lookalike.engines import open_engine
from lookalike.engines.server.connection import Nodes
from lookalike.engines.server.engine import ServerEngine
from lookalike.engines.server.layout import field_params
from lookalike.errors import EngineError
from lookalike.search import threshold
from lookalike.types import CandidateQuery, FieldType, Point, Query
from tests.contract.test_engines import COLOR, SPECS, STYLE, point
from tests.engines.server.conftest import QUICK
from tests.support.qdrant_wire import Fault, RestServer, Store


def test_a_creation_that_was_cut_off_goes_on(rest: RestServer) -> None:
    with closing(open_engine(rest.url, QUICK)) as first:
        first.create(SPECS)
    with closing(open_engine(rest.url, QUICK)) as second:
        assert second.read_manifest() is None
        second.create(SPECS)
        second.upsert([point(1)])
        assert second.count() == 1


def test_two_may_create_it_at_once(store: Store, rest: RestServer) -> None:
    with closing(open_engine(rest.url, QUICK)) as one:
        store.faults.append(Fault(status=0, on="create"))  # done, and the answer is lost
        one.create(SPECS)
        one.upsert([point(1)])
        assert one.count() == 1


def test_a_collection_begun_with_other_vectors_is_left_alone(rest: RestServer) -> None:
    with closing(open_engine(rest.url, QUICK)) as engine:
        engine.create(SPECS)
        with pytest.raises(
            EngineError, match=r"created with other vectors \(style, color, phash\)"
        ):
            engine.create(SPECS[:2])


def test_the_layout_is_what_was_asked_for(store: Store, rest: RestServer) -> None:
    options = replace(
        QUICK,
        shard_number=12,
        replication_factor=2,
        write_consistency_factor=2,
        quantization="binary",
        vectors_on_disk=False,
        m=32,
    )
    store.nodes = 3
    with closing(open_engine(rest.url, options)) as engine:
        engine.create(SPECS)
    made = store.created["catalog"]
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (12, 2, 2)
    assert made.hnsw_config is not None
    assert made.hnsw_config.m == 32
    assert isinstance(made.vectors, dict)
    assert isinstance(made.vectors["style"].quantization_config, models.BinaryQuantization)
    assert made.vectors["style"].memory is models.Memory.CACHED
    assert made.vectors["phash"].quantization_config is None
    assert made.vectors["phash"].datatype is models.Datatype.UINT8


@pytest.mark.parametrize(
    ("quantization", "rescored"), [("int8", False), ("turbo", True), ("none", None)]
)
def test_candidates_are_asked_for_as_the_collection_is_quantized(
    rest: RestServer, store: Store, quantization: Any, rescored: bool | None
) -> None:
    with closing(open_engine(rest.url, replace(QUICK, quantization=quantization))) as engine:
        engine.create(SPECS)
        engine.upsert([point(1)])
    with closing(open_engine(rest.url, QUICK)) as engine:  # another process, with defaults
        engine.nearest([CandidateQuery(STYLE, None, 5)])
    (request,) = store.queries[-1]
    assert request.params is not None
    quantized = request.params.quantization
    assert (None if quantized is None else quantized.rescore) == rescored


def test_an_exact_search_asks_for_originals_without_the_graph(
    engine: ServerEngine, store: Store
) -> None:
    for exact in (True, False):
        engine.nearest([CandidateQuery(STYLE, None, 5, exact=exact)])
        engine.query([Query((STYLE,), limit=5, exact=exact)])
        for (request,) in store.queries[-2:]:
            params = request.params
            assert params is not None
            assert (params.exact is True) == exact
            if exact:
                assert params.quantization is not None
                assert params.quantization.ignore


# --- writing --------------------------------------------------------------------------------


def test_a_large_upsert_travels_in_parallel_batches(engine: ServerEngine, store: Store) -> None:
    many = [point(i) for i in range(1000)]
    engine.upsert([*many, replace_payload(many[3])])
    assert store.requests == ["upsert"] * 4
    assert engine.count() == 1000
    (last,) = engine.retrieve([many[3].id])
    assert last.payload["category"] == "last"


def replace_payload(old: Point) -> Point:
    return replace(old, payload={**old.payload, "category": "last"})


def test_indexing_is_off_until_all_is_there(engine: ServerEngine, store: Store) -> None:
    assert store.thresholds["catalog"] == 0
    assert "has no search graph yet: run `lookalike optimize`" in engine.info()["notes"][-1]
    store.status[:] = ["green", "yellow", "grey", "green", "green"]
    engine.optimize()
    assert store.thresholds["catalog"] == engine.options.indexing_threshold
    assert store.status == []
    assert engine.info()["notes"] == []
    store.thresholds["catalog"] = 77  # somebody's own
    engine.optimize()
    assert store.thresholds["catalog"] == 77


def test_optimize_waits_so_long_and_no_longer(engine: ServerEngine, store: Store) -> None:
    engine.options = replace(engine.options, optimize_timeout=0.3)
    store.status[:] = ["yellow"] * 99
    started = time.monotonic()
    engine.optimize()
    assert time.monotonic() - started < 2


def test_a_failed_optimization_is_told(engine: ServerEngine, store: Store) -> None:
    store.status[:] = ["red"]
    with pytest.raises(EngineError, match="failed to build its graphs"):
        engine.optimize()


# --- requests -------------------------------------------------------------------------------


def test_a_round_is_one_request(engine: ServerEngine, store: Store) -> None:
    (result,) = threshold.run(engine, [Query((STYLE, COLOR), limit=5)])
    assert store.requests == ["query"] * result.rounds
    store.requests.clear()
    threshold.run(engine, [Query((STYLE,), limit=5), Query((COLOR,), limit=3)])
    assert store.requests == ["query"]


def test_lists_are_set_only_as_they_were_read(engine: ServerEngine) -> None:
    id = point(3).id

    def change(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, list[str]]:
        engine.set_lists(id, before, after)
        (stored,) = engine.retrieve([id])
        return {name: stored.payload["image"].get(name, []) for name in ("one", "other")}

    none: dict[str, list[str]] = {"one": [], "other": []}
    some = {"one": ["a", "b"], "other": []}
    more = {"one": ["b"], "other": ["c"]}
    assert change(none, some) == some
    for outdated in (none, {**some, "one": ["a"]}, {**some, "one": ["a", "b", "c"]}, more):
        assert change(outdated, more) == some
    assert change(some, more) == more
    assert change(more, none) == none
    others = engine.retrieve([point(i).id for i in range(20) if i != 3])
    assert all(other.payload == point(int(other.id[7:-4])).payload for other in others)


def test_bytes_are_left_out_as_servers_tell_reserved_sizes(engine: ServerEngine) -> None:
    assert engine.info()["bytes_on_disk"] is None


def test_closing_twice_is_harmless() -> None:
    engine = ServerEngine(Nodes.of(QdrantClient(":memory:"), QUICK), "x")
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.count()


@pytest.mark.parametrize(
    ("path", "type", "wanted"),
    [
        ("category", FieldType.KEYWORD, True),
        ("tags", FieldType.KEYWORDS, True),
        ("image.uri", FieldType.KEYWORD, True),
        ("image.sha256", FieldType.KEYWORD, None),
    ],
)
def test_beginnings_of_keywords_are_indexed(
    path: str, type: FieldType, wanted: bool | None
) -> None:
    """Strict mode refuses `startswith` without (`unindexed_filtering_retrieve: false`)."""
    params = field_params(path, type, QUICK)
    assert isinstance(params, models.KeywordIndexParams)
    assert params.prefix is wanted


def test_every_type_of_field_can_be_indexed(engine: ServerEngine, store: Store) -> None:
    for type in FieldType:
        engine.create_field_index(f"field_{type}", type)
    assert store.requests == ["index"] * len(FieldType)


def test_a_vector_may_be_added_by_two_at_once(store: Store, rest: RestServer) -> None:
    with closing(open_engine(rest.url, QUICK)) as engine:
        engine.create(SPECS[1:])
        store.faults.append(Fault(status=0, on="vectors"))  # done; the answer is lost
        assert isinstance(engine, ServerEngine)
        engine.add_vector(SPECS[0])
        engine.upsert([point(1)])
        assert engine.count_lacking(SPECS[0].name) == 0
