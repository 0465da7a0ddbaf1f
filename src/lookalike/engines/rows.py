"""How Qdrant is asked for rows and how they are read, whichever engine it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lookalike.record import record_of
from lookalike.types import Point, Query, Scored, Vector


def vectors_wanted(query: Query) -> list[str]:
    """Names of the vectors that rows have to come with: those asked for, and where several points
    compete those of all targets but the weightiest, whose similarity follows from the sum."""
    names = set(query.vectors)
    if query.among is not None:
        weightiest = max(query.near, key=lambda near: near.weight)
        names |= {near.name for near in query.near if near is not weightiest}
    return sorted(names)


def scored(row: Any, query: Query) -> Scored:
    """One row of an engine's answer."""
    payload = row.payload or {}
    id: str = record_of(payload)["id"]
    vectors = _arrays(row.vector)
    if query.among is None:
        (near,) = query.near
        return Scored(id, near.weight * row.score, (row.score,), payload, vectors)
    return Scored(id, row.score, _similarities(query, row.score, vectors), payload, vectors)


def stored(record: Any) -> Point:
    """One point as an engine keeps it."""
    payload = record.payload or {}
    return Point(record_of(payload)["id"], _arrays(record.vector), payload)


def _arrays(vectors: Any) -> dict[str, Vector]:
    return {name: np.asarray(values, np.float32) for name, values in (vectors or {}).items()}


def _similarities(query: Query, total: float, vectors: Mapping[str, Vector]) -> tuple[float, ...]:
    """The similarity to each target of a point whose weighted sum is `total`.

    Cosine vectors come back normalized, and so are the targets; to the weightiest it is what the
    others leave of the sum, so that the largest vector need not be fetched.
    """
    weightiest = max(query.near, key=lambda near: near.weight)
    known = {
        i: float(np.dot(near.vector, vectors[near.name]))
        for i, near in enumerate(query.near)
        if near is not weightiest
    }
    rest = total - sum(query.near[i].weight * similarity for i, similarity in known.items())
    return tuple(known.get(i, rest / weightiest.weight) for i in range(len(query.near)))
