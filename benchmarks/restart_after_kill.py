"""The time that the service takes to start after a kill in the middle of a graph build.

`lookalike serve` builds the search graph of an index of synthetic points, and is killed by SIGKILL
while it does, right after a client has changed some images. Then it starts again. The time counts
from its start to the first answer to a search. All points must be there, and all changes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks import _synthetic
from benchmarks._figures import bound, finish
from lookalike.engines.edge.engine import EdgeEngine

CHANGES = 50
BUILDING_SECONDS = 2.0
"""Seconds of building before the kill."""
MOST_SECONDS = 10.0
"""The interval of the health checks in deploy/: a service that is back by the next one counts as
never having been away. Loading replays at most 10,000 points of the log, 4,000 a second."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20_000)
    count = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        points = _synthetic.draw(count)
        _synthetic.open_index(EdgeEngine(path), points, optimize=False).close()
        with served(path) as (process, client, usual):
            kill_while_building(process, client)
        with served(path) as (_, client, seconds):
            images = client.get("/v1/stats").json()["images"]
            kept = client.get("/v1/images", params={"where": "rank >= 1000"}).json()["total"]
    print(
        f"{count:,} images, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: first answer "
        f"{usual:.1f} s after a start as usual, {seconds:.1f} s after a kill during a build"
    )
    bound("start after a kill, s", seconds, most=MOST_SECONDS)
    bound("images lost", count - images, most=0)
    bound("acknowledged changes lost", CHANGES - kept, most=0)
    finish()


def kill_while_building(process: subprocess.Popen[str], client: httpx.Client) -> None:
    """Has the service build a graph, changes some images, and kills it."""
    assert client.post("/v1/jobs", json={"kind": "optimize"}).is_success
    while not client.get("/v1/stats").json()["building"]:
        time.sleep(0.05)
    time.sleep(BUILDING_SECONDS)
    for number in range(CHANGES):
        fields = {"rank": 1000 + number}
        answer = client.patch("/v1/image", params={"id": str(number)}, json={"fields": fields})
        assert answer.is_success, answer.text
    assert client.get("/v1/stats").json()["building"], "the build is over: use more points"
    process.kill()


@contextmanager
def served(index: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client, float]]:
    """Runs `lookalike serve`; yields the process, a client, and the seconds to the first answer."""
    command = [sys.executable, "-m", "lookalike", "serve", "--index", str(index), "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().split()[-1]
            with httpx.Client(base_url=url, timeout=60) as client:
                answer = client.post("/v1/search", json={"id": "1"})
                assert answer.is_success, answer.text
                yield process, client, time.perf_counter() - began
        finally:
            process.kill()


if __name__ == "__main__":
    main()
