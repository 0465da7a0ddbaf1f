"""Jobs of several services on one collection: any of them accepts, shows and cancels them, one runs
them, and another one takes over when that one dies."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from lookalike.api.jobs import lease as leases
from lookalike.api.jobs import queue
from lookalike.api.jobs.lease import Lease
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from lookalike.index import Index
from tests.api.test_jobs import document_of, events, finished, start, wait_until_running
from tests.api.test_standing_jobs import canceled, until
from tests.support.api_server import options, picture, serving
from tests.support.many_services import ServiceProcess, balanced, two_services
from tests.support.pictures import folder_of, many_files
from tests.support.qdrant_wire import Cluster, RestServer, Store

MANY = 500
"""Images that take long enough to index that a service can be killed halfway."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that takes seconds to index."""
    return many_files(tmp_path_factory.mktemp("many") / "photos", MANY)


@pytest.fixture
def url() -> Iterator[str]:
    """The address of an empty index on a server."""
    with closing(RestServer(Store())) as server:
        Index.open(server.url, model="built-in", threads=1).close()
        yield server.url


@pytest.fixture
def client(
    url: str, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """A client of two services behind a load balancer."""
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.2)
    with two_services(url, tmp_path, roots=(many,)) as urls, balanced(urls) as client:
        yield client


def test_jobs_are_run_watched_and_canceled_through_any_service(
    client: httpx.Client, many: Path
) -> None:
    first = start(client, kind="ingest", path=str(many))
    second = start(client, kind="optimize")
    seen: list[dict[str, Any]] = []
    for _ in range(2):  # one of them is not the service that runs it
        wait_until_running(client, first)
    states = [job["state"] for job in client.get("/v1/jobs").json()["jobs"]]
    assert states == ["queued", "running"]
    for _ in range(2):
        seen.append(document_of(client, second))
        assert client.get("/v1/stats").json()["building"] is False
    assert {job["state"] for job in seen} == {"queued"}
    threading.Timer(0.1, client.delete, ["/v1/jobs/one"], {"params": {"job": first}}).start()
    followed = [document for _, document in events(client, first)]
    assert followed[-1]["state"] == "canceled"
    assert 0 < followed[-1]["report"]["added"] < MANY
    assert finished(client, second)["state"] == "done"
    assert document_of(client, second)["started_at"] >= document_of(client, first)["finished_at"]
    for _ in range(2):
        assert document_of(client, first) == followed[-1]


@pytest.mark.parametrize(
    "end",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGSTOP, marks=pytest.mark.slow),
    ],
)
def test_another_service_goes_on_with_the_job_of_one_that_is_gone(
    url: str, many: Path, tmp_path: Path, end: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service is killed, stopped, or frozen in the middle of a job; once thawed, it lets go."""
    for name, seconds in (("LEASE", 2.0), ("HOLD", 1.2), ("RENEWAL", 0.3)):
        monkeypatch.setattr(leases, name, seconds)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.2)
    process = ServiceProcess(f"--index={url}", f"--root={many}", f"--uploads={tmp_path}")
    with process as one, httpx.Client(base_url=one.url, timeout=30) as first:
        job = start(first, kind="ingest", path=str(many))
        wait_until_running(first, job)
        with (
            Index.open(url, model="built-in", threads=1) as index,
            serving(index, options(tmp_path, roots=(many,))) as second,
        ):
            assert document_of(second, job)["state"] == "running"
            one.send(end)
            after = finished(second, job, seconds=60)
            assert after["state"] == "done", after
            assert after["report"]["unchanged"] > 0
            assert after["report"]["unchanged"] + after["report"]["added"] == MANY
            if end is signal.SIGSTOP:
                one.send(signal.SIGCONT)
                time.sleep(1.5)
                for client in (first, second):
                    assert document_of(client, job) == after
                    assert client.get("/v1/stats").json()["images"] == MANY
                again = start(first, kind="optimize")
                assert finished(second, again)["state"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_another_service_goes_on_with_a_watch(
    url: str, tmp_path: Path, end: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LEASE", 2.0), ("HOLD", 1.2), ("RENEWAL", 0.3)):
        monkeypatch.setattr(leases, name, seconds)
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.2)
    photos = folder_of(tmp_path / "photos", 4)
    process = ServiceProcess(f"--index={url}", f"--root={photos}", f"--uploads={tmp_path}")
    with process as one, httpx.Client(base_url=one.url, timeout=30) as first:
        job = start(first, kind="watch", paths=[str(photos)])
        until(first, job, lambda document: document["passes"])
        with (
            Index.open(url, model="built-in", threads=1) as index,
            serving(index, options(tmp_path, roots=(photos,))) as second,
        ):
            assert finished(second, start(second, kind="optimize"))["state"] == "done"
            assert document_of(second, job)["passes"] == 1
            one.send(end)
            folder_of(photos, 1, first=20)
            until(second, job, lambda document: document["passes"] > 1, seconds=60)
            assert len(index) == 5
            folder_of(photos, 1, first=30)
            until(second, job, lambda _: len(index) == 6)
            canceled(second, job)


def test_a_lease_has_one_holder_at_a_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight services that take, renew, keep and lose the lease at random."""
    for name, seconds in (("LEASE", 0.5), ("HOLD", 0.3), ("RENEWAL", 0.05)):
        monkeypatch.setattr(leases, name, seconds)
    over_rest = ServerOptions(grpc=False)
    holders: set[str] = set()
    turns: list[str] = []
    wrong: list[set[str]] = []
    until = time.monotonic() + 5

    def serve(seed: int) -> None:
        chance = random.Random(seed)
        with closing(ServerEngine.connect(url, over_rest)) as engine:
            lease = Lease(engine.open_state(), "test")
            while time.monotonic() < until:
                if lease.take():
                    turns.append(lease.id)
                    for _ in range(chance.randrange(8)):
                        if lease.held:
                            holders.add(lease.id)
                            if len(holders) > 1:
                                wrong.append(set(holders))
                            time.sleep(0.01)
                            holders.discard(lease.id)
                        time.sleep(chance.random() * 0.05)
                        lease.renew()
                    if chance.random() < 0.7:
                        lease.release()
                    else:  # as if it died
                        time.sleep(0.6)
                time.sleep(0.02)

    threads = [threading.Thread(target=serve, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(set(turns)) > 2


@pytest.mark.parametrize("frozen", [False, True])
def test_services_go_on_while_a_node_is_away(
    tmp_path: Path, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request fails but those that a frozen node holds up, and jobs run."""
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.2)
    few = folder_of(tmp_path / "photos", 6)
    with Cluster(3, replicas=2) as cluster:
        Index.open(cluster.url, model="built-in", threads=1).close()
        node = cluster.nodes[0]
        with two_services(cluster.url, tmp_path, roots=(few,)) as urls, balanced(urls) as client:
            finished(client, start(client, kind="ingest", path=str(few)))
            node.freeze() if frozen else node.kill()
            files = {"image": ("a.png", picture(1))}
            token = client.post("/v1/uploads", files=files).json()["upload"]
            for _ in range(2):
                assert client.post("/v1/search", json={"upload": token}).is_success
            for kind in ("optimize", "duplicates"):
                assert finished(client, start(client, kind=kind))["state"] == "done"
            for _ in range(2):
                assert client.get("/v1/duplicates").is_success
                assert len(client.get("/v1/jobs").json()["jobs"]) == 3
