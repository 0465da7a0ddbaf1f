"""Latency of requests while the search graph of an embedded index is rebuilt.

    python -m benchmarks.build_pause [--points N] [--clients N]

Fills an index with points of the usual layout, and opens it in a child process, as the service
does. Clients search, read and write before and during `optimize`. Prints the latency of each kind
of request without and with a build. Exits with code 1 if a request during the build took longer
than 250 ms or failed, or if a write was lost. The latencies without a build show what the machine
is capable of: on a busy one they are no better.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._synthetic import SPECS, Points, draw
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.types import (
    AnyOfValues,
    CandidateQuery,
    Distance,
    FieldType,
    Point,
    Query,
    Range,
    VectorSpec,
    WeightedVector,
)

LIMIT_MS = 250.0
BEFORE_SECONDS = 15.0
CATEGORIES = 50
HASH = VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "made", "1")
FIELDS = {
    "rank": FieldType.FLOAT,
    "category": FieldType.KEYWORD,
    "image.uri": FieldType.KEYWORD,
}


def point(points: Points, i: int, id: str) -> Point:
    rng = np.random.default_rng(i)
    vectors = {f"{aspect}-made": rows[i] for aspect, rows in points.vectors.items()}
    payload = {
        "rank": float(points.rank[i]),
        "category": f"category {i % CATEGORIES}",
        "image": {"id": id, "uri": f"/photos/{id}.jpg"},
    }
    hash = rng.integers(0, 2, 64).astype(np.uint8)
    return Point(id, {**vectors, "phash": hash}, payload)


def fill(folder: Path, points: Points) -> None:
    engine = EdgeEngine(folder)
    engine.create([*SPECS, HASH])
    for path, type in FIELDS.items():
        engine.create_field_index(path, type)
    for first in range(0, len(points), 250):
        some = range(first, min(first + 250, len(points)))
        engine.upsert([point(points, i, str(i)) for i in some])
    engine.write_manifest({"schema": 1})
    engine.close()


class Clients:
    """Threads that send one request after the other until they are stopped.

    Attributes:
        times: milliseconds and start of every request, by kind.
        errors: messages of the requests that failed.
        written: ids of the points added.
    """

    def __init__(self, engine: SubprocessEngine, points: Points, count: int) -> None:
        self.engine, self.points = engine, points
        self.times: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.errors: list[str] = []
        self.written: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        rng = np.random.default_rng(number)
        turn = 0
        while not self._stop.is_set():
            i = int(rng.integers(len(self.points)))
            near = {
                aspect: WeightedVector(f"{aspect}-made", rows[i], 1 / len(self.points.vectors))
                for aspect, rows in self.points.vectors.items()
            }
            kinds = self._kinds(i, near, f"new-{number}-{turn}")
            kind = list(kinds)[turn % len(kinds)]
            before = time.perf_counter()
            try:
                kinds[kind]()
            except Exception as error:
                self.errors.append(f"{kind}: {error}")
            elapsed = time.perf_counter() - before
            self.times[kind].append((1000 * elapsed, before))
            turn += 1
            time.sleep(0.02)

    def _kinds(
        self, i: int, near: dict[str, WeightedVector], id: str
    ) -> dict[str, Callable[[], object]]:
        engine = self.engine
        semantic = near["semantic"]
        rare = Range("rank", lt=0.05)
        one_category = AnyOfValues("category", (f"category {i % CATEGORIES}",))

        def upsert() -> None:
            engine.upsert([point(self.points, i, id)])
            self.written.append(id)

        def blend() -> None:
            queries = [CandidateQuery(target, None, 200) for target in near.values()]
            among = list({id for rows in engine.nearest(queries) for id, _ in rows})
            engine.query([Query(tuple(near.values()), limit=20, among=among)])

        return {
            "search": lambda: engine.query([Query((semantic,), limit=20)]),
            "filtered search": lambda: engine.query([Query((semantic,), rare, limit=20)]),
            "blend": blend,
            "retrieve": lambda: engine.retrieve([str(i), str(i // 2)]),
            "upsert": upsert,
            "facet": lambda: engine.facet("category"),
            "filtered facet": lambda: engine.facet("category", rare),
            "count": lambda: engine.count(one_category),
        }


def row(times: list[float]) -> str:
    middle, late = np.percentile(times, (50, 99))
    return f"{len(times):>9} {middle:>8.1f} {late:>7.1f} {max(times):>8.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    points = draw(options.points)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "index", points)
        engine = SubprocessEngine(Path(folder) / "index")
        engine.count()
        clients = Clients(engine, points, options.clients)
        time.sleep(BEFORE_SECONDS)
        began = time.perf_counter()
        engine.optimize()
        seconds = time.perf_counter() - began
        time.sleep(3)  # includes the time right after the switch
        clients.stop()
        stored = {point.id for point in engine.retrieve(clients.written)}
        lost = len(set(clients.written) - stored)
        info = engine.info()
        engine.close()
    print(f"{options.points} points, {options.clients} clients, build {seconds:.0f} s, {info}")
    print(f"{'':<16} {'without a build, ms':>34} {'with one, ms':>34}")
    head = f"{'requests':>9} {'median':>8} {'99th':>7} {'longest':>8}"
    print(f"{'':<16}  {head} {head}  at second")
    longest = 0.0
    for kind, times in clients.times.items():
        during = [(most, at) for most, at in times if at + most / 1000 > began]
        without = [most for most, at in times if at + most / 1000 <= began]
        most, at = max(during)
        longest = max(longest, most)
        print(f"{kind:<16}  {row(without)} {row([one for one, _ in during])}  {at - began:>9.1f}")
    print(f"longest {longest:.0f} ms, failed {len(clients.errors)}, lost {lost}")
    for failure in clients.errors[:5]:
        print(failure)
    return int(longest > LIMIT_MS or bool(clients.errors) or bool(lost))


if __name__ == "__main__":
    sys.exit(main())
