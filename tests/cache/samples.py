"""Content for the tests of the cache."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from lookalike.cache.store import Cache


def key(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def jpeg(i: int, size: int = 15_000) -> bytes:
    return random.Random(i).randbytes(size)


def batch(first: int, count: int = 8) -> dict[str, bytes]:
    return {key(i): jpeg(i) for i in range(first, first + count)}


def sketched(first: int, count: int = 8) -> dict[str, bytes]:
    return {key(i): jpeg(-i - 1, 10_000) for i in range(first, first + count)}


def opened(path: Path, limit: int | None = 10**9) -> Cache:
    return Cache(path, limit, reserve=0)
