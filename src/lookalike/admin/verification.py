"""Verification of a copy: whether an engine holds exactly the points of its source."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lookalike.protocols import Engine
from lookalike.types import Point

SAMPLED_VECTORS = 500
"""Images whose vectors are compared at the end, drawn at random from all."""

FLOAT_TOLERANCE = 1e-12
"""Relative. An engine may return a number of more than 15 digits with its last bit changed."""

VECTOR_TOLERANCE = 1e-6
"""For each element, as a share of those above 1. Engines normalize cosine vectors, each in its own
arithmetic."""


@dataclass(slots=True)
class Digest:
    """A digest of a stream of points: their number, a checksum, and a random sample.

    Attributes:
        images: number of points.
        sample: some of the points, each equally likely (Vitter's algorithm R, 1985,
            https://doi.org/10.1145/3147.3165).
    """

    images: int = 0
    sample: list[Point] = field(default_factory=list)
    _sum: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, points: Sequence[Point]) -> None:
        for point in points:
            self._sum += _fingerprint(point)
            slot = self.images
            if slot >= SAMPLED_VECTORS:
                slot = self._random.randint(0, self.images)
            if slot < SAMPLED_VECTORS:
                self.sample[slot : slot + 1] = [point]
            self.images += 1

    @property
    def checksum(self) -> str:
        """Checksum over ids and payloads in any order, with numbers rounded to 12 digits."""
        return f"{self._sum % 2**256:064x}"


def find_mismatch(
    engine: Engine, digest: Digest, batches: Callable[[], Iterable[Sequence[Point]]]
) -> str | None:
    """Compares an engine with the source of its points.

    Args:
        engine: holds the copy.
        digest: of all points of the source.
        batches: reads the source again, where the checksums differ.

    Returns:
        A description of the first difference, or None for a true copy.
    """
    if (images := engine.count()) != digest.images:
        return f"it holds {images:,} images instead of {digest.images:,}"
    copied = Digest()
    for copies in engine.scroll():
        copied.add(copies)
    if copied.checksum != digest.checksum:
        # Rounding may separate two numbers that are almost equal, so the images decide.
        for points in batches():
            for _, difference in mismatches(points, engine):
                return difference
    return _vector_mismatch(digest.sample, engine)


def mismatches(points: Sequence[Point], engine: Engine) -> Iterator[tuple[Point, str]]:
    """Points that the engine lacks or stores with another payload, and the difference in words."""
    payloads = {point.id: point.payload for point in engine.retrieve([p.id for p in points])}
    for point in points:
        expected, actual = point.payload, payloads.get(point.id)
        if actual is None:
            yield point, f"{point.id!r} is missing"
            continue
        for name in sorted(expected.keys() | actual.keys()):
            both = name in expected and name in actual
            if not both or not _equal(expected[name], actual[name]):
                yield point, f"{name!r} of {point.id!r} differs"
                break


def _vector_mismatch(sample: Sequence[Point], engine: Engine) -> str | None:
    ids = [point.id for point in sample]
    names = sorted({name for point in sample for name in point.vectors})
    copies = engine.retrieve(ids, payload=False, vectors=names)
    vectors = {point.id: point.vectors for point in copies}
    for point in sample:
        for name, expected in point.vectors.items():
            actual = vectors.get(point.id, {}).get(name)
            if actual is None or not np.allclose(
                expected, actual, rtol=VECTOR_TOLERANCE, atol=VECTOR_TOLERANCE
            ):
                return f"the {name!r} vector of {point.id!r} differs"
    return None


def _fingerprint(point: Point) -> int:
    text = json.dumps([point.id, _rounded(point.payload)], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest())


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.12g}")
        case dict():
            return {name: _rounded(part) for name, part in value.items()}
        case list():
            return [_rounded(part) for part in value]
    return value


def _equal(expected: Any, actual: Any) -> bool:
    if type(expected) is not type(actual):
        return False
    match expected:
        case float():
            return math.isclose(expected, actual, rel_tol=FLOAT_TOLERANCE)
        case dict():
            return expected.keys() == actual.keys() and all(
                _equal(expected[name], actual[name]) for name in expected
            )
        case list():
            return len(expected) == len(actual) and all(map(_equal, expected, actual))
    return bool(expected == actual)
