"""Pairs of files that may be copies: proposed by hashes and by semantic vectors.

A pair is one number: the lower file in its high half, the other in its low half.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.hamming import BYTES_PER_HASH, ORIENTATIONS, near_pairs_in_parts
from lookalike.duplicates.bulk.listing import Listing, Numbers, StageProgress
from lookalike.duplicates.check import LOOKUP_RADIUS
from lookalike.system.external_sort import ExternalSort, read_table, write_table

JOIN_RADII = ((50_000, LOOKUP_RADIUS), (500_000, 8), (2_000_000, 6))
"""Bits of 64 by which two hashes of a proposed pair may differ, for up to as many hashes; above
them `LAST_RADIUS`. The larger an index, the more unrelated pictures are near each other: among
1,939 photos 37 pairs in a million within 10 bits in some orientation, 8 within 8, 1 within 6. So
every image has a few such neighbors at any size. The semantic vector proposes most copies that are
farther apart, but fewer of turned ones; measured by `benchmarks/duplicate_radius`."""
LAST_RADIUS = 4

MAX_HASH_PAIRS = 64
"""Pairs that hashes propose for one image, the nearest. It has more only where very many images are
near one another, and then a copy is found by way of another copy."""

HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_SCATTER = np.uint64(0x9E3779B97F4A7C15)


def join_radius(hashes: int) -> int:
    """Bits by which hashes of a pair may differ, among so many different ones."""
    return next((radius for most, radius in JOIN_RADII if hashes <= most), LAST_RADIUS)


def pairs_of(first: NDArray[np.integer], second: NDArray[np.integer]) -> Numbers:
    """The pairs of two columns of files, without those of a file and itself."""
    low, high = (order(first, second).astype(np.uint64) for order in (np.minimum, np.maximum))
    different = low != high
    pairs: Numbers = (low << HALF | high)[different]
    return pairs


def files_of(pairs: Numbers) -> tuple[Numbers, Numbers]:
    """The lower and the higher file of pairs."""
    return pairs >> HALF, pairs & _LOW


def unique_pairs(folder: Path, memory: int) -> ExternalSort:
    """A sort that keeps each pair once."""
    return ExternalSort(folder, 1, memory, group=lambda table: table[:, 0], most=1)


# --- hashes ---------------------------------------------------------------------------------


def write_hash_pairs(file: Path, listing: Listing, memory: int, progress: StageProgress) -> None:
    """Writes all pairs with equal hashes, and with hashes that are near in some orientation.

    Each orientation is a step of its own, and one that is finished is not repeated.
    """
    steps = [file.with_name(f"near-{orientation}") for orientation in range(len(ORIENTATIONS))]
    for orientation, step in enumerate(steps):
        progress("comparing hashes", orientation, len(steps))
        if not step.exists():
            nearest = _nearest(file.parent, memory // 2)
            for one, other, distance in near_pairs_in_parts(
                listing.read_hashes,
                listing.hashes,
                join_radius(listing.hashes),
                orientation,
                most=memory // 2 // BYTES_PER_HASH,
                folder=file.parent,
            ):
                _add_near(nearest, one, other, distance)
            write_table(step, nearest)
    nearest, pairs = _nearest(file.parent, memory // 2), unique_pairs(file.parent, memory // 2)
    for step in steps:
        for table in read_table(step, 2):
            nearest.add(*table.T)
    for table in nearest:
        pairs.add(pairs_of(table[:, 0] >> HALF, table[:, 1]))
    # Of files with equal hashes, each is paired with the first, by way of which it is found.
    for table in listing.equal_hashes():
        pairs.add(pairs_of(*table.T))
    write_table(file, pairs)
    for step in steps:
        step.unlink()
    progress("comparing hashes", len(steps), len(steps))


def _nearest(folder: Path, memory: int) -> ExternalSort:
    """A sort of neighbors that keeps the nearest of each file."""
    return ExternalSort(
        folder, 2, memory, group=lambda table: table[:, 0] >> HALF, most=MAX_HASH_PAIRS
    )


def _add_near(
    nearest: ExternalSort,
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    distance: NDArray[np.uint8],
) -> None:
    """Adds each of two files to the other's neighbors, ordered by distance. Ties are broken by a
    number that both share, so that the two choose the same pairs."""
    first, second = one.astype(np.uint64), other.astype(np.uint64)
    tie = (pairs_of(first, second) * _SCATTER) >> np.uint64(36)
    order = distance.astype(np.uint64) << np.uint64(28) | tie
    nearest.add(first << HALF | order, second)
    nearest.add(second << HALF | order, first)
