"""The server engine alone: addresses, failures on the way, collection layout, limits."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from lookalike.engines import open_engine
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import DiskFull, EngineError
from lookalike.search import threshold
from lookalike.types import CandidateQuery, FieldType, Point, Query
from tests.contract.test_engines import COLOR, SPECS, STYLE, point
from tests.support.qdrant_wire import Fault, GrpcServer, RestServer, Store

QUICK = ServerOptions(grpc=False, backoff=0.01, retries=3, timeout=2)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def rest(store: Store) -> Iterator[RestServer]:
    with closing(RestServer(store)) as server:
        yield server


@pytest.fixture(params=["rest", "grpc"])
def engine(
    request: pytest.FixtureRequest, store: Store, rest: RestServer
) -> Iterator[ServerEngine]:
    """An index with 20 images, over either protocol."""
    with closing(GrpcServer(store)) as grpc:
        options = replace(QUICK, grpc=request.param == "grpc", grpc_port=grpc.port)
        with closing(ServerEngine.connect(rest.url, options)) as made:
            made.create(SPECS)
            made.write_manifest({"schema": 1})
            made.upsert([point(i) for i in range(20)])
            store.requests.clear()
            yield made


# --- the address ----------------------------------------------------------------------------


def test_an_address_opens_a_server(rest: RestServer) -> None:
    with closing(open_engine(rest.url, QUICK)) as engine:
        assert isinstance(engine, ServerEngine)
        assert engine.read_manifest() is None
        assert engine.url == rest.url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://localhost:6333", "does not name a collection; write it like"),
        ("http://localhost:6333/", "does not name a collection"),
        ("http:///catalog", "does not name a collection"),
        ("http://localhost:port/catalog", "is not a valid address"),
        ("http://localhost:99999/catalog", "is not a valid address"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        open_engine(url, QUICK)


def test_a_prefix_stands_before_the_collection(store: Store) -> None:
    with closing(RestServer(store, prefix="/qdrant")) as server:
        url = server.url.replace("/catalog", "/qdrant/catalog")
        with closing(open_engine(url, QUICK)) as engine:
            assert engine.read_manifest() is None


@pytest.mark.parametrize(("speaks", "expected"), [(True, True), (False, False)])
def test_grpc_is_spoken_where_the_server_does(
    store: Store, rest: RestServer, speaks: bool, expected: bool
) -> None:
    with closing(GrpcServer(store)) as grpc:
        # Without a server of its own the port is that of REST, which is no gRPC.
        options = replace(QUICK, grpc=True, grpc_port=grpc.port if speaks else rest.port)
        with closing(ServerEngine.connect(rest.url, options)) as engine:
            assert engine.client.init_options["prefer_grpc"] is expected
            assert engine.read_manifest() is None


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
        import sys
        sys.modules["qdrant_client"] = None
        from lookalike.engines import open_engine
        open_engine("http://localhost:6333/catalog")
    """
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())],
        capture_output=True,
        text=True,
    )
    assert ran.stderr.splitlines()[-1].endswith('run `pip install "lookalike[server]"`.')


def test_the_embedded_engine_does_not_import_the_client(tmp_path: Path) -> None:
    code = f"""
        import sys
        from lookalike.engines import open_engine
        open_engine({str(tmp_path)!r})
        assert "qdrant_client" not in sys.modules
    """
    subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())], check=True
    )


# --- servers that cannot be used ------------------------------------------------------------


def test_a_server_that_is_not_there(rest: RestServer) -> None:
    rest.close()
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"cannot be reached \(.*refused.*start the server"):
        open_engine(rest.url, replace(QUICK, grpc=True, backoff=60))
    assert time.monotonic() - started < 5  # it does not wait for a server to start


def test_https_where_the_server_has_none(rest: RestServer) -> None:
    with pytest.raises(EngineError, match="whether it is http or https"):
        open_engine(rest.url.replace("http:", "https:"), QUICK)


def test_something_else_at_the_address() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>It works!</html>")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        with pytest.raises(EngineError, match="does not respond like a Qdrant server"):
            open_engine(f"http://127.0.0.1:{server.server_address[1]}/catalog", QUICK)
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_is_too_old(store: Store, rest: RestServer) -> None:
    store.version = "1.12.4"
    with pytest.raises(EngineError, match=r"runs Qdrant 1\.12\.4, but lookalike needs 1\.19"):
        open_engine(rest.url, QUICK)


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_wrong_key(store: Store, rest: RestServer, key: str | None) -> None:
    store.api_key = "right"
    with closing(open_engine(rest.url, replace(QUICK, api_key=key))) as engine:
        with pytest.raises(EngineError, match="requires an API key"):
            engine.read_manifest()
        assert len(store.requests) == 2  # the version, and one try
    with closing(open_engine(rest.url, replace(QUICK, api_key="right"))) as engine:
        assert engine.read_manifest() is None


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(ServerOptions(api_key="secret"))


def test_a_wrong_key_over_grpc(engine: ServerEngine, store: Store) -> None:
    store.api_key = "right"
    with pytest.raises(EngineError, match="requires an API key"):
        engine.count()


