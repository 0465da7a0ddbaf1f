"""Filters as Qdrant's API takes them."""

from __future__ import annotations

from datetime import datetime

from qdrant_client import models

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

_NEVER = models.HasIdCondition(has_id=[])


def to_server(filter: Filter | None) -> models.Filter | None:
    """The filter in the form that the top of a request takes."""
    if filter is None:
        return None
    condition = _condition(filter)
    return condition if isinstance(condition, models.Filter) else models.Filter(must=[condition])


def _condition(filter: Filter) -> models.Condition:
    match filter:
        case AnyOfValues(path, values):
            return _match(path, values)
        case Range(path):
            return _range(filter, path)
        case TextMatch(path):
            return _text_match(filter, path)
        case WithinRadius(path, latitude, longitude, meters):
            center = models.GeoPoint(lat=latitude, lon=longitude)
            circle = models.GeoRadius(center=center, radius=meters)
            return models.FieldCondition(key=path, geo_radius=circle)
        case AnyElement(path, part):
            return models.NestedCondition(
                nested=models.Nested(key=path, filter=models.Filter(must=[_condition(part)]))
            )
        case Missing(path):
            return models.IsEmptyCondition(is_empty=models.PayloadField(key=path))
        case HasVector(name):
            return models.HasVectorCondition(has_vector=name)
        case HasId(ids):
            return models.HasIdCondition(has_id=[str(point_id(id)) for id in ids])
        case All(parts):
            return models.Filter(must=[_condition(part) for part in parts])
        case AnyOf(()):  # an empty `should` matches everything
            return _NEVER
        case AnyOf(parts):
            return models.Filter(should=[_condition(part) for part in parts])
        case Not(part):
            return models.Filter(must_not=[_condition(part)])


def _match(path: str, values: tuple[str | int | bool, ...]) -> models.Condition:
    if not values:
        return _NEVER
    if len(values) == 1:
        return models.FieldCondition(key=path, match=models.MatchValue(value=values[0]))
    if isinstance(values[0], bool):  # MatchAny takes strings and integers only
        return models.Filter(should=[_match(path, (value,)) for value in values])
    return models.FieldCondition(key=path, match=models.MatchAny(any=list(values)))  # type: ignore[arg-type]


def _text_match(match: TextMatch, path: str) -> models.FieldCondition:
    matches: dict[str, models.Match] = {
        "prefix": models.MatchPrefix(prefix=match.text),
        "substring": models.MatchSubstring(substring=match.text),
        "words": models.MatchText(text=match.text),
    }
    return models.FieldCondition(key=path, match=matches[match.kind])


def _range(range: Range, path: str) -> models.FieldCondition:
    bounds = {
        name: bound
        for name in ("gt", "gte", "lt", "lte")
        if (bound := getattr(range, name)) is not None
    }
    dates = any(isinstance(bound, datetime) for bound in bounds.values())
    kind = models.DatetimeRange if dates else models.Range
    return models.FieldCondition(key=path, range=kind(**bounds))
