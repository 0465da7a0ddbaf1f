"""Conditions of the `where` language: literals become values of a field's type, and comparisons
become filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from lookalike import record
from lookalike.errors import InputError
from lookalike.fields import INT64, OWN_FIELDS, TEXTS, Field, describe_type, is_unicode, parse_value
from lookalike.filters.moments import UNITS, Span, read_span
from lookalike.filters.tokens import Token, error_at, shorten
from lookalike.imaging import color_terms, palette
from lookalike.types import (
    All,
    AnyElement,
    AnyOf,
    AnyOfValues,
    FieldType,
    Filter,
    HasId,
    Missing,
    Not,
    Range,
    TextMatch,
    WithinRadius,
)

Spellings: TypeAlias = Callable[[Field], Iterable[str]]
"""The distinct values of a field of texts, in an index."""

NEVER = AnyOf(())
"""Holds for no point."""

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Operators of order, each with the one that says the same with its sides swapped."""

COMPARISONS = {"==": "=", "<>": "!="} | {sign: sign for sign in ("=", "!=", *MIRRORED)}
"""Comparison operators, each with its usual spelling."""

TEXT_MATCHES: Mapping[str, Literal["prefix", "substring", "words"]] = {
    "startswith": "prefix",
    "contains": "substring",
    "matches": "words",
}
"""Operators that compare with part of a text."""

_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_COLORS = (record.COLORS, record.MAIN_COLOR)
_WORD = re.compile(r"\w")
_CIRCLE = "within 2 km of 48.8584, 2.2945"
_FARTHEST = 20_000_000.0
_METERS = {"m": 1.0, "km": 1_000.0, "mi": 1_609.344}
_LENGTH = re.compile(rf"(?P<number>.+?)(?P<unit>{'|'.join(_METERS)})", re.IGNORECASE)


def describe_field(field: Field) -> str:
    """The field and its type, for error messages."""
    return f"{field.name} is {describe_type(field.type)} ({field.type})"


# --- literals -------------------------------------------------------------------------------


def read_value(field: Field, token: Token) -> Any:
    """The literal as a value of the field's type.

    Raises:
        FilterError: it is not one.
    """
    if field.type is FieldType.GEO:
        raise error_at(token.column, f"{describe_field(field)}: write {field.name} {_CIRCLE}")
    try:
        if field.name in _COLORS:
            return _color(_text(token))
        return _READERS[field.type](token)
    except (InputError, ValueError, OverflowError):
        hint = _hint(field, token)
        message = f"{describe_field(field)}, and {token} is not{hint}"
        raise error_at(token.column, message) from None


def _color(text: str) -> str:
    """The usual name of a color, such as grey for "Gray".

    Raises:
        InputError: it is not one that images are filtered by.
    """
    term = color_terms.find(text)
    if term is None or not term.shades or text.strip().startswith("#"):
        raise InputError(text)
    return term.name


def _hint(field: Field, token: Token) -> str:
    if token.kind == "string" and field.name in _COLORS:
        near = color_terms.similar_names(token.text)
        guess = f"did you mean {' or '.join(near)}?" if near else "write one such as blue or navy"
        return f" the name of a color: {guess.rstrip('?')}"
    if token.kind == "word" and field.type in TEXTS:
        return f': put it in straight quotes, "{shorten(token.text).strip("“”‘’")}"'
    if field.type is FieldType.DATETIME and token.text.lower().startswith(("now", "today")):
        return f": write it as now - 30d, in {UNITS}"
    return ""


def _text(token: Token) -> str:
    if token.kind != "string" or not is_unicode(token.text):
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
    return read_span(token.text)