def test_a_collection_that_is_not_ours(store: Store, rest: RestServer) -> None:
    vectors = {"style": models.VectorParams(size=24, distance=models.Distance.COSINE)}
    store.local.create_collection("catalog", vectors_config=vectors)
    with closing(open_engine(rest.url, QUICK)) as engine:
        with pytest.raises(EngineError, match="lookalike did not create it; choose another"):
            engine.read_manifest()
        with pytest.raises(EngineError, match="lookalike did not create it; choose another"):
            engine.create(SPECS)


def test_a_collection_that_was_dropped(engine: ServerEngine, store: Store) -> None:
    store.local.delete_collection("catalog")
    with pytest.raises(
        EngineError, match=r"The collection http://.*/catalog does not exist; create it"
    ):
        engine.count()


# --- creation -------------------------------------------------------------------------------


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
    store.status[:] = ["green", "yellow", "grey", "green", "green"]
    engine.optimize()
    assert store.thresholds["catalog"] == engine.options.indexing_threshold
    assert store.status == []
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


# --- failures on the way --------------------------------------------------------------------


def test_what_passes_is_tried_again(engine: ServerEngine, store: Store) -> None:
    store.faults += [Fault(503), Fault(500), Fault(0)]
    engine.upsert([point(30)])
    assert store.requests == ["upsert"] * 4
    assert engine.count() == 21


def test_trying_again_has_an_end(engine: ServerEngine, store: Store) -> None:
    store.faults += [Fault(503, "Service unavailable")] * 9
    with pytest.raises(EngineError, match=r"cannot serve requests now \(Service unavailable\)"):
        engine.count()
    assert store.requests == ["count"] * 4


def test_what_does_not_pass_is_not_tried_again(engine: ServerEngine, store: Store) -> None:
    store.faults += [Fault(400, "Wrong input: no such thing")]
    with pytest.raises(EngineError, match=r"rejected the request: Wrong input: no such thing\.$"):
        engine.count()
    assert store.requests == ["count"]


def test_a_rate_limit_is_waited_for(engine: ServerEngine, store: Store) -> None:
    store.faults += [Fault(429, "Rate limiting exceeded", {"Retry-After": "1"})]
    started = time.monotonic()
    assert engine.count() == 20
    assert 1 <= time.monotonic() - started < 3


def test_a_rate_limit_without_a_time_is_backed_off_from(engine: ServerEngine, store: Store) -> None:
    store.faults += [
        Fault(429, "Rate limiting exceeded"),
        Fault(429, "…", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    ]
    assert engine.count() == 20


def test_nobody_waits_for_hours(engine: ServerEngine, store: Store) -> None:
    store.faults += [Fault(429, "Rate limiting exceeded", {"Retry-After": "3600"})]
    with pytest.raises(EngineError, match=r"limits the rate of requests \(Rate limiting"):
        engine.count()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(507, "Disk usage is at 95% of total capacity, exceeding the configured limit"),
        Fault(500, "Service internal error: No space left on device: WAL buffer size exceeds"),
    ],
    ids=["quota", "full"],
)
def test_a_full_disk_is_told_at_once(engine: ServerEngine, store: Store, fault: Fault) -> None:
    store.faults.append(fault)
    with pytest.raises(DiskFull, match="is out of space"):
        engine.upsert([point(30)])
    assert store.requests == ["upsert"]


def test_a_silent_server_is_given_up(engine: ServerEngine, store: Store) -> None:
    hasty = ServerEngine(engine.client, "catalog", replace(engine.options, retries=0))
    store.faults.append(Fault(seconds=2.5))
    with pytest.raises(EngineError, match="did not respond within 2 s"):
        hasty.count()
    assert engine.count() == 20


def test_a_key_that_may_only_read(engine: ServerEngine, store: Store) -> None:
    store.faults.append(Fault(403, "Forbidden: Global write access is required"))
    with pytest.raises(EngineError, match=r"does not permit this .*may read and write"):
        engine.delete(["photos/1.jpg"])


def test_an_ingest_goes_on_when_the_server_is_back(store: Store, rest: RestServer) -> None:
    with closing(ServerEngine.connect(rest.url, replace(QUICK, retries=1))) as engine:
        engine.create(SPECS)
        engine.upsert([point(i) for i in range(10)])
        rest.close()
        with pytest.raises(EngineError, match="cannot be reached"):
            engine.upsert([point(i) for i in range(10, 20)])
        with closing(RestServer(store, rest.port)):
            assert engine.count() == 10
            engine.upsert([point(i) for i in range(10, 20)])
            assert engine.count() == 20


# --- requests -------------------------------------------------------------------------------


def test_a_round_is_one_request(engine: ServerEngine, store: Store) -> None:
    (result,) = threshold.run(engine, [Query((STYLE, COLOR), limit=5)])
    assert store.requests == ["query"] * result.rounds
    store.requests.clear()
    threshold.run(engine, [Query((STYLE,), limit=5), Query((COLOR,), limit=3)])
    assert store.requests == ["query"]


def test_bytes_are_what_the_server_tells(engine: ServerEngine) -> None:
    assert engine.info()["bytes_on_disk"] == 20_000


def test_closing_twice_is_harmless() -> None:
    engine = ServerEngine(QdrantClient(":memory:"), "x")
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.count()


def test_every_type_of_field_can_be_indexed(engine: ServerEngine, store: Store) -> None:
    for type in FieldType:
        engine.create_field_index(f"field_{type}", type)
    assert store.requests == ["index"] * len(FieldType)
