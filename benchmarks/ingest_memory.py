"""Growth of an ingest's memory with the number of images, beyond that of the engine.

Two ingests run in processes of their own, the second over five times as many images as the first.
The growth of their peak memory is compared with that of the bare engine, which stores the same
points in batches of the same size.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._figures import bound, finish, need_data
from lookalike import Index

SMALL, LARGE = 1, 5
"""Copies of the catalog in the two runs."""

ALLOWANCE = 48
"""MiB that allocator and thread caches may take."""

INGEST = """
import sys
from lookalike import Index
with Index.open(sys.argv[2], model="built-in") as index:
    print(index.add(sys.argv[1]).added)
"""

ENGINE = """
import json, sys
import numpy as np
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.fields import indexed_fields
from lookalike.manifest import Manifest
from lookalike.types import Point
with open(sys.argv[1]) as lines:
    manifest = Manifest.from_json(json.loads(next(lines)), "")
    engine = EdgeEngine(sys.argv[2])
    engine.create(list(manifest.vectors.values()))
    for field in indexed_fields({}):
        engine.create_field_index(field.path, field.type)
    batch = []
    for line in lines:
        id, vectors, payload = json.loads(line)
        vectors = {n: np.array(v, manifest.vectors[n].datatype) for n, v in vectors.items()}
        batch.append(Point(id, vectors, payload))
        if len(batch) == 8:
            engine.upsert(batch)
            batch = []
    engine.upsert(batch)
    engine.optimize()
    engine.close()
"""


def main() -> None:
    data = need_data()
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for copies in (SMALL, LARGE):
            photos = Path(folder) / f"photos-{copies}"
            for i in range(copies):
                shutil.copytree(data / "catalog" / "images", photos / str(i))
            index, points = Path(folder) / f"index-{copies}", Path(folder) / f"{copies}.jsonl"
            peaks["ingest", copies] = peak(INGEST, photos, index)
            write_points(index, points)
            peaks["engine", copies] = peak(ENGINE, points, Path(folder) / f"engine-{copies}")
        grown = {what: peaks[what, LARGE] - peaks[what, SMALL] for what in ("ingest", "engine")}
        for (what, copies), mib in peaks.items():
            print(f"{what}, {copies * 1959} images: peak {mib:.0f} MiB")
        bound(
            "growth of the ingest beyond the engine's, MiB",
            grown["ingest"] - grown["engine"],
            most=ALLOWANCE,
        )
    finish()


def write_points(index: Path, file: Path) -> None:
    """Writes the manifest and all points as JSON Lines, for the bare engine."""
    with Index.open(index) as opened, file.open("w") as out:
        out.write(json.dumps(opened._manifest.to_json()) + "\n")
        for point in opened.scroll(vectors=True):
            vectors = {name: vector.tolist() for name, vector in point.vectors.items()}
            out.write(json.dumps([point.id, vectors, point.payload]) + "\n")


def peak(code: str, *arguments: Path) -> float:
    """Peak resident memory in MiB of a process that runs some code."""
    watch = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, code, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout.split()[-1]) / 1024


if __name__ == "__main__":
    main()
