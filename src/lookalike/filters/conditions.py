"""Conditions of the `where` language: literals become values of a field's type, and comparisons
become filters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lookalike import record
from lookalike.errors import InputError
from lookalike.fields import INT64, OWN_FIELDS, Field, describe_type, parse_value
from lookalike.filters.tokens import Token, error_at, shorten
from lookalike.system.times import parse_date, parse_datetime
from lookalike.types import All, AnyOf, AnyOfValues, FieldType, Filter, HasId, Missing, Not, Range

NEVER = AnyOf(())
"""Holds for no point."""

COMPARISONS = {"==": "=", "<>": "!="} | {sign: sign for sign in ("=", "!=", "<", "<=", ">", ">=")}
"""Comparison operators, each with its usual spelling."""

_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def describe_field(field: Field) -> str:
    """The field and its type, for error messages."""
    return f"{field.name} is {describe_type(field.type)} ({field.type})"


# --- literals -------------------------------------------------------------------------------


def read_value(field: Field, token: Token) -> Any:
    """The literal as a value of the field's type.

    Raises:
        FilterError: it is not one.
    """
    try:
        return _READERS[field.type](token)
    except (InputError, ValueError, OverflowError):
        hint = _hint(field, token)
        message = f"{describe_field(field)}, and {token} is not{hint}"
        raise error_at(token.column, message) from None


def _hint(field: Field, token: Token) -> str:
    if token.kind == "word" and field.type in (FieldType.KEYWORD, FieldType.KEYWORDS):
        return f': put it in straight quotes, "{shorten(token.text).strip("“”‘’")}"'
    return ""


@dataclass(frozen=True, slots=True)
class Span:
    """A moment; or a whole day, from `start` to before `end`."""

    start: datetime
    end: datetime | None


def _text(token: Token) -> str:
    if token.kind != "string":
        raise ValueError(token)
    return token.text


def _number(token: Token) -> float:
    if token.kind == "string":
        raise ValueError(token)
    try:
        return int(parse_value(FieldType.INTEGER, token.text))  # type: ignore[arg-type]
    except InputError:
        return float(parse_value(FieldType.FLOAT, token.text))  # type: ignore[arg-type]


def _boolean(token: Token) -> bool:
    if token.kind == "string":
        raise ValueError(token)
    return bool(parse_value(FieldType.BOOLEAN, token.text))


def _span(token: Token) -> Span:
    start = parse_datetime(token.text)
    if parse_date(token.text) is None:
        return Span(start, None)
    last = datetime.max.replace(tzinfo=UTC)  # 9999-12-31 has no day after it
    return Span(start, start + min(timedelta(days=1), last - start))


_READERS = {
    FieldType.KEYWORD: _text,
    FieldType.KEYWORDS: _text,
    FieldType.INTEGER: _number,
    FieldType.FLOAT: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATETIME: _span,
}


# --- comparisons ----------------------------------------------------------------------------


def compare(field: Field, operator: Token, value: Any) -> Filter:
    """The field compares with the value as the operator says."""
    sign = COMPARISONS[operator.text]
    if sign == "=":
        return equals(field, [value])
    if sign == "!=":
        return negate(equals(field, [value]))
    if isinstance(value, Span):
        return _compare_moment(field.path, sign, value)
    if field.type not in (FieldType.INTEGER, FieldType.FLOAT):
        raise error_at(
            operator.column, f"{describe_field(field)}, which has no order: use = != or in"
        )
    return _bound(field.path, sign, value)


def _compare_moment(path: str, sign: str, value: Span) -> Range:
    if value.end is not None and sign in ("<=", ">"):  # a day counts as a whole
        return _bound(path, "<" if sign == "<=" else ">=", value.end)
    return _bound(path, sign, value.start)


def _bound(path: str, sign: str, value: float | datetime) -> Range:
    return Range(path, **{_BOUNDS[sign]: value})


def equals(field: Field, values: list[Any]) -> Filter:
    """The field equals one of the values; a list has one of them."""
    values = list(dict.fromkeys(values))
    match field.type:
        case FieldType.KEYWORD | FieldType.KEYWORDS:
            is_id = field.path == OWN_FIELDS[record.ID].path
            return HasId(tuple(values)) if is_id else AnyOfValues(field.path, tuple(values))
        case FieldType.INTEGER:
            whole = tuple(int(value) for value in values if value == int(value) in INT64)
            return AnyOfValues(field.path, whole) if whole else NEVER
        case FieldType.BOOLEAN:  # one at a time: engines match no list of booleans
            return any_of(AnyOfValues(field.path, (value,)) for value in values)
        case FieldType.FLOAT:
            return any_of(Range(field.path, gte=value, lte=value) for value in values)
        case FieldType.DATETIME:
            return any_of(_during(field.path, value) for value in values)


def _during(path: str, span: Span) -> Range:
    if span.end is None:
        return Range(path, gte=span.start, lte=span.start)
    return Range(path, gte=span.start, lt=span.end)


def missing(field: Field) -> Filter:
    """The field has no value."""
    return NEVER if field.path == OWN_FIELDS[record.ID].path else Missing(field.path)


def any_of(parts: Iterable[Filter]) -> Filter:
    """At least one part holds; nested alternatives are flattened."""
    flat = [q for part in parts for q in (part.parts if isinstance(part, AnyOf) else (part,))]
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def all_of(parts: Iterable[Filter]) -> Filter:
    """Every part holds; nested conjunctions are flattened."""
    flat = [q for part in parts for q in (part.parts if isinstance(part, All) else (part,))]
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def negate(part: Filter) -> Filter:
    """The part does not hold; a double negation is undone."""
    return part.part if isinstance(part, Not) else Not(part)
