"""Eight clients at once: the 99th percentile of searches by id over HTTP.

The service runs in a process of its own and the clients in another, on the same cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np

from benchmarks import _synthetic
from benchmarks._figures import bound, finish
from lookalike.api import Options
from lookalike.api.running import run
from lookalike.engines.edge import EdgeEngine

CLIENTS = 8
SECONDS = 20.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=100_000)
    count = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(Path(folder), count, theirs)
        )
        process.start()
        at = ours.recv()
        milliseconds = load(at, count)
        process.terminate()
        process.join()
    median, late, last = np.percentile(milliseconds, [50, 99, 100])
    print(
        f"{count:,} images, {CLIENTS} clients, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}: {len(milliseconds) / SECONDS:.0f} searches a second, "
        f"median {median:.1f} ms, 99th percentile {late:.1f} ms, longest {last:.1f} ms"
    )
    bound("99th percentile, ms", late, most=50.0)
    finish()


def serve(folder: Path, count: int, ready: Connection) -> None:
    """Makes the index and serves it."""
    engine = EdgeEngine(folder / "index")
    with closing(_synthetic.open_index(engine, _synthetic.draw(count))) as index:
        run(index, Options(folder), host="127.0.0.1", port=0, ready=ready.send)


def load(at: str, count: int) -> list[float]:
    """Milliseconds of every search of all clients."""
    spent: list[float] = []
    threads = [
        threading.Thread(target=client, args=(at, count, seed, spent)) for seed in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return spent


def client(at: str, count: int, seed: int, spent: list[float]) -> None:
    """Searches one after the other, as a shop's back end does for its pages."""
    rng = np.random.default_rng(seed)
    with httpx.Client(base_url=at, timeout=30) as session:
        until = time.perf_counter() + SECONDS
        while (started := time.perf_counter()) < until:
            body = {"id": str(rng.integers(count)), "limit": 10}
            session.post("/v1/search", json=body).raise_for_status()
            spent.append((time.perf_counter() - started) * 1e3)


if __name__ == "__main__":
    main()
