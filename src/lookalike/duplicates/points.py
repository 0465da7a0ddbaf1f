"""Points looked up by id."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.errors import NotFound
from lookalike.protocols import Engine
from lookalike.types import Point


def existing_points(engine: Engine, ids: Sequence[str]) -> list[Point]:
    """The points with these ids, in this order, without those that were deleted."""
    points = {point.id: point for point in engine.retrieve(ids)} if ids else {}
    return [points[id] for id in ids if id in points]


def require_points(
    engine: Engine, ids: Sequence[str], *, vectors: Sequence[str] = ()
) -> list[Point]:
    """The points with these ids, each once, in this order.

    Raises:
        NotFound: no image has one of the ids.
    """
    points = {point.id: point for point in engine.retrieve(ids, vectors=vectors)}
    for id in ids:
        if id not in points:
            raise NotFound(f"There is no image with the id {id!r} in this index.")
    return [points[id] for id in dict.fromkeys(ids)]
