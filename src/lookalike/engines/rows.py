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


def all_scored(answers: Sequence[Sequence[Any]], queries: Sequence[Query]) -> list[list[Scored]]:
    """The rows of an engine's answers to queries."""
    return [_scored(rows, query) for rows, query in zip(answers, queries, strict=True)]


def _scored(rows: Sequence[Any], query: Query) -> list[Scored]:
    payloads = [row.payload or {} for row in rows]  # the embedded engine builds one at each access
    ids = [_id_of(row, payload) for row, payload in zip(rows, payloads, strict=True)]
    vectors = [_arrays(row.vector) for row in rows]
    totals = [row.score + 0.0 for row in rows]  # no -0.0, as minus a distance of 0 is
    if query.among is None:
        (near,) = query.near
        likeness = [near.distance.sign * total + 0.0 for total in totals]
        similarities: list[tuple[float, ...]] = [(one,) for one in likeness]
        totals = [near.weight * one for one in likeness]
    else:
        similarities = _similarities(query, totals, vectors)
    return list(map(Scored, ids, totals, similarities, payloads, vectors))


def with_likeness(
    lists: Sequence[Candidates], queries: Sequence[CandidateQuery]
) -> list[Candidates]:
    """Candidates with their similarities in place of the engine's scores."""
    return [
        candidates
        if query.near.distance.is_product
        else [(id, query.near.distance.sign * score + 0.0) for id, score in candidates]
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
    if not vectors:
        return {}
    return {name: np.asarray(values, np.float32) for name, values in vectors.items()}


def _similarities(
    query: Query, totals: Sequence[float], vectors: Sequence[Mapping[str, Vector]]
) -> list[tuple[float, ...]]:
    """Similarities of points to each target, from their weighted sums and their vectors.

    Cosine vectors come back normalized, as the targets are. Each point is compared by itself, as
    the last bit of a product of matrices depends on what else is in them.
    """
    derived = _derived(query)
    columns: list[list[float]] = []
    place, rest = 0, list(totals)
    for near in query.near:
        if near is derived:
            place = len(columns)
            continue
        name, likeness, target, weight = near.name, near.distance.likeness, near.vector, near.weight
        column = [float(likeness(one[name][None], target)[0]) for one in vectors]
        rest = [left - weight * similarity for left, similarity in zip(rest, column, strict=True)]
        columns.append(column)
    if derived is not None:
        columns.insert(place, [left / derived.weight for left in rest])
    return list(zip(*columns, strict=True))
