"""Whether memory during an ingest grows with the number of images beyond the engine's own needs.

Two runs in processes of their own, one over four times as many images as the other: what the
larger one needs more is compared with what the bare engine needs more for the same points.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._figures import bound, finish, need_data

SMALL, LARGE = 1, 5
"""How often the catalogue is copied."""

ALLOWANCE = 48
"""MiB that may come and go: allocator and thread caches."""

INGEST = """
import sys
from lookalike import Index
with Index.open(sys.argv[2], model="layout") as index:
    print(index.add(sys.argv[1]).added)
"""

ENGINE = """
import sys
from lookalike.engines.edge import EdgeEngine
from lookalike.fields import fields_of
from lookalike.manifest import Manifest
from lookalike.types import Point
source = EdgeEngine(sys.argv[1])
manifest = Manifest.from_json(source.read_manifest(), "")
target = EdgeEngine(sys.argv[2])
target.create(list(manifest.vectors.values()))
for field in fields_of({}).values():
    if field.name != "image.id":
        target.create_field_index(field.path, field.type)
for points in source.scroll(vectors=list(manifest.vectors), batch=8):
    target.upsert([
        Point(p.id, {n: v.astype("uint8") if n == "phash" else v for n, v in p.vectors.items()},
              p.payload)
        for p in points
    ])
target.optimize()
target.close()
"""


def main() -> None:
    data = need_data()
    with tempfile.TemporaryDirectory() as folder:
        peaks = {}
        for copies in (SMALL, LARGE):
            photos = Path(folder) / f"photos-{copies}"
            for i in range(copies):
                shutil.copytree(data / "catalog" / "images", photos / str(i))
            index, copy = Path(folder) / f"index-{copies}", Path(folder) / f"copy-{copies}"
            peaks["ingest", copies] = peak(INGEST, photos, index)
            peaks["engine", copies] = peak(ENGINE, index, copy)
        grown = {what: peaks[what, LARGE] - peaks[what, SMALL] for what in ("ingest", "engine")}
        for (what, copies), mib in peaks.items():
            print(f"{what}, {copies * 1959} images: peak {mib:.0f} MiB")
        bound(
            "growth of the ingest beyond the engine's, MiB",
            grown["ingest"] - grown["engine"],
            most=ALLOWANCE,
        )
    finish()


def peak(code: str, *arguments: Path) -> float:
    """Peak resident memory of a process that runs `code`, in MiB."""
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
