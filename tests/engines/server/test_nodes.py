"""Several addresses, and patience: nodes that are killed, frozen and restarted as processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.address import parse_address
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import EngineError
from lookalike.system import patience
from lookalike.types import CandidateQuery
from tests.contract.test_engines import SPECS, STYLE, point
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import Cluster, Fault

OPTIONS = ServerOptions(backoff=0.05, patience=20, timeout=5)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(params=["rest", "grpc"])
def engine(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[ServerEngine]:
    options = replace(OPTIONS, grpc=request.param == "grpc")
    with closing(ServerEngine.connect(cluster.url, options)) as made:
        made.create(SPECS)
        made.upsert([point(i) for i in range(20)])
        yield made


def wait_until_up(engine: ServerEngine) -> None:
    """Waits until the engine knows that all nodes answer."""
    deadline = time.monotonic() + 20
    while not all(node.up for node in engine._nodes.nodes):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("url", "servers", "collection", "shown"),
    [
        (
            "http://a,b:7000,[::1]:6335/shop",
            ["http://a:6333", "http://b:7000", "http://[::1]:6335"],
            "shop",
            "http://a:6333,b:7000,[::1]:6335/shop",
        ),
        ("http://a/x/sh%6Fp", ["http://a:6333/x"], "shop", "http://a:6333/x/shop"),
        ("http://a/my%20shop%2F2", ["http://a:6333"], "my shop/2", "http://a:6333/my%20shop%2F2"),
        ("http://key@a,a:6333/shop", ["http://a:6333"], "shop", "http://a:6333,a:6333/shop"),
        ("https://h/l%C3%A4den", ["https://h:6333"], "läden", "https://h:6333/l%C3%A4den"),
    ],
)
def test_an_address_names_nodes_and_a_collection(
    url: str, servers: list[str], collection: str, shown: str
) -> None:
    address = parse_address(url, OPTIONS)
    assert [node.server for node in address.nodes] == servers
    assert address.collection == collection
    assert address.shown == shown


@pytest.mark.parametrize("url", ["http://a:6333,/shop", "http://a:6333,b:6333", "http://,/shop"])
def test_an_address_with_a_gap_is_refused(url: str) -> None:
    with pytest.raises(EngineError, match="does not name a collection"):
        parse_address(url, OPTIONS)


def test_requests_go_round(cluster: Cluster, engine: ServerEngine) -> None:
    for away in range(3):
        others = [node for i, node in enumerate(cluster.nodes) if i != away]
        for node in others:
            node.kill()
        started = time.monotonic()
        assert engine.count() == 20
        engine.upsert([point(away)])
        assert time.monotonic() - started < 2
        for node in others:
            node.start()
        wait_until_up(engine)


def test_any_node_may_be_gone_when_it_is_opened(cluster: Cluster) -> None:
    cluster.nodes[0].kill()
    cluster.nodes[1].freeze()
    with closing(ServerEngine.connect(cluster.url, OPTIONS)) as engine:
        engine.create(SPECS)
        cluster.nodes[0].start()
        cluster.nodes[1].thaw()
        wait_until_up(engine)
        cluster.nodes[2].kill()
        assert engine.count() == 0


def test_no_node_may_be_gone(cluster: Cluster) -> None:
    for node in cluster.nodes:
        node.kill()
    with pytest.raises(EngineError, match="cannot be reached"):
        ServerEngine.connect(cluster.url, OPTIONS)


def test_a_frozen_node_is_passed_over_where_a_person_waits(
    cluster: Cluster, engine: ServerEngine
) -> None:
    engine.nearest([CandidateQuery(STYLE, None, 5)])
    cluster.nodes[1].freeze()
    slowest = 0.0
    for _ in range(9):
        started = time.monotonic()
        with patience.at_most(3):
            engine.nearest([CandidateQuery(STYLE, None, 5)])
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 3
    started = time.monotonic()
    for _ in range(9):
        with patience.at_most(3):
            engine.count()
    assert time.monotonic() - started < 1
    cluster.nodes[1].thaw()


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_outlives_the_server(cluster: Cluster, engine: ServerEngine, frozen: bool) -> None:
    times, seen = list[float](), list[str | None]()

    def come_back() -> None:
        time.sleep(6)
        seen.append(patience.current_wait())
        for node in cluster.nodes:
            node.thaw() if frozen else node.start()
        times.append(time.monotonic())

    for node in cluster.nodes:
        node.freeze() if frozen else node.kill()
    thread = threading.Thread(target=come_back)
    thread.start()
    engine.upsert([point(i) for i in range(20, 40)])
    thread.join()
    assert time.monotonic() - times[0] < 2
    if not frozen:  # a frozen one may still answer
        assert seen == [f"waiting for {engine.url}"]
    assert patience.current_wait() is None
    assert engine.count() == 40


def test_patience_ends(cluster: Cluster) -> None:
    with closing(ServerEngine.connect(cluster.url, replace(OPTIONS, patience=1))) as engine:
        for node in cluster.nodes:
            node.kill()
        started = time.monotonic()
        with pytest.raises(EngineError, match="cannot be reached"):
            engine.read_manifest()
        assert 0.9 < time.monotonic() - started < 3


@pytest.mark.parametrize("frozen", [False, True])
def test_a_person_waits_three_seconds_and_then_no_more(
    cluster: Cluster, engine: ServerEngine, frozen: bool
) -> None:
    for node in cluster.nodes:
        node.freeze() if frozen else node.kill()
    times = [1.0]
    while times[-1] >= 0.1 and len(times) < 7:
        started = time.monotonic()
        with patience.at_most(3), pytest.raises(EngineError):
            engine.count()
        times.append(time.monotonic() - started)
        time.sleep(0.7 if frozen else 0)  # then it is known that they are away
    assert max(times) < 3.3
    assert times[-1] < 0.1
    for node in cluster.nodes:
        node.thaw() if frozen else node.start()
    wait_until_up(engine)
    with patience.at_most(3):
        assert engine.count() == 20


def test_what_is_stopped_waits_no_more(cluster: Cluster, engine: ServerEngine) -> None:
    for node in cluster.nodes:
        node.kill()
    ended: list[float] = []

    stop = threading.Event()

    def write() -> None:
        with patience.until(stop.is_set), pytest.raises(EngineError, match="cannot be reached"):
            engine.upsert([point(30)])
        ended.append(time.monotonic())

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    stop.set()
    thread.join()
    assert ended[0] - started < 3


RUN = """
import signal, sys
from lookalike import cli

class Swallower:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGUSR1, lambda *_: Swallower() and None)
cli.main(sys.argv[1:])
"""
"""A command that gets SIGINT in a finalizer when it is sent SIGUSR1."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_ends_a_run_while_the_server_is_away(
    cluster: Cluster, tmp_path: Path, number: signal.Signals
) -> None:
    photos = folder_of(tmp_path, 6)
    store = cluster.store
    store.faults.extend([Fault(503, on="upsert")] * 9_999)
    command = [sys.executable, "-c", RUN, "index", str(photos), "--index", cluster.url]
    run = subprocess.Popen([*command, "--model", "built-in"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while "upsert" not in store.requests and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    started = time.monotonic()
    run.send_signal(number)
    _, errors = run.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert run.returncode == (143 if number == signal.SIGTERM else 130), errors
    assert errors.decode().splitlines()[-1].startswith("Stopped. Run the same command again")
    assert b"Traceback" not in errors