_READERS = {
    FieldType.KEYWORD: _text,
    FieldType.KEYWORDS: _text,
    FieldType.TEXT: _text,
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
    return order(field, sign, value, operator.column)


def order(field: Field, sign: str, value: Any, column: int) -> Range:
    """The field is less or greater than the value, as the sign says.

    Raises:
        FilterError: the field's type has no order.
    """
    if isinstance(value, Span):
        return _compare_moment(field.path, sign, value)
    if field.type not in (FieldType.INTEGER, FieldType.FLOAT):
        raise error_at(column, f"{describe_field(field)}, which has no order: use = != or in")
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
    if field.name in _COLORS:
        return _has_color(field, values)
    if field.name == record.FOLDER:
        return any_of(map(_in_folder, values))
    if field.type in TEXTS and field.name not in OWN_FIELDS:
        values = [value.strip() for value in values]  # as `fields.parse_value` stores them
    match field.type:
        case FieldType.KEYWORD | FieldType.KEYWORDS | FieldType.TEXT:
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
        case FieldType.GEO:  # `read_value` has refused the value
            return NEVER


def _during(path: str, span: Span) -> Range:
    if span.end is None:
        return Range(path, gte=span.start, lte=span.start)
    return Range(path, gte=span.start, lt=span.end)


def _has_color(field: Field, names: Sequence[str]) -> Filter:
    """One of the image's colors, or its main one, has one of these names."""
    basic = tuple(name for name in names if name in palette.TERMS)
    other = tuple(name for name in names if name not in palette.TERMS)
    parts = [AnyOfValues(field.path, basic)] if basic else []
    if other:
        parts.append(AnyOfValues(f"{field.path.removesuffix('name')}terms", other))
    return any_of(parts)


def has_color_share(field: Field, name: str, bounds: Range) -> Filter:
    """One of the image's colors has this name, and a share within these bounds."""
    relative = Field(field.name, field.type, "name")
    colors, _, _ = field.path.partition("[]")
    return AnyElement(colors, All((_has_color(relative, [name]), bounds)))


def _in_folder(folder: str) -> Filter:
    """The image is in the folder or below: of this path, or of this name if it is not absolute."""
    name = folder.rstrip("/")
    if folder.startswith("/") or "://" in folder:
        return TextMatch(record.URI, f"{name}/", "prefix")
    return TextMatch(record.URI, f"/{name}/", "substring")


def match_text(field: Field, operator: Token, text: str) -> Filter:
    """The field's text begins with a text, contains it, or has its words.

    Raises:
        FilterError: the field has no texts, or the text has no words to match.
    """
    name = operator.text.lower()
    require_texts(field, operator)
    kind = TEXT_MATCHES[name]
    if field.name == record.FOLDER and kind != "prefix":
        raise error_at(
            operator.column, f"{field.name} has no {name}: write it for image.uri, or use ="
        )
    if kind == "words" and not _WORD.search(text):
        raise error_at(operator.column, f"{name} needs a word to look for")
    return TextMatch(field.path, text, kind)


def equals_ignoring_case(
    field: Field, operator: Token, text: str, spellings: Spellings | None
) -> Filter:
    """The field's text equals a text in any case: one of the index's own spellings of it.

    Raises:
        FilterError: the field has no texts, or is the id or the folder.
    """
    require_texts(field, operator)
    if field.type is FieldType.TEXT:
        raise error_at(operator.column, f"{describe_field(field)}, which has no ~=: use matches")
    if field.name in (record.ID, record.FOLDER):
        raise error_at(operator.column, f"{field.name} has no ~=: use = or startswith")
    folded = text.strip().casefold()
    known = () if spellings is None else spellings(field)
    same = [value for value in known if value.strip().casefold() == folded]
    return equals(field, same or [text])


def split_length(text: str) -> tuple[str, str]:
    """The number and the unit of a length in one word, such as 2km; no unit if it has none."""
    match = _LENGTH.fullmatch(text)
    return (match["number"], match["unit"]) if match else (text, "")


def meters_in(unit: Token) -> float:
    """The meters in a unit of length.

    Raises:
        FilterError: there is no such unit.
    """
    meters = _METERS.get(unit.text.lower())
    if meters is None:
        raise error_at(
            unit.column, f"expected a unit, {', '.join(_METERS)}, not {unit}: write {_CIRCLE}"
        )
    return meters


def in_circle(
    field: Field, operator: Token, meters: float, center: tuple[float, float]
) -> WithinRadius:
    """The place is at most this far from a point given in degrees.

    Raises:
        FilterError: the field holds no places, or there is no such point or distance.
    """
    if field.type is not FieldType.GEO:
        raise error_at(operator.column, f"within is for places, and {describe_field(field)}")
    latitude, longitude = center
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise error_at(
            operator.column,
            f"there is no place at {latitude}, {longitude}: write the latitude, from -90 to 90, "
            "then the longitude, from -180 to 180",
        )
    if not 0 <= meters <= _FARTHEST:
        raise error_at(operator.column, "a distance is from 0 to 20,000 km")
    return WithinRadius(field.path, latitude, longitude, meters)


def require_texts(field: Field, operator: Token) -> None:
    """Refuses an operator on texts for a field of another type."""
    if field.type not in TEXTS:
        raise error_at(
            operator.column, f"{shorten(operator.text)} is for texts, and {describe_field(field)}"
        )


def missing(field: Field) -> Filter:
    """The field has no value."""
    return NEVER if field.path == OWN_FIELDS[record.ID].path else Missing(field.path)


def any_of(parts: Iterable[Filter]) -> Filter:
    """At least one part holds; nested alternatives are flattened."""
    flat = [q for part in parts for q in (part.parts if isinstance(part, AnyOf) else (part,))]
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def all_of(parts: Iterable[Filter]) -> Filter:
    """Every part holds; nested conjunctions are flattened, and two bounds of one field are one."""
    flat: list[Filter] = []
    for part in parts:
        for one in part.parts if isinstance(part, All) else (part,):
            _add_merged(flat, one)
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def _add_merged(parts: list[Filter], part: Filter) -> None:
    for i, other in enumerate(parts):
        merged = merge_ranges(other, part)
        if merged is not None:
            parts[i] = merged
            return
    parts.append(part)


def merge_ranges(one: Filter, other: Filter) -> Range | None:
    """The range between a lower and an upper bound of one field; None if they are not that."""
    if not (isinstance(one, Range) and isinstance(other, Range) and one.path == other.path):
        return None
    sides = [_sides(part) for part in (one, other)]
    if sides not in (["lower", "upper"], ["upper", "lower"]):
        return None
    bounds = {name: getattr(other, name) for name in _BOUNDS.values()}
    return replace(one, **{name: bound for name, bound in bounds.items() if bound is not None})


def _sides(range: Range) -> str:
    lower = range.gt is not None or range.gte is not None
    upper = range.lt is not None or range.lte is not None
    return "both" if lower and upper else "lower" if lower else "upper"


def negate(part: Filter) -> Filter:
    """The part does not hold; a double negation is undone."""
    return part.part if isinstance(part, Not) else Not(part)
