"""The service on a server's index, while the server is away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lookalike.engines import ServerOptions
from lookalike.index import Index
from tests.support.api_server import options, serving
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import Cluster


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
