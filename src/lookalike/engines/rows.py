"""Rows of a query: the vectors to request, and the results in our types, for both engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lookalike.record import KEY
from lookalike.types import Point, Query, Scored, Vector


def vectors_wanted(query: Query) -> list[str]:
    """Names of the vectors to request with each row.

    Besides those that the query names, a weighted sum needs the vectors of all targets but the
    one with the largest weight, whose similarity follows from the sum.
    """
    names = set(query.vectors)
    if query.among is not None:
        weightiest = max(query.near, key=lambda near: near.weight)
        names |= {near.name for near in query.near if near is not weightiest}
    return sorted(names)


def scored(row: Any, query: Query) -> Scored:
    """One row of an engine's result."""
    payload = row.payload or {}
    id = _id_of(row, payload)
    vectors = _arrays(row.vector)
    if query.among is None:
        (near,) = query.near
        return Scored(id, near.weight * row.score, (row.score,), payload, vectors)
    return Scored(id, row.score, _similarities(query, row.score, vectors), payload, vectors)


def stored(record: Any) -> Point:
    """One stored point."""
    payload = record.payload or {}  # the embedded engine builds it anew at each access
    return Point(_id_of(record, payload), _arrays(record.vector), payload)


def ordered_value(record: Any, path: str) -> float | str:
    """The value that a record was ordered by.

    A payload may come back with the last bit of a long float changed, while the field's index,
    which range filters use, has the exact number. The index orders times by their microseconds,
    so a time is taken from the payload.
    """
    value: Any = record.payload
    for key in [path.strip('"')] if path.startswith('"') else path.split("."):
        value = value[key]
    number: float | None = record.order_value
    return value if number is None or isinstance(value, str) else number


def _id_of(row: Any, payload: Mapping[str, Any]) -> str:
    """An image's id; that of its point if damage has taken its record, see `record_of`."""
    own = payload.get(KEY)
    id = own.get("id") if isinstance(own, dict) else None
    return id if isinstance(id, str) else str(row.id)


def _arrays(vectors: Any) -> dict[str, Vector]:
    return {name: np.asarray(values, np.float32) for name, values in (vectors or {}).items()}


def _similarities(query: Query, total: float, vectors: Mapping[str, Vector]) -> tuple[float, ...]:
    """Similarities to each target, from a point's weighted sum `total` and its vectors.

    Cosine vectors come back normalized, as the targets are. The similarity to the target with the
    largest weight is what the others leave of the sum, so that its vector, often the largest, need
    not be fetched.
    """
    weightiest = max(query.near, key=lambda near: near.weight)
    known = {
        i: float(np.dot(near.vector, vectors[near.name]))
        for i, near in enumerate(query.near)
        if near is not weightiest
    }
    rest = total - sum(query.near[i].weight * similarity for i, similarity in known.items())
    return tuple(known.get(i, rest / weightiest.weight) for i in range(len(query.near)))
