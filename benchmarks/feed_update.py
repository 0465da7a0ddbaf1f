"""Speed of updates from a catalog feed in which prices have changed and pictures have not.

The index has synthetic points, as if the pictures had been fetched, and the feed is a table with a
row for each. With `recheck=False` nothing is asked of the pictures' server, so the figure is that
of reading the feed, comparing it with the index, and writing prices. It is in seconds of the
process's own time on all cores, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._figures import bound, finish
from lookalike import Index
from lookalike.ingest.report import IngestReport
from lookalike.types import Point

_BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        feed = Path(folder) / "feed.tsv"
        with Index.open(Path(folder) / "index", model="built-in") as index:
            fill(index, feed, rows)
            update(index, feed, rows, price=10)  # brings the fields
            unchanged, rate = update(index, feed, rows, price=10)
            assert unchanged.unchanged == rows
            print(f"{rows:,} rows, none changed: {rate:,.0f} rows/s")
            changed, rate = update(index, feed, rows, price=20)
            assert changed.updated == rows
            print(f"all prices changed: {changed.images_per_second:,.0f} rows/s by the clock")
    bound("a feed whose prices have all changed, rows/s of processor time", rate, least=5_000)
    finish()


def update(index: Index, feed: Path, rows: int, *, price: int) -> tuple[IngestReport, float]:
    """Writes the feed with prices from a given one on, and brings the index up to date with it;
    returns the report, and rows per second of processor time."""
    with feed.open("w", encoding="utf-8") as file:
        file.write("id\ttitle\tbrand\tprice\tavailability\timage_link\n")
        for n in range(rows):
            cells = f"{n}\tProduct {n}\tBrand {n % 50}\t{price + n % 500}.95 EUR\tin stock"
            file.write(f"{cells}\t{address(n)}\n")
    started = time.process_time()
    report = index.add(feed, fetch=True, recheck=False, optimize=False)
    return report, rows / (time.process_time() - started)


def fill(index: Index, feed: Path, rows: int) -> None:
    """Stores a point for each row, with vectors drawn at random."""
    rng = np.random.default_rng(5)
    specs = index._manifest.vectors.values()
    for first in range(0, rows, _BATCH):
        index._engine.upsert(
            [
                Point(
                    str(n),
                    {
                        spec.name: (
                            rng.integers(0, 2, spec.size).astype(spec.datatype)
                            if spec.datatype == "uint8"
                            else rng.standard_normal(spec.size).astype(spec.datatype)
                        )
                        for spec in specs
                    },
                    {"image": record(n, str(feed))},
                )
                for n in range(first, min(first + _BATCH, rows))
            ]
        )
    index.optimize()


def record(n: int, feed: str) -> dict[str, object]:
    """The record of a picture that was fetched."""
    return {
        "id": str(n),
        "uri": address(n),
        "etag": f'"{n:x}"',
        "listed_in": feed,
        "sha256": hashlib.sha256(str(n).encode()).hexdigest(),
        "format": "JPEG",
        "width": 800,
        "height": 800,
        "bytes": 90_000,
        "phash": f"{n:016x}",
        "colors": [],
        "indexed_at": "2026-01-01T00:00:00Z",
    }


def address(n: int) -> str:
    return f"https://cdn.example/pictures/{n}.jpg?v=1"


if __name__ == "__main__":
    main()
