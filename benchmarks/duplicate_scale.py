"""Time, memory and proposals of a check for duplicates at one million drawn points, and at four.

Points are drawn: hashes like those of photos (`hash_pairs`), a tenth of them near copies of others
in some orientation, and ten neighbors each, of which one is the copy. The engine answers at once,
so what is measured is the check itself. Comparing pictures is measured by itself, on photos, as its
time grows with the pairs alone. Time is processor time, which other programs disturb less than wall
time; each check runs in a process of its own, whose memory counts without the drawn points.

Usage: python -m benchmarks.duplicate_scale [--large]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._figures import DATA, bound, finish
from benchmarks.hash_pairs import draw, photo_latent
from lookalike.comparison import batch
from lookalike.comparison.batch import StoredPicture
from lookalike.comparison.hamming import Hashes, all_orientations
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.duplicates.bulk.capacity import estimate_check
from lookalike.duplicates.bulk.check import (
    LEAST_MEMORY,
    OTHER_MEMORY,
    BulkCheck,
    prepare,
)
from lookalike.duplicates.bulk.proposals import join_radius, pairs_of
from lookalike.duplicates.bulk.steps import taken_here
from lookalike.duplicates.check import DuplicateSearch, SimilarityThresholds
from lookalike.imaging.decode import decode
from lookalike.imaging.thumbnails import encode_thumbnail
from lookalike.types import CandidateQuery, Candidates, Point, PointId, point_id

SMALL, LARGE = 1_000_000, 4_000_000
MEMORY = LEAST_MEMORY
"""Bytes that the check is given: the least that it takes."""
COPIES = 0.1
NEIGHBORS = 10

Files = NDArray[np.int64]


class DrawnEngine:
    """An engine of drawn points, without pictures. A vector is the number of its image."""

    def __init__(self, hashes: Hashes, of: Files) -> None:
        self._hashes = hashes
        self._of = of

    def count(self, filter: object = None) -> int:
        return len(self._hashes)

    def scroll(self, filter: object = None) -> Iterator[list[Point]]:
        for start in range(0, len(self._hashes), 1000):
            part = self._hashes[start : start + 1000].tolist()
            yield [_point(start + at, hash) for at, hash in enumerate(part)]

    def retrieve(self, ids: Sequence[str], **_: object) -> list[Point]:
        return [Point(id, {"drawn": np.array([int(id)], np.float32)}, {}) for id in ids]

    def nearest(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        return [self._neighbors(int(query.near.vector[0])) for query in queries]

    def _neighbors(self, image: int) -> Candidates:
        drawn = [image * 31 + step * 104_729 for step in range(1, NEIGHBORS)]
        others = [image, int(self._of[image]), *(one % len(self._hashes) for one in drawn)]
        return [(_point_id(other), 0.9) for other in others]


def _point(image: int, hash: int) -> Point:
    digest = f"{image * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128:032x}"
    return Point(str(image), {}, {"image": {"sha256": digest * 2, "phash": f"{hash:016x}"}})


def _point_id(image: int) -> PointId:
    return point_id(str(image))


def drawn(kind: str, count: int) -> tuple[Hashes, Files, Files]:
    """Hashes, for each image the one that it is a copy or a neighbor of, and the copies."""
    hashes, rng = draw(kind, count, seed=count), np.random.default_rng(1)
    copies = rng.permutation(count)[: int(COPIES * count)]
    of = rng.integers(0, count, count)
    orientation = rng.integers(0, 8, len(copies))
    turned = all_orientations(hashes[of[copies]])[np.arange(len(copies)), orientation]
    for _ in range(2):
        turned ^= np.uint64(1) << rng.integers(0, 64, len(copies)).astype(np.uint64)
    hashes[copies] = turned
    return hashes, of, copies


def check(kind: str, count: int) -> dict[str, float]:
    """The figures of one check up to the comparison of pictures."""
    hashes, of, copies = drawn(kind, count)
    engine: Any = DrawnEngine(hashes, of)
    comparer: Any = None  # no pictures are compared
    search = DuplicateSearch(engine, "drawn", SimilarityThresholds(), comparer)
    points = hashes.nbytes + of.nbytes + copies.nbytes
    stages: dict[str, float] = {}
    begun: list[Any] = ["", time.process_time()]

    def progress(stage: str, done: int, total: int) -> None:
        if stage != begun[0]:
            now = time.process_time()
            stages[begun[0]] = stages.get(begun[0], 0.0) + now - begun[1]
            begun[:] = [stage, now]

    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        tables = MEMORY - OTHER_MEMORY
        take = taken_here(search)
        new = BulkCheck(search, None, Path(folder), (1, 1), tables, progress, take)
        made = prepare(new, None)
        by_hashes = (made.folder / "hash_pairs").stat().st_size / 8
        made.propose()
        progress("", 0, 0)
        work = time.process_time() - started
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts in KiB
        disk = sum(file.stat().st_size for file in made.folder.iterdir())
        pairs = np.concatenate([table[:, 0] for table in made.pairs(confirmed=False)])
    planted = pairs_of(copies, of[copies])
    stages.pop("", None)
    return {
        **{f"us an image, {stage}": 1e6 * seconds / count for stage, seconds in stages.items()},
        "seconds": work,
        "pairs an image, by hashes": by_hashes / count,
        "pairs an image": len(pairs) / count,
        "share of copies proposed": float(np.isin(planted, pairs).mean()),
        "bytes of disk an image": disk / count,
        "MB": (peak - points) / 1e6,
        "MB of the drawn points, beside them": points / 1e6,
    }


def comparison_ms() -> tuple[float, float]:
    """Milliseconds to make a sketch, and to compare a pair of photos whose sketches are stored."""
    files = sorted((DATA / "photos").rglob("*.jpg"))[::30][:120]
    thumbnails = [
        encode_thumbnail(decode(file.read_bytes(), side=THUMBNAIL_SIDE).pixels, THUMBNAIL_SIDE)
        for file in files
    ]
    made = [StoredPicture(b"", thumbnail) for thumbnail in thumbnails]
    pairs = [(one, (one + 7) % len(made)) for one in range(len(made))]
    started = time.process_time()
    sketches = batch.compare(made, pairs).sketches
    first = time.process_time() - started
    stored = [StoredPicture(*both) for both in zip(sketches, thumbnails, strict=True)]
    started = time.process_time()
    batch.compare(stored, pairs)
    again = time.process_time() - started
    return 1e3 * (first - again) / len(made), 1e3 * again / len(made)


def child(kind: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.duplicate_scale", kind, str(count)]
    report: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    print(f"{count:,} images, radius {join_radius(count)}:")
    for name, value in report.items():
        print(f"  {name}: {value:.1f}")
    bound(f"{count:,} images: MB within {MEMORY / 1e6:.0f}", report["MB"], most=MEMORY / 1e6)
    bound(
        f"{count:,} images: share of copies proposed", report["share of copies proposed"], least=1
    )
    bound(f"{count:,} images: pairs an image", report["pairs an image"], most=20)
    planned = estimate_check(count, memory=MEMORY, partitions=1, cores=1).joining_hours * 3600
    joined = report["us an image, comparing hashes"] * count / 1e6
    bound(f"{count:,} images: planned time for hashes, in measured", planned / joined, least=0.8)
    bound(f"{count:,} images: planned time for hashes, in measured", planned / joined, most=1.6)
    return report


def main(large: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kind = "uniform"
        if DATA.is_dir():
            kind = str(Path(folder) / "latent.npz")
            photo_latent(Path(kind))
            sketch, compared = comparison_ms()
            print(f"comparing pictures: {sketch:.1f} ms a sketch, {compared:.1f} ms a pair")
            bound("ms a pair of photos with their sketches", compared, most=5)
        small = child(kind, SMALL)
        bound(f"{SMALL:,} images: processor seconds", small["seconds"], most=400)
        if large:
            growth = child(kind, LARGE)["seconds"] / small["seconds"]
            bound(f"work {LARGE:,} / {SMALL:,}", growth, most=1.5 * LARGE / SMALL)
    finish()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(check(sys.argv[1], int(sys.argv[2]))))
    else:
        main("--large" in sys.argv)
