"""Qdrant's JSON filters and the `where` language, each written as the other.

A filter in JSON is read as the `where` text that says the same; `filters.parser` then decides what
fits a field. The JSON is that of https://qdrant.tech/documentation/concepts/filtering/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lookalike import record
from lookalike.errors import FilterError
from lookalike.fields import OWN_FIELDS
from lookalike.filters.conditions import TEXT_MATCHES
from lookalike.filters.parser import MAX_CONDITIONS, MAX_DEPTH, too_many_conditions
from lookalike.filters.tokens import KEYWORDS, WORD
from lookalike.system.text import clip
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
)

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NAMES = {field.path: name for name, field in OWN_FIELDS.items() if name != record.FOLDER}
_NAMES |= {path.replace("name", "terms"): name for path, name in _NAMES.items() if "colors" in path}
_OPERATORS = {"prefix": "startswith", "substring": "contains", "text": "matches"}
"""Matches with part of a text, each with its operator."""
_MATCHES = {
    kind: match for match, operator in _OPERATORS.items() if (kind := TEXT_MATCHES[operator])
}
_MAX_LEVELS = 2 * MAX_DEPTH + 5
"""Levels of objects and lists: two for each nested filter, and those of a condition."""
_MAX_PARTS = 10 * MAX_CONDITIONS
"""Objects and lists; a condition has three at most, and the clauses around it two."""
_CLAUSES = ("must", "should", "must_not", "min_should")
_PLAIN_NAME = re.compile(WORD)


# --- JSON -> text ---------------------------------------------------------------------------


def where_of(filter: Mapping[str, Any]) -> str:
    """The `where` text of a filter: conditions joined by `and`.

    Clauses `must`, `should`, `must_not`, and `min_should` of one; conditions `match` (`value`,
    `any`, `except`, `prefix`, `substring`, `text`), `range`, `geo_radius`, `is_empty`, `is_null`
    (as `is_empty`: absent, null or an empty list), `has_id`, and nested filters.

    Raises:
        FilterError: anything else, which the `where` language does not have, or more than it
            takes.
    """
    _check_size(filter)
    return " and ".join(_clauses(filter, 0))


def _check_size(filter: Mapping[str, Any]) -> None:
    """Refuses what is too deep or too large, before anything descends into it."""
    level: list[Any] = [filter]
    levels = parts = 0
    while level:
        levels, parts = levels + 1, parts + len(level)
        if levels > _MAX_LEVELS:
            raise _too_deep()
        if parts > _MAX_PARTS:
            raise too_many_conditions()
        children = (one.values() if isinstance(one, Mapping) else one for one in level)
        level = [part for each in children for part in each if isinstance(part, Mapping | list)]


def _too_deep() -> FilterError:
    return _problem(f"nests filters more than {MAX_DEPTH} deep")


def _clauses(filter: Mapping[str, Any], depth: int) -> list[str]:
    """Conditions that must all hold. Each may follow `and` or `not` without parentheses."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    unknown = filter.keys() - set(_CLAUSES)
    if unknown:
        raise _problem(f"has no clause {min(unknown)!r}; it has {', '.join(_CLAUSES)}")
    parts = [text for one in _several(filter.get("must")) for text in _condition(one, depth)]
    either = [_condition(one, depth) for one in _several(filter.get("should"))]
    least = filter.get("min_should")
    if least is not None:
        if not isinstance(least, Mapping) or least.get("min_count") != 1:
            raise _problem("has a min_should whose min_count is not 1, which is not supported")
        either += [_condition(one, depth) for one in _several(least.get("conditions"))]
    if len(either) == 1:
        parts += either[0]
    elif either:
        parts.append(f"({' or '.join(' and '.join(texts) for texts in either)})")
    parts += [f"not {_atom(_condition(one, depth))}" for one in _several(filter.get("must_not"))]
    return parts or ["image.id is not null"]


def _several(conditions: Any) -> list[Any]:
    """The conditions as a list: Qdrant accepts a single one as well."""
    if conditions is None:
        return []
    return conditions if isinstance(conditions, list) else [conditions]


