"""SIGTERM ends the service within seconds, whatever it is doing, and says so to those who wait."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from lookalike.api.stores.local_state import LocalState
from lookalike.engines import open_engine
from lookalike.index import Index
from tests.support.api_server import small_index
from tests.workers.samples import slow_photo

MOST_SECONDS = 8
GRAPH_POINTS = 6_000
"""Points that a graph is built for, which takes longer than the service may take to stop."""


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs `lookalike serve` on an index; yields the process and its URL."""
    command = [sys.executable, "-m", "lookalike", "serve", "--port", "0", "--index", str(folder)]
    environment = {name: v for name, v in os.environ.items() if not name.startswith("LOOKALIKE")}
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def stopped(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Returns the seconds that a process took to stop since now, and what it logged."""
    started = time.monotonic()
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    return time.monotonic() - started, log


def add_points(folder: Path, count: int) -> None:
    """Adds points with random vectors, all else as in the first point of the index."""
    rng = np.random.default_rng(3)
    with closing(open_engine(str(folder))) as engine:
        manifest = engine.read_manifest()
        assert manifest
        (pattern,) = next(iter(engine.scroll(vectors=list(manifest["vectors"]), batch=1)))
        for start in range(0, count, 500):
            points = []
            for number in range(start, min(start + 500, count)):
                vectors = {
                    name: vector
                    if name == "phash"
                    else rng.normal(size=vector.shape).astype(np.float32)
                    for name, vector in pattern.vectors.items()
                }
                payload = {"image": {**pattern.payload["image"], "id": f"new-{number}"}}
                points.append(
                    replace(pattern, id=f"new-{number}", vectors=vectors, payload=payload)
                )
            engine.upsert(points)


def test_requests_in_flight_get_a_problem_and_streams_end(tmp_path: Path) -> None:
    small_index(tmp_path, 3).close()
    with served(tmp_path / "index") as (process, url), ThreadPoolExecutor(8) as threads:
        host, port = url.removeprefix("http://").split(":")
        body = socket.create_connection((host, int(port)), 10)
        body.sendall(
            b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
            b"Content-Type: application/json\r\n\r\n{"
        )
        image = {"image": ("a.jpg", slow_photo())}
        slow = threads.submit(httpx.post, f"{url}/v1/uploads", files=image, timeout=30)
        time.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        seconds, log = stopped(process)
        assert seconds < MOST_SECONDS
        with closing(body):
            raw = b"".join(iter(lambda: body.recv(4096), b""))
        head, _, text = raw.partition(b"\r\n\r\n")
        answers: list[tuple[int, dict[str, Any]]] = [
            (int(head.split()[1]), json.loads(text)),
            (slow.result().status_code, slow.result().json()),
        ]
        for status, problem in answers:
            assert (status, problem["error"]) == (503, "TooBusy")
            assert "is stopping" in problem["detail"]
        assert "Traceback" not in log
    Index.open(tmp_path / "index").close()  # the lock was released


@pytest.mark.slow
def test_a_graph_build_does_not_delay_the_end_and_starts_again(tmp_path: Path) -> None:
    small_index(tmp_path, 3).close()
    add_points(tmp_path / "index", GRAPH_POINTS)
    with served(tmp_path / "index") as (process, url):
        job = httpx.post(f"{url}/v1/jobs", json={"kind": "optimize"}).json()["job"]
        with httpx.stream("GET", f"{url}/v1/jobs/events", params={"job": job}) as events:
            lines = events.iter_lines()
            until = time.monotonic() + 20
            while not httpx.get(f"{url}/v1/stats").json()["building"]:
                assert time.monotonic() < until
            assert httpx.get(f"{url}/v1/jobs/one", params={"job": job}).json()["state"] == "running"
            process.send_signal(signal.SIGTERM)
            for _ in lines:  # the stream ends in order
                pass
        seconds, log = stopped(process)
        assert seconds < MOST_SECONDS
        assert "Traceback" not in log
    with closing(LocalState(tmp_path / "index" / "state.sqlite")) as state:
        (stored,) = state.scan("job")
    assert (stored.value["state"], stored.value["starts"]) == ("queued", 0)
    with served(tmp_path / "index") as (process, url):
        until = time.monotonic() + 20
        while not httpx.get(f"{url}/v1/stats").json()["building"]:
            assert time.monotonic() < until
        assert httpx.get(f"{url}/v1/stats").json()["images"] == GRAPH_POINTS + 3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the children in /proc")
def test_a_child_that_hangs_does_not_delay_the_end(tmp_path: Path) -> None:
    small_index(tmp_path, 3).close()
    with served(tmp_path / "index") as (process, url):
        assert httpx.get(f"{url}/v1/stats").is_success
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        children = [int(c) for task in tasks for c in (task / "children").read_text().split()]
        for child in children:
            os.kill(child, signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        seconds, log = stopped(process)
        assert seconds < MOST_SECONDS
        assert "did not stop in 7 s" in log
        for child in children:
            os.kill(child, signal.SIGKILL)
    with Index.open(tmp_path / "index") as index:
        assert len(index) == 3
