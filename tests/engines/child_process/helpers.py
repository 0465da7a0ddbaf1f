"""Points, and observers of child processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.types import (
    Distance,
    Point,
    Vector,
    VectorSpec,
)
from tests.support.paths import ROOT

SIZE = 4096  # large, so that few points are enough for a graph
COUNT = 700
SPECS = (
    VectorSpec("v", "semantic", SIZE, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "test", "1"),
)


def vector(i: int) -> Vector:
    return np.random.default_rng(i).standard_normal(SIZE).astype(np.float32)


def point(i: int, n: int | None = None) -> Point:
    bits = np.random.default_rng(i).integers(0, 2, 64).astype(np.uint8)
    payload = {"n": i if n is None else n, "kind": f"k{i % 5}", "image": {"id": str(i)}}
    return Point(str(i), {"v": vector(i), "phash": bits}, payload)


def fill(engine: EdgeEngine | SubprocessEngine, count: int) -> None:
    for first in range(0, count, 250):
        engine.upsert([point(i) for i in range(first, min(first + 250, count))])


def shards(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.glob("shard*"))


def state(engine: EdgeEngine | SubprocessEngine) -> dict[str, int]:
    """The field `n` of every point."""
    points = [one for batch in engine.scroll() for one in batch]
    assert len({one.id for one in points}) == len(points)
    return {one.id: one.payload["n"] for one in points}


EXPECTED = {str(i): i for i in range(COUNT)}


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def building(engine: SubprocessEngine) -> Iterator[Future[None]]:
    """Runs the body while another thread builds a graph."""
    with ThreadPoolExecutor(1) as pool:
        build = pool.submit(engine.optimize)
        wait_for(lambda: build.done() or len(engine.children()) == 2)
        assert not build.done()
        yield build


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Runs `code` in another process, without an `if __name__ == "__main__"`."""
    setup = """
        import sys, threading, time
        from lookalike.engines.edge.engine import EdgeEngine
        from lookalike.engines.edge.process import SubprocessEngine
        from tests.engines.child_process.helpers import point
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(setup) + textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
