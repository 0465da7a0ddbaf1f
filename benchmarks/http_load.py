"""The 99th percentile latency of searches by id over HTTP, with eight clients at once.

`lookalike serve` runs as usual, on the same cores as the clients. The clients are coroutines of one
process on raw sockets that stay open. Eight threads with an HTTP library would take as much of two
cores as the service does, and wait for each other's interpreter lock, which would count as the
service's time. Each client sends its next request as soon as it has a response.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from contextlib import closing
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks import _synthetic
from benchmarks._figures import bound, finish
from benchmarks.http_soak import service
from lookalike.engines.edge.engine import EdgeEngine

CLIENTS = 8
SECONDS = 20.0
WARM_UP = 10.0
"""Seconds of the same load before the measurement."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    count = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        _synthetic.open_index(EdgeEngine(path), _synthetic.draw(count)).close()
        with service(path) as url:
            asyncio.run(load(url, count, WARM_UP))
            milliseconds = asyncio.run(load(url, count, SECONDS))
    median, p99, longest = np.percentile(milliseconds, [50, 99, 100])
    print(
        f"{count:,} images, {CLIENTS} clients, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}: {len(milliseconds) / SECONDS:.0f} searches a second, "
        f"median {median:.1f} ms, 99th percentile {p99:.1f} ms, longest {longest:.1f} ms"
    )
    bound("99th percentile, ms", p99, most=50.0)
    finish()


async def load(url: str, count: int, seconds: float) -> list[float]:
    """Runs all clients; returns the latency of every search in milliseconds."""
    until = time.perf_counter() + seconds
    latencies = await asyncio.gather(*(client(url, count, seed, until) for seed in range(CLIENTS)))
    return list(chain(*latencies))


async def client(url: str, count: int, seed: int, until: float) -> list[float]:
    """Sends searches one after another, like the back end of a shop."""
    rng = np.random.default_rng(seed)
    address = urlsplit(url)
    head = (
        f"POST /v1/search HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    )
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    latencies = []
    with closing(writer):
        while (started := time.perf_counter()) < until:
            body = json.dumps({"id": str(rng.integers(count)), "limit": 10})
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            status, *headers = (await reader.readuntil(b"\r\n\r\n")).lower().splitlines()
            assert b" 200 " in status, status
            (size,) = (line for line in headers if line.startswith(b"content-length:"))
            await reader.readexactly(int(size.partition(b":")[2]))
            latencies.append((time.perf_counter() - started) * 1e3)
    return latencies


if __name__ == "__main__":
    main()
