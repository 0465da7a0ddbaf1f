"""Filters as Qdrant Edge takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import qdrant_edge as qe

from lookalike.system.times import format_datetime
from lookalike.types import (
    All,
    AnyElement,
    AnyOf,
    AnyOfValues,
    Filter,
    HasId,
    HasVector,
    Missing,
    Not,
    Range,
    TextMatch,
    WithinRadius,
    point_id,
)

_NEVER = qe.HasIdCondition(set())
_TEXT_MATCHES: Mapping[str, Callable[[str], Any]] = {
    "prefix": qe.MatchPrefix,
    "substring": qe.MatchSubstring,
    "words": qe.MatchText,
}


def to_edge(filter: Filter | None) -> qe.Filter | None:
    """The filter in the form that the top of a request takes."""
    if filter is None:
        return None
    condition = _condition(filter)
    return condition if isinstance(condition, qe.Filter) else qe.Filter(must=[condition])


def _condition(filter: Filter) -> Any:
    match filter:
        case AnyOfValues(path, values):
            return _match(path, values)
        case Range(path):
            return _range(filter, path)
        case TextMatch(path, text, kind):
            return qe.FieldCondition(path, match=_TEXT_MATCHES[kind](text))
        case WithinRadius(path, latitude, longitude, meters):
            circle = qe.GeoRadius(qe.GeoPoint(lon=longitude, lat=latitude), meters)
            return qe.FieldCondition(path, geo_radius=circle)
        case AnyElement(path, part):
            return qe.NestedCondition(path, qe.Filter(must=[_condition(part)]))
        case Missing(path):
            return qe.IsEmptyCondition(path)
        case HasVector(name):
            return qe.HasVectorCondition(name)
        case HasId(ids):
            return qe.HasIdCondition({point_id(id) for id in ids})
        case All(parts):
            return qe.Filter(must=[_condition(part) for part in parts])
        case AnyOf(()):  # an empty `should` matches everything
            return _NEVER
        case AnyOf(parts):
            return qe.Filter(should=[_condition(part) for part in parts])
        case Not(part):
            return qe.Filter(must_not=[_condition(part)])


def _match(path: str, values: tuple[str | int | bool, ...]) -> Any:
    if not values:
        return _NEVER
    if isinstance(values[0], bool):
        # Edge reads Python's bool as an integer, which it is a subclass of, and NumPy's as a bool.
        parts: list[Any] = [
            qe.FieldCondition(path, match=qe.MatchValue(np.bool_(value)))  # type: ignore[arg-type]
            for value in values
        ]
        return parts[0] if len(parts) == 1 else qe.Filter(should=parts)
    if len(values) == 1:
        return qe.FieldCondition(path, match=qe.MatchValue(values[0]))
    return qe.FieldCondition(path, match=qe.MatchAny(list(values)))  # type: ignore[arg-type]


def _range(range: Range, path: str) -> qe.FieldCondition:
    bounds = {
        name: bound
        for name in ("gt", "gte", "lt", "lte")
        if (bound := getattr(range, name)) is not None
    }
    if any(isinstance(bound, datetime) for bound in bounds.values()):
        times = {name: format_datetime(bound) for name, bound in bounds.items()}
        return qe.FieldCondition(path, range=qe.RangeDateTime(**times))
    return qe.FieldCondition(path, range=qe.RangeFloat(**bounds))
