"""Completeness, time and memory of the search for near pairs among a million perceptual hashes.

Each search runs in a process of its own, on two kinds of hashes. Uniform ones are random numbers.
Photo-like ones are skewed like the hashes of the test photos: signs about the median of 64 numbers
drawn so that any two bits agree as often as those of the photos. Then about as many pairs agree in
the bits by which a search sorts as among photos (0.96 times; of uniform hashes 0.49 times).

Growth is measured in processor time, which other programs disturb less than wall time.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from benchmarks._figures import DATA, bound, finish
from lookalike.comparison.hamming import ORIENTATIONS, Hashes, all_orientations, near_pairs

SIZES = (125_000, 250_000, 500_000, 1_000_000)
RADIUS = 7
PLANTED = 500
"""Planted pairs for each distance up to the radius."""

SMALL = 20_000
"""Hashes few enough to compare all pairs."""

_ROWS = 50_000  # drawn at a time


def photo_latent(file: Path) -> None:
    """Writes means and factors of normal variables whose signs are bits like those of photos."""
    from lookalike.descriptors.phash import Phash
    from lookalike.imaging.decode import decode

    photos = [p for name in ("catalog", "photos") for p in sorted((DATA / name).rglob("*.jpg"))]
    bits = np.concatenate(
        [Phash().describe([decode(p.read_bytes(), side=Phash.side)]).vectors for p in photos[::3]]
    )[:, 1:]  # the first bit, for the mean brightness, is always set
    # Signs of two normal variables with correlation r have correlation 2/pi asin(r).
    values, vectors = np.linalg.eigh(np.sin(np.pi / 2 * np.corrcoef(bits.T)))
    means = [NormalDist().inv_cdf(mean) for mean in bits.mean(axis=0).tolist()]
    np.savez(file, means=means, factors=vectors * np.sqrt(values.clip(0)))


def draw(kind: str, count: int, seed: int) -> Hashes:
    """`count` hashes.

    Args:
        kind: "uniform", or the name of a file from `photo_latent`.
    """
    rng = np.random.default_rng(seed)
    if kind == "uniform":
        return rng.integers(0, 2**64, count, dtype=np.uint64)
    latent = np.load(kind)
    drawn = []
    for start in range(0, count, _ROWS):
        normal = rng.standard_normal((min(_ROWS, count - start), 63))
        low = np.pad(normal @ latent["factors"].T + latent["means"], ((0, 0), (1, 0)))
        low[:, 0] = np.inf
        bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
        drawn.append(bits.view(">u8").ravel().astype(np.uint64))
    return np.concatenate(drawn)


def plant(hashes: Hashes, seed: int) -> NDArray[np.int64]:
    """Overwrites the last rows with copies of the first, 0 to RADIUS bits away, and returns (n, 2)
    rows of these pairs."""
    rng = np.random.default_rng(seed)
    count = PLANTED * (RADIUS + 1)
    rows = np.stack([np.arange(count), len(hashes) - 1 - np.arange(count)], axis=1)
    for row, copy in rows:
        flips = rng.choice(64, row // PLANTED, replace=False).tolist()
        hashes[copy] = hashes[row] ^ np.uint64(sum(1 << bit for bit in flips))
    return rows


def search(kind: str, count: int, turned: bool) -> dict[str, float]:
    """The results of one search: planted pairs found, seconds, and peak memory."""
    hashes = draw(kind, count, seed=count)
    planted = plant(hashes, seed=1)
    started, worked = time.perf_counter(), time.process_time()
    unique, inverse = np.unique(hashes, return_inverse=True)
    blocks = list(near_pairs(unique, RADIUS))
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    keys = np.concatenate([i * len(unique) + j for i, j, _ in blocks])
    ends = np.sort(inverse[planted], axis=1)
    expected = (ends[:, 0] * len(unique) + ends[:, 1])[ends[:, 0] != ends[:, 1]]
    report = {
        "found": np.isin(expected, keys).mean() if len(expected) else 0.0,
        "equal": float((ends[:, 0] == ends[:, 1]).sum()),
        "twice": float(len(keys) - len(np.unique(keys))),
        "pairs": float(len(keys)),
        "seconds": seconds,
        "processor": processor,
    }
    if turned:
        columns = all_orientations(unique)
        started = time.perf_counter()
        for column in range(1, len(ORIENTATIONS)):
            for _ in near_pairs(unique, RADIUS, against=columns[:, column].copy()):
                pass
        report["turned"] = time.perf_counter() - started
    # Linux counts in KiB.
    return report | {"gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def differs_from_brute_force(kind: str) -> int:
    """Number of pairs among SMALL hashes that only one of the two methods finds."""
    hashes = draw(kind, SMALL, seed=3)
    plant(hashes, seed=4)
    found = {
        (int(i), int(j), int(d))
        for block in near_pairs(hashes, RADIUS)
        for i, j, d in zip(*block, strict=True)
    }
    expected = set()
    for i in range(SMALL):
        distances = np.bitwise_count(hashes[i] ^ hashes[i + 1 :])
        for j in np.flatnonzero(distances <= RADIUS):
            expected.add((i, i + 1 + int(j), int(distances[j])))
    return len(found ^ expected)


def child(kind: str, count: int, *, turned: bool = False) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.hash_pairs", kind, str(count), str(int(turned))]
    report: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
    return report


def measure(name: str, kind: str) -> None:
    bound(f"{name}, {SMALL}: differences from brute force", differs_from_brute_force(kind), most=0)
    work = {}
    for count in SIZES:
        runs = [child(kind, count), child(kind, count)]
        seconds = min(run["seconds"] for run in runs)
        work[count] = min(run["processor"] for run in runs)
        last = runs[-1]
        print(
            f"{name}, {count}: {seconds:.2f} s, {work[count]:.2f} s of processor time,"
            f" {last['pairs']:.0f} pairs, {last['gigabytes']:.2f} GB peak memory"
        )
        bound(f"{name}, {count}: share of planted pairs found", last["found"], least=1)
        bound(f"{name}, {count}: planted equal pairs", last["equal"], least=PLANTED)
        bound(f"{name}, {count}: pairs reported twice", last["twice"], most=0)
    first, largest = SIZES[0], SIZES[-1]
    bound(f"{name}, {largest}: seconds", seconds, most=60)
    bound(f"{name}, {largest}: GB peak memory", last["gigabytes"], most=1.5)
    growth = work[largest] / work[first]
    bound(f"{name}: work {largest} / {first}", growth, most=1.5 * largest / first)


def main() -> None:
    measure("uniform", "uniform")
    if not DATA.is_dir():
        print(f"skipped photo-like hashes: the test data at {DATA} is missing")
        finish()
    with tempfile.TemporaryDirectory() as folder:
        latent = Path(folder) / "latent.npz"
        photo_latent(latent)
        measure("photo-like", str(latent))
        report = child(str(latent), SIZES[-1], turned=True)
    print(f"photo-like, {SIZES[-1]}: the seven other orientations {report['turned']:.1f} s")
    bound("photo-like, all orientations: GB peak memory", report["gigabytes"], most=1.5)
    finish()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(search(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")))
    else:
        main()
