"""Estimates of the time and disk of a check of a whole index: arithmetic over measured figures.

`benchmarks/duplicate_scale.py` measures the figures; docs/duplicates.md says what is extrapolated.
"""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.comparison.hamming import ORIENTATIONS, sortings
from lookalike.duplicates.bulk.check import LEAST_MEMORY
from lookalike.duplicates.bulk.proposals import join_radius
from lookalike.errors import InputError

# Processor time, measured among one and four million drawn points.
_READ = 10e-6  # s to list an image, without the engine's own time
_SORTED = 0.5e-6  # s for each hash in each sorting in each orientation, also in parts
_ASKED = 100e-6  # s to ask for the neighbors of an image, without the engine's own time
_QUERY = 5e-3  # s of the engine to find them; assumed, as `lookalike plan` does for a search

_PAIRS = 12.0  # proposed for an image: nine or ten by the semantic vector, and a few by the hash
_SKETCH = 4e-3  # s to make the sketch of a picture
_COMPARED = 2e-3  # s to compare two pictures with their sketches

_BYTES = 220.0  # of tables for an image, at most at a time
_BYTES_PER_PAIR = 30.0  # of a stored comparison


@dataclass(frozen=True, slots=True)
class CheckEstimate:
    """The resources of a check.

    Attributes:
        images: number of images.
        partitions: processes that share the work.
        memory: bytes that each takes, without the processes that decode.
        radius: bits by which two hashes of a proposed pair may differ.
        pairs: pairs to compare.
        disk: bytes in the folder of the check, with the stored comparisons.
        listing_hours, joining_hours: of the first process alone.
        neighbor_hours, comparing_hours: of all processes together, each with its cores.
        hours: the sum.
        notes: assumptions, one sentence each.
    """

    images: int
    partitions: int
    memory: int
    radius: int
    pairs: int
    disk: int
    listing_hours: float
    joining_hours: float
    neighbor_hours: float
    comparing_hours: float
    hours: float
    notes: tuple[str, ...]


def estimate_check(images: int, *, memory: int, partitions: int, cores: int) -> CheckEstimate:
    """Estimates a check of an index with no comparisons stored.

    Args:
        images: number of images.
        memory: bytes for each process.
        partitions: processes that share the work, each on a machine of its own.
        cores: cores of each machine.

    Raises:
        InputError: a number is out of range.
    """
    if memory < LEAST_MEMORY or partitions < 1:
        raise InputError(
            f"A check needs at least {LEAST_MEMORY // 10**6} MB of memory and one partition (got "
            f"{memory:,} bytes and {partitions})."
        )
    radius = join_radius(images)
    passes = images * len(ORIENTATIONS) * sortings(images, radius)
    pairs = round(images * _PAIRS)
    hours = {
        "listing_hours": images * _READ / 3600,
        "joining_hours": passes * _SORTED / 3600,
        "neighbor_hours": images * (_ASKED + _QUERY / cores) / partitions / 3600,
        "comparing_hours": (images * _SKETCH + pairs * _COMPARED) / (cores * partitions) / 3600,
    }
    return CheckEstimate(
        images=images,
        partitions=partitions,
        memory=memory,
        radius=radius,
        pairs=pairs,
        disk=round(images * _BYTES + pairs * _BYTES_PER_PAIR),
        **hours,
        hours=sum(hours.values()),
        notes=(
            f"Assumed, not measured: {_QUERY * 1e3:g} ms of a core for the neighbors of an image, "
            f"and {_PAIRS:g} pairs an image, as among a million drawn points.",
            "Pictures whose thumbnails are not stored take the time to decode them, too.",
            "A later check compares only pairs that are new.",
        ),
    )
