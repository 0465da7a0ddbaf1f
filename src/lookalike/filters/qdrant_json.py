"""Qdrant's JSON filters as texts of the `where` language, which then says what fits a field.

The JSON is that of https://qdrant.tech/documentation/concepts/filtering/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lookalike.errors import FilterError
from lookalike.fields import OWN_FIELDS
from lookalike.system.text import clip

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NAMES = {field.path: name for name, field in OWN_FIELDS.items()}
_CLAUSES = ("must", "should", "must_not", "min_should")


def where_of(filter: Mapping[str, Any]) -> str:
    """The `where` text that a filter stands for.

    Clauses `must`, `should`, `must_not`, and `min_should` of one; conditions `match` (`value`,
    `any`, `except`), `range`, `is_empty`, `is_null` (as `is_empty`: absent, null or an empty
    list), `has_id`, and filters within.

    Raises:
        FilterError: anything else, which the `where` language does not have.
    """
    unknown = filter.keys() - set(_CLAUSES)
    if unknown:
        raise _problem(f"has no clause {min(unknown)!r}; it has {', '.join(_CLAUSES)}")
    parts = [_condition(one) for one in _several(filter.get("must"))]
    either = [_condition(one) for one in _several(filter.get("should"))]
    least = filter.get("min_should")
    if least is not None:
        if not isinstance(least, Mapping) or least.get("min_count") != 1:
            raise _problem("has a min_should other than of 1, which cannot be said here")
        either += [_condition(one) for one in _several(least.get("conditions"))]
    if either:
        parts.append(f"({' or '.join(either)})")
    parts += [f"not {_condition(one)}" for one in _several(filter.get("must_not"))]
    return f"({' and '.join(parts)})" if parts else "(image.id is not null)"


def _several(conditions: Any) -> list[Any]:
    """Qdrant takes one condition for a list of one."""
    if conditions is None:
        return []
    return conditions if isinstance(conditions, list) else [conditions]


def _condition(condition: Any) -> str:
    match condition:
        case {"key": str(key), "match": Mapping() as wanted, **rest} if not rest:
            return f"({_match(_name(key), wanted)})"
        case {"key": str(key), "range": Mapping() as bounds, **rest} if not rest:
            return f"({' and '.join(_range(_name(key), bounds))})"
        case {"is_empty": {"key": str(key)}, **rest} if not rest:
            return f"({_name(key)} is null)"
        case {"is_null": {"key": str(key)}, **rest} if not rest:
            return f"({_name(key)} is null)"
        case {"has_id": [*ids], **rest} if not rest:
            return f"({_name('image.id')} in {_list(ids)})"
        case Mapping() if condition.keys() & set(_CLAUSES):
            return where_of(condition)
    raise _problem(f"has the condition {_shown(condition)}, which cannot be said here")


def _match(name: str, wanted: Mapping[str, Any]) -> str:
    match wanted:
        case {"value": value, **rest} if not rest:
            return f"{name} = {_value(value)}"
        case {"any": [*values], **rest} if not rest:
            return f"{name} in {_list(values)}"
        case {"except": [*values], **rest} if not rest:
            return f"{name} not in {_list(values)} and {name} is not null"
    raise _problem(f"matches {_shown(wanted)}, and can match a value, any or except")


def _range(name: str, bounds: Mapping[str, Any]) -> Iterator[str]:
    unknown = bounds.keys() - set(_SIGNS)
    given = {sign: value for sign, value in bounds.items() if value is not None}
    if unknown or not given:
        raise _problem(f"has the range {_shown(bounds)}, and a range has {', '.join(_SIGNS)}")
    for sign, value in given.items():
        yield f"{name} {_SIGNS[sign]} {_value(value)}"


def _name(key: str) -> str:
    """A key, which Qdrant quotes where it is no plain word, as the language writes a field."""
    name = _NAMES.get(key, key)
    if len(name) > 2 and name[0] == name[-1] == '"':
        name = name[1:-1]
    if not name:
        raise _problem("names a field by an empty key")
    return "`" + name.replace("`", "``") + "`"


def _list(values: list[Any]) -> str:
    if not values:
        raise _problem("has an empty list to match")
    return f"({', '.join(map(_value, values))})"


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return json.dumps(value)
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    raise _problem(f"compares with {_shown(value)}, and can with a text, a number, true or false")


def _shown(value: Any) -> str:
    return clip(json.dumps(value, default=repr), 60)


def _problem(message: str) -> FilterError:
    return FilterError(f"The filter {message}.")
