"""Rows of a query: the vectors to request, and the results in our types, for both engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lookalike.record import KEY
from lookalike.system.distances import EXPLORED
from lookalike.types import (
    CandidateQuery,
    Candidates,
    Distance,
    Point,
    Query,
    Scored,
    Vector,
    WeightedVector,
)


def vectors_wanted(query: Query) -> list[str]:
    """Names of the vectors to request with each row.

    Besides those that the query names, a weighted sum needs the vectors of all targets but one, as
    the similarity to that one follows from the sum.
    """
    names = set(query.vectors)
    if query.among is not None:
        derived = _derived(query)
        names |= {near.name for near in query.near if near is not derived}
    return sorted(names)


def explored(query: Query) -> int | None:
    """Points that the graph search explores in a single-target query; None for the engine's own
    number."""
    (near,) = query.near
    return None if near.distance is Distance.COSINE else query.offset + query.limit + EXPLORED


def _derived(query: Query) -> WeightedVector | None:
    """The target whose similarity is what the others leave of a weighted sum: that with the largest
    weight, so that its vector, often the largest, need not be fetched. None where distances of any
    size are in the sum, in which rounding would hide it."""
    if any(near.distance is not Distance.COSINE for near in query.near):
        return None
    return max(query.near, key=lambda near: near.weight)


def scored(row: Any, query: Query) -> Scored:
    """One row of an engine's result."""
    payload = row.payload or {}
    id = _id_of(row, payload)
    vectors = _arrays(row.vector)
    if query.among is None:
        (near,) = query.near
        similarity = near.distance.sign * row.score
        return Scored(id, near.weight * similarity, (similarity,), payload, vectors)
    return Scored(id, row.score, _similarities(query, row.score, vectors), payload, vectors)


def all_scored(answers: Sequence[Sequence[Any]], queries: Sequence[Query]) -> list[list[Scored]]:
    """The rows of an engine's answers to queries."""
    return [
        [scored(row, query) for row in rows] for rows, query in zip(answers, queries, strict=True)
    ]


def with_likeness(
    lists: Sequence[Candidates], queries: Sequence[CandidateQuery]
) -> list[Candidates]:
    """Candidates with their similarities in place of the engine's scores."""
    return [
        candidates
        if query.near.distance.is_product
        else [(id, query.near.distance.sign * score) for id, score in candidates]
        for candidates, query in zip(lists, queries, strict=True)
    ]


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

    Cosine vectors come back normalized, as the targets are.
    """
    derived = _derived(query)
    known = {
        i: float(near.distance.likeness(vectors[near.name][None], near.vector)[0])
        for i, near in enumerate(query.near)
        if near is not derived
    }
    if derived is None:
        return tuple(known.values())
    rest = total - sum(query.near[i].weight * similarity for i, similarity in known.items())
    return tuple(known.get(i, rest / derived.weight) for i in range(len(query.near)))
