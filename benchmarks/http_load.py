"""Eight clients at once: the 99th percentile of searches by id over HTTP.

`lookalike serve` runs as it does for its users, on the same cores as the clients. These are
coroutines of one process, on plain sockets that stay open: eight clients of an HTTP library, a
thread each, take as much of two cores as the service does and wait for one another's interpreter
lock, which would count as the service's time. Each asks as soon as it was answered.
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
"""Seconds of the same before it counts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    count = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        _synthetic.open_index(EdgeEngine(path), _synthetic.draw(count)).close()
        with service(path) as at:
            asyncio.run(load(at, count, WARM_UP))
            milliseconds = asyncio.run(load(at, count, SECONDS))
    median, late, last = np.percentile(milliseconds, [50, 99, 100])
    print(
        f"{count:,} images, {CLIENTS} clients, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}: {len(milliseconds) / SECONDS:.0f} searches a second, "
        f"median {median:.1f} ms, 99th percentile {late:.1f} ms, longest {last:.1f} ms"
    )
    bound("99th percentile, ms", late, most=50.0)
    finish()


async def load(at: str, count: int, seconds: float) -> list[float]:
    """Milliseconds of every search of all clients."""
    until = time.perf_counter() + seconds
    spent = await asyncio.gather(*(client(at, count, seed, until) for seed in range(CLIENTS)))
    return list(chain(*spent))


async def client(at: str, count: int, seed: int, until: float) -> list[float]:
    """Searches one after the other, as a shop's back end does for its pages."""
    rng = np.random.default_rng(seed)
    where = urlsplit(at)
    head = f"POST /v1/search HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    spent = []
    with closing(writer):
        while (started := time.perf_counter()) < until:
            body = json.dumps({"id": str(rng.integers(count)), "limit": 10})
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            status, *answer = (await reader.readuntil(b"\r\n\r\n")).lower().splitlines()
            assert b" 200 " in status, status
            (size,) = (line for line in answer if line.startswith(b"content-length:"))
            await reader.readexactly(int(size.partition(b":")[2]))
            spent.append((time.perf_counter() - started) * 1e3)
    return spent


if __name__ == "__main__":
    main()
