"""Failures of requests to a server: retries, rate limits, full disks, timeouts."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

import pytest

from lookalike.engines.server.connection import Nodes
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import DiskFull, EngineError
from lookalike.system import patience
from tests.contract.test_engines import SPECS, point
from tests.engines.server.conftest import QUICK
from tests.support.qdrant_wire import Fault, RestServer, Store


def test_what_passes_is_tried_again(engine: ServerEngine, store: Store) -> None:
    store.faults += [Fault(503), Fault(500), Fault(0)]
    engine.upsert([point(30)])
    assert store.requests == ["upsert"] * 4
    assert engine.count() == 21


def test_the_server_s_own_time_limit_and_state_pass_too(store: Store, rest: RestServer) -> None:
    with closing(ServerEngine.connect(rest.url, QUICK)) as engine:
        engine.create(SPECS)
        store.faults += [
            Fault(408, "Timeout: Operation 'Count' timed out after 60s"),
            Fault(500, "Pre-condition failure: The shard is being transferred"),
        ]
        assert engine.count() == 0


def test_a_request_beyond_every_budget_is_not_tried_again(
    engine: ServerEngine, store: Store
) -> None:
    limit = "Read rate limit exceeded, request larger than rate limiter capacity, please try to"
    store.faults += [Fault(429, f"Rate limiting exceeded: {limit}")]
    with pytest.raises(EngineError, match=r"A single request is more than .* allows in a minute"):
        engine.count()
    assert store.requests == ["count"]


def test_trying_again_has_an_end(engine: ServerEngine, store: Store) -> None:
    store.faults += [Fault(503, "Service unavailable")] * 999
    unavailable = r"cannot serve requests now \(Service unavailable\)"
    with patience.at_most(2), pytest.raises(EngineError, match=unavailable):
        engine.count()
    assert len(store.requests) > 3


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
    options = replace(engine.options, patience=0)
    hasty = ServerEngine(Nodes.of(engine.client, options), "catalog", options)
    store.faults.append(Fault(seconds=2.5))
    with pytest.raises(EngineError, match="did not respond within 2 s"):
        hasty.count()
    assert engine.count() == 20


def test_a_key_that_may_only_read(engine: ServerEngine, store: Store) -> None:
    store.faults.append(Fault(403, "Forbidden: Global write access is required"))
    with pytest.raises(EngineError, match=r"does not permit this .*may read and write"):
        engine.delete(["photos/1.jpg"])


def test_an_ingest_goes_on_when_the_server_is_back(store: Store, rest: RestServer) -> None:
    with closing(ServerEngine.connect(rest.url, replace(QUICK, patience=0.2))) as engine:
        engine.create(SPECS)
        engine.upsert([point(i) for i in range(10)])
        rest.close()
        with pytest.raises(EngineError, match="cannot be reached"):
            engine.upsert([point(i) for i in range(10, 20)])
        with closing(RestServer(store, rest.port)):
            assert engine.count() == 10
            engine.upsert([point(i) for i in range(10, 20)])
            assert engine.count() == 20
