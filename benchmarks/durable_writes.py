"""Acknowledged writes a second with and without bringing each to the disk, side by side.

    python -m benchmarks.durable_writes [--points N]

Adds points of the built-in layout to two embedded indexes in turn: one as it is, whose writes
survive a power cut once they are acknowledged, and one that leaves the log to the system. Prints
the points a second in batches of 64 by four threads, as an ingest writes them, the latency of a
single add, the adds a second of eight clients of one service, and, where `strace` exists, the calls
that wait for the disk. Writers that wait at the same time share a sync. Exits with code 1 if
batches reach less than 0.8 of the rate without.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks._figures import bound, finish
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.fields import indexed_fields
from lookalike.types import Distance, FieldType, Point, VectorSpec

BATCH = 64
ROUNDS = 6
CLIENTS = 8
SINGLE = 100
SPECS = (
    VectorSpec("semantic", "semantic", 512, Distance.COSINE, "float32", "made", "1"),
    VectorSpec("color", "color", 125, Distance.COSINE, "float32", "made", "1"),
    VectorSpec("texture", "texture", 198, Distance.COSINE, "float32", "made", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "made", "1"),
)
WRITERS = 4
FIELDS = {"price": FieldType.FLOAT, "category": FieldType.KEYWORD}


class UnsyncedEngine(EdgeEngine):
    """An engine that acknowledges a write before its log is on the disk."""

    def _commit(self) -> None:
        pass


def points(first: int, count: int) -> list[Point]:
    """Random points with the fields of a small catalog."""
    rng = np.random.default_rng(first)
    rows = {
        spec.name: rng.standard_normal((count, spec.size)).astype(np.float32) for spec in SPECS[:3]
    }
    bits = rng.integers(0, 2, (count, 64)).astype(np.uint8)
    return [
        Point(
            str(i),
            {**{name: row[i - first] for name, row in rows.items()}, "phash": bits[i - first]},
            {
                "price": float(i),
                "category": f"category {i % 50}",
                "image": {
                    "id": str(i),
                    "uri": f"/photos/{i}.jpg",
                    "etag": "1",
                    "sha256": f"{i:064x}",
                    "format": "jpeg",
                    "width": 600 + i % 100,
                    "height": 800,
                    "bytes": 40_000 + i,
                    "phash": f"{i:016x}",
                    "colors": [{"name": "blue", "hex": "#2040c0", "share": 0.6}],
                    "indexed_at": "2026-05-01T12:00:00Z",
                },
            },
        )
        for i in range(first, first + count)
    ]


def create(engine: EdgeEngine | SubprocessEngine) -> None:
    engine.create(list(SPECS))
    for field in indexed_fields(FIELDS):
        engine.create_field_index(field.path, field.type)
    engine.write_manifest({"schema": 1})


def seconds_of(engine: EdgeEngine, batches: Sequence[list[Point]], writers: int) -> float:
    """Seconds until some writers together have added batches."""
    started = time.perf_counter()
    with ThreadPoolExecutor(writers) as threads:
        list(threads.map(engine.upsert, batches))
    return time.perf_counter() - started


def side_by_side(folder: Path, count: int) -> None:
    """Both kinds of engine in turn, with the same batches and the same single points."""
    made = {
        "synced": EdgeEngine(folder / "synced"),
        "unsynced": UnsyncedEngine(folder / "unsynced"),
    }
    batched: dict[str, list[float]] = {name: [] for name in made}
    single: dict[str, list[float]] = {name: [] for name in made}
    for engine in made.values():
        create(engine)
    each = max(1, count // BATCH // ROUNDS)
    for i in range(ROUNDS):
        first = i * (each * BATCH + SINGLE)
        batches = [points(first + BATCH * j, BATCH) for j in range(each)]
        ones = [[one] for one in points(first + BATCH * each, SINGLE)]
        for name in list(made) if i % 2 else reversed(made):
            batched[name].append(seconds_of(made[name], batches, WRITERS))
            single[name] += [seconds_of(made[name], [one], 1) for one in ones]
    for engine in made.values():
        engine.close()
    rates = {name: each * BATCH / statistics.median(all) for name, all in batched.items()}
    for name, seconds in single.items():
        print(
            f"{name}: {rates[name]:,.0f} points/s in batches of {BATCH} by {WRITERS} writers; a "
            f"single add takes {1000 * statistics.median(seconds):.2f} ms (median), "
            f"{1000 * sorted(seconds)[int(0.95 * len(seconds))]:.2f} ms (95th percentile)"
        )
    bound("synced relative to unsynced, batches", rates["synced"] / rates["unsynced"], least=0.8)


def shared_syncs(folder: Path) -> None:
    """Single adds of several threads, whose syncs a service shares."""
    with closing(SubprocessEngine(folder / "shared")) as engine:
        create(engine)
        rates = {}
        for clients in (1, CLIENTS):
            adds = [[one] for one in points(clients * 100_000, 400)]
            started = time.perf_counter()
            with ThreadPoolExecutor(clients) as threads:
                list(threads.map(engine.upsert, adds))
            rates[clients] = len(adds) / (time.perf_counter() - started)
    print(f"single adds to a service: {rates[1]:,.0f}/s by one client, ", end="")
    print(f"{rates[CLIENTS]:,.0f}/s by {CLIENTS} clients at once")


def waits_for_the_disk(folder: Path) -> None:
    """Counts the calls that wait for the disk while another process adds batches."""
    if not shutil.which("strace"):
        print("calls that wait for the disk: not counted, there is no strace")
        return
    counted = {}
    for batches in (0, 50):
        log = folder / "strace"
        code = (
            "import sys; from pathlib import Path; from benchmarks import durable_writes as d\n"
            "engine = d.EdgeEngine(Path(sys.argv[1])); d.create(engine)\n"
            "for i in range(int(sys.argv[2])): engine.upsert(d.points(64 * i, 64))\n"
            "import os; os._exit(0)"
        )
        calls = "trace=fsync,fdatasync,msync,sync_file_range"
        command = ["strace", "-f", "-c", "-e", calls, "-o", str(log), sys.executable, "-c", code]
        subprocess.run([*command, str(folder / f"traced-{batches}"), str(batches)], check=True)
        rows = [line.split() for line in log.read_text().splitlines()]
        counted[batches] = {row[-1]: int(row[3]) for row in rows if "sync" in "".join(row[-1:])}
    for name in sorted(counted[50]):
        of_one = (counted[50][name] - counted[0].get(name, 0)) / 50
        print(f"{name}: {of_one:.2f} calls for each acknowledged batch")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--points", type=int, default=6_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        side_by_side(Path(name), arguments.points)
        shared_syncs(Path(name))
        waits_for_the_disk(Path(name))
    finish()


if __name__ == "__main__":
    main()