def _atom(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"({' and '.join(texts)})"


def _condition(condition: Any, depth: int) -> list[str]:
    match condition:
        case {"key": str(key), "match": Mapping() as wanted, **rest} if not rest:
            return _match(_name(key), wanted)
        case {"key": str(key), "range": Mapping() as bounds, **rest} if not rest:
            return _range(_name(key), bounds)
        case {"key": str(key), "geo_radius": Mapping() as circle, **rest} if not rest:
            return [_circle(_name(key), circle)]
        case {"is_empty": {"key": str(key)}, **rest} if not rest:
            return [f"{_name(key)} is null"]
        case {"is_null": {"key": str(key)}, **rest} if not rest:
            return [f"{_name(key)} is null"]
        case {"has_id": [*ids], **rest} if not rest:
            return [f"image.id in {_list(ids)}"]
        case Mapping() if condition.keys() & set(_CLAUSES):
            return _clauses(condition, depth + 1)
    raise _problem(f"has the condition {_shown(condition)}, which is not supported")


def _match(name: str, wanted: Mapping[str, Any]) -> list[str]:
    match wanted:
        case {"value": value, **rest} if not rest:
            return [f"{name} = {_value(value)}"]
        case {"any": [value], **rest} if not rest:
            return [f"{name} = {_value(value)}"]
        case {"any": [*values], **rest} if not rest:
            return [f"{name} in {_list(values)}"]
        case {"except": [*values], **rest} if not rest:
            return [f"{name} not in {_list(values)}", f"{name} is not null"]
    if len(wanted) == 1 and wanted.keys() <= _OPERATORS.keys():
        ((kind, text),) = wanted.items()
        return [f"{name} {_OPERATORS[kind]} {_value(text)}"]
    raise _problem(
        f"has the match {_shown(wanted)}; supported are value, any, except, {', '.join(_OPERATORS)}"
    )


def _range(name: str, bounds: Mapping[str, Any]) -> list[str]:
    unknown = bounds.keys() - set(_SIGNS)
    values = {sign: value for sign, value in bounds.items() if value is not None}
    if unknown or not values:
        raise _problem(f"has the range {_shown(bounds)}; a range takes {', '.join(_SIGNS)}")
    return [f"{name} {_SIGNS[sign]} {_value(value)}" for sign, value in values.items()]


def _circle(name: str, circle: Mapping[str, Any]) -> str:
    match circle:
        case {"center": {"lat": lat, "lon": lon, **others}, "radius": radius, **rest} if not (
            others or rest
        ):
            return f"{name} within {_value(radius)} m of {_value(lat)}, {_value(lon)}"
    raise _problem(f"has the geo_radius {_shown(circle)}; it takes a center and a radius")


def _name(key: str) -> str:
    """A key, which Qdrant quotes unless it is a plain word, as the language writes a field."""
    name = _NAMES.get(key, key)
    if len(name) > 2 and name[0] == name[-1] == '"':
        name = name[1:-1]
    if not name:
        raise _problem("has an empty key: name a field")
    if _PLAIN_NAME.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return "`" + name.replace("`", "``") + "`"


def _list(values: list[Any]) -> str:
    if not values:
        raise _problem("has an empty list of values: give at least one")
    return f"({', '.join(map(_value, values))})"


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return json.dumps(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    raise _problem(f"compares with {_shown(value)}; a value is a text, a number, true or false")


def _shown(value: Any) -> str:
    return clip(json.dumps(value, default=repr), 60)


def _problem(message: str) -> FilterError:
    return FilterError(f"The filter {message}.")


# --- filter -> JSON -------------------------------------------------------------------------


def json_of(filter: Filter) -> dict[str, Any]:
    """The filter as a condition in JSON, which `where_of` takes. Keys are names of fields."""
    match filter:
        case AnyOfValues(path, values):
            return _match_json(path, values)
        case Range(path):
            bounds = {sign: getattr(filter, sign) for sign in _SIGNS}
            return {"key": _field(path), "range": _without_none(bounds)}
        case AnyElement(path, part):
            return {"nested": {"key": path, "filter": {"must": [json_of(part)]}}}
        case TextMatch(path, text, kind):
            return {"key": _field(path), "match": {_MATCHES[kind]: text}}
        case WithinRadius(path, latitude, longitude, meters):
            center = {"lat": latitude, "lon": longitude}
            return {"key": _field(path), "geo_radius": {"center": center, "radius": meters}}
        case Missing(path):
            return {"is_empty": {"key": _field(path)}}
        case HasVector(name):
            return {"has_vector": name}
        case HasId(ids):
            return {"has_id": [*ids]}
        case All(parts):
            return {"must": [json_of(part) for part in parts]}
        case AnyOf(()):  # an empty `should` would hold for every image
            return {"must_not": [{"must": []}]}
        case AnyOf(parts):
            return _either_json(parts)
        case Not(part):
            return {"must_not": [json_of(part)]}


def _match_json(path: str, values: Sequence[Any]) -> dict[str, Any]:
    match = {"value": values[0]} if len(values) == 1 else {"any": [*values]}
    return {"key": _field(path), "match": match}


def _either_json(parts: Sequence[Filter]) -> dict[str, Any]:
    """Alternatives. Values of one field, which the parser keeps apart if they are booleans, become
    one match again."""
    matches = [part for part in parts if isinstance(part, AnyOfValues)]
    if len(matches) == len(parts) and len({match.path for match in matches}) == 1:
        return _match_json(matches[0].path, [value for match in matches for value in match.values])
    return {"should": [json_of(part) for part in parts]}


def _without_none(bounds: Mapping[str, float | datetime | None]) -> dict[str, float | str]:
    return {
        sign: format_datetime(bound) if isinstance(bound, datetime) else bound
        for sign, bound in bounds.items()
        if bound is not None
    }


def _field(path: str) -> str:
    return _NAMES.get(path, path.strip('"'))
