"""The service on a server's index, while the server is away."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from lookalike.engines import ServerOptions
from lookalike.index import Index
from tests.support.api_server import options, serving
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import Cluster, Fault


@pytest.mark.parametrize("frozen", [False, True])
def test_requests_fail_soon_and_then_at_once(tmp_path: Path, frozen: bool) -> None:
    with Cluster(2) as cluster:
        index = Index.open(cluster.url, model="built-in", server=ServerOptions(timeout=10))
        with index, serving(index, options(tmp_path)) as client:
            index.add(folder_of(tmp_path / "photos", 4))
            cluster.nodes[0].freeze() if frozen else cluster.nodes[0].kill()
            for path in ("/readyz", "/v1/stats", "/v1/images"):
                assert client.get(path).status_code == 200, path
            cluster.nodes[1].freeze() if frozen else cluster.nodes[1].kill()
            times = []
            for path in ("/v1/images", "/readyz", "/v1/stats", "/v1/images"):
                started = time.monotonic()
                response = client.get(path)
                times.append(time.monotonic() - started)
                assert response.status_code == 503, path
            assert max(times) < 3.5
            assert max(times[1:]) < 0.5
            assert client.get("/healthz").status_code == 200
            for node in cluster.nodes:
                node.thaw() if frozen else node.start()
            time.sleep(1.5)
            assert client.get("/readyz").status_code == 200


def test_a_job_that_waits_for_the_server_can_be_stopped(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 4)
    with Cluster(2) as cluster:
        index = Index.open(cluster.url, model="built-in", server=ServerOptions(timeout=10))
        with index:
            with serving(index, options(tmp_path, roots=(photos,))) as client:
                cluster.store.faults.extend([Fault(503, on="upsert")] * 9_999)
                canceled = start_waiting(client, photos, cluster)
                client.delete("/v1/jobs/one", params={"job": canceled})
                started = time.monotonic()
                while state(client, canceled) == "running":
                    time.sleep(0.05)
                assert time.monotonic() - started < 3
                assert state(client, canceled) == "canceled"
                start_waiting(client, photos, cluster)
            assert "lookalike-jobs" not in [thread.name for thread in threading.enumerate()]


def start_waiting(client: httpx.Client, photos: Path, cluster: Cluster) -> str:
    """Starts an ingest and waits until it waits for the server."""
    cluster.store.requests.clear()
    job: str = client.post("/v1/jobs", json={"kind": "ingest", "path": str(photos)}).json()["job"]
    while "upsert" not in cluster.store.requests:
        assert state(client, job) in ("queued", "running")
        time.sleep(0.05)
    return job


def state(client: httpx.Client, job: str) -> str:
    """The state of a job."""
    answer: str = client.get("/v1/jobs/one", params={"job": job}).json()["state"]
    return answer
