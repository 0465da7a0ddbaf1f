"""Payload fields: their names and types, the parsing of values, and the inference of types."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from types import MappingProxyType
from typing import Any, TypeAlias

from lookalike import record
from lookalike.errors import InputError
from lookalike.system.text import clip
from lookalike.system.times import DATETIME_PATTERN, format_datetime, parse_datetime, to_utc
from lookalike.types import FieldType

__all__ = [
    "OWN_FIELDS",
    "TEXTS",
    "USER_TYPES",
    "Field",
    "Value",
    "choose_type",
    "describe_type",
    "fields_of",
    "indexed_fields",
    "is_missing",
    "is_unicode",
    "kind_of",
    "kind_of_text",
    "parse_value",
    "quoted",
    "user_field",
    "value_of_text",
    "widened",
]

Value: TypeAlias = str | int | float | bool | list[str]
"""The value of a field in a payload. A datetime is an RFC 3339 string in UTC."""

USER_TYPES = tuple(type for type in FieldType if type is not FieldType.GEO)
"""Types of the user's fields."""

TEXTS = frozenset({FieldType.KEYWORD, FieldType.KEYWORDS, FieldType.TEXT})
"""Types of texts."""

INT64 = range(-(2**63), 2**63)
MAX_EXACT_FLOAT = 2**53 - 1
"""The largest whole number up to which each has a float of its own."""

FITTING_SHARE = 0.95
"""The share of a column's values that must fit a type for the column to have it. One "N/A" among
many prices is then reported, and the prices stay numbers."""

LONG, LONGEST_WORD = 100, 20
"""Characters from which on a text counts as long, if it has a space in every 20, as an address has
not."""


# --- the fields -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """A field that filters, facets and updates can name.

    Attributes:
        name: the name that users write.
        type: the type of its values.
        path: its place in the payload, as the engine's JSON path.
    """

    name: str
    type: FieldType
    path: str


def _own(name: str, type: FieldType, path: str | None = None) -> tuple[str, Field]:
    return name, Field(name, type, path or name)


OWN_FIELDS: Mapping[str, Field] = MappingProxyType(
    dict(
        (
            _own(record.ID, FieldType.KEYWORD),
            _own(record.URI, FieldType.KEYWORD),
            # The folder is not stored: it is the beginning of the URI.
            _own(record.FOLDER, FieldType.KEYWORD, record.URI),
            _own(record.SHA256, FieldType.KEYWORD),
            _own(record.FORMAT, FieldType.KEYWORD),
            _own(record.WIDTH, FieldType.INTEGER),
            _own(record.HEIGHT, FieldType.INTEGER),
            _own(record.BYTES, FieldType.INTEGER),
            _own(record.TAKEN_AT, FieldType.DATETIME),
            _own(record.GPS, FieldType.GEO),  # in an index that was made to store it
            _own(record.FRAMES, FieldType.INTEGER),
            _own(record.ALPHA, FieldType.BOOLEAN),
            _own(record.BIT_DEPTH, FieldType.INTEGER),
            _own(record.CAMERA_RAW, FieldType.BOOLEAN),
            _own(record.CAMERA_METADATA, FieldType.BOOLEAN),
            _own(record.MOTION, FieldType.BOOLEAN),
            _own(record.MODIFIED_AT, FieldType.DATETIME),
            _own(record.INDEXED_AT, FieldType.DATETIME),
            _own(record.PHASH, FieldType.KEYWORD),
            _own(record.COPY_OF, FieldType.KEYWORD),
            # Decisions about duplicates; see `types.Decision`.
            _own(record.NOT_DUPLICATES, FieldType.KEYWORDS),
            _own(record.KEEP_ALL, FieldType.KEYWORDS),
            # A color is an object {name, hex, share}; filters use its name.
            _own(record.COLORS, FieldType.KEYWORDS, "image.colors[].name"),
            _own(record.MAIN_COLOR, FieldType.KEYWORD, "image.colors[0].name"),
        )
    )
)
"""The fields that lookalike itself stores, by name."""

PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


def user_field(name: str, type: FieldType) -> Field:
    """A field from the user's metadata, with its path.

    In Qdrant's paths, a key of letters, digits, `_` and `-` stands as it is, and any other key in
    double quotes. There are no escapes, so a key with a double quote or a backslash cannot be
    addressed at all.

    Raises:
        InputError: the name is empty or reserved, or the engine cannot address it.
    """
    if name == record.KEY or name.startswith(f"{record.KEY}."):
        raise InputError(
            f'Field name "{name}" is reserved for the properties of an image: rename it.'
        )
    if not name.strip() or any(sign in name for sign in '"\\') or not is_unicode(name):
        raise InputError(
            f"Field name {name!r} cannot be used: rename it, with letters, digits, spaces, _ and -."
        )
    return Field(name, type, name if PLAIN_KEY.fullmatch(name) else f'"{name}"')


def fields_of(types: Mapping[str, FieldType], *, gps: bool = False) -> dict[str, Field]:
    """All fields of an index by name: the user's, then our own, with places if it stores them."""
    own = {name: field for name, field in OWN_FIELDS.items() if gps or name != record.GPS}
    return {name: user_field(name, type) for name, type in types.items()} | own


def indexed_fields(types: Mapping[str, FieldType], *, gps: bool = False) -> list[Field]:
    """The fields that get a payload index: all but the id, which is the point's own, and the
    folder, which is part of the URI."""
    without = (record.ID, record.FOLDER)
    return [field for field in fields_of(types, gps=gps).values() if field.name not in without]


# --- values ---------------------------------------------------------------------------------

_TYPE_NAMES = {
    FieldType.INTEGER: "a whole number",
    FieldType.FLOAT: "a number",
    FieldType.BOOLEAN: "true or false",
    FieldType.DATETIME: "a date or time such as 2024-05-01 or 2024-05-01T12:00:00Z",
    FieldType.KEYWORD: "a text",
    FieldType.KEYWORDS: "a list of texts",
    FieldType.TEXT: "a long text",
    FieldType.GEO: "a place",
}


def describe_type(type: FieldType) -> str:
    """A type in plain words, such as "a whole number"."""
    return _TYPE_NAMES[type]


# CSV cells and filters share one notation: JSON's numbers, and ".5" and "5." besides. Leading zeros
# and plus signs are not allowed, because "00123" and "+49" are codes, not quantities.
_INTEGER = r"-?(?:0|[1-9][0-9]{0,18})"
_FLOAT = r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?"

_KIND = re.compile(
    rf"(?P<boolean>(?i:true|false))|(?P<integer>{_INTEGER})|(?P<float>{_FLOAT})"
    rf"|(?P<datetime>{DATETIME_PATTERN})|(?P<keywords>\[.*\]|.*\S\|\S.*)",
    re.DOTALL,
)
_WHOLE = re.compile(r"-?[0-9]+")
_EXPONENT_CODE = re.compile(r"-?[0-9]+[eE][0-9]+")
_INTEGER_TEXT = re.compile(_INTEGER)
_FLOAT_TEXT = re.compile(_FLOAT)


def parse_value(type: FieldType, value: Any) -> Value:
    """Converts a value to the form that the payload holds.

    The value may be text from a command line or a CSV cell: a number, `true`, an ISO 8601 date or
    date-time (in UTC if it has no offset), a list as `a|b` or as a JSON array.

    Raises:
        InputError: the value does not fit the type. The message does not name the field; the
            caller does.
    """
    try:
        return _PARSERS[type](value.strip() if isinstance(value, str) else value)
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError):
        raise InputError(f"{quoted(value)} is not {describe_type(type)}") from None


def _integer(value: Any) -> int:
    if isinstance(value, str):
        # Spreadsheets and data frames write 5 as "5.0".
        value = int(value) if _INTEGER_TEXT.fullmatch(value) else _float(value)
    if isinstance(value, float) and abs(value) <= MAX_EXACT_FLOAT and value.is_integer():
        value = int(value)
    if type(value) is not int or value not in INT64:
        raise ValueError(value)
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and not _FLOAT_TEXT.fullmatch(value)):
        raise ValueError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[value.lower()]


def _datetime(value: Any) -> str:
    if isinstance(value, datetime):
        return format_datetime(to_utc(value))
    if isinstance(value, date):
        return format_datetime(datetime.combine(value, time.min))
    return format_datetime(parse_datetime(value))


def _keyword(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float) or not is_unicode(str(value)):
        raise ValueError(value)
    return str(value)


def _keywords(value: Any) -> list[str]:
    if isinstance(value, str):
        parts = _json_list(value)
        value = parts if parts is not None else filter(None, map(str.strip, value.split("|")))
    elif not isinstance(value, list | tuple):
        value = [value]
    return [_keyword(part) for part in value if not is_missing(part)]


def _json_list(text: str) -> list[Any] | None:
    """The list that a text holds as a JSON array, else None."""
    try:
        return list(json.loads(text)) if text.startswith("[") else None
    except (ValueError, RecursionError):
        return None


_PARSERS: Mapping[FieldType, Callable[[Any], Value]] = {
    FieldType.INTEGER: _integer,
    FieldType.FLOAT: _float,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATETIME: _datetime,
    FieldType.KEYWORD: _keyword,
    FieldType.KEYWORDS: _keywords,
    FieldType.TEXT: _keyword,
}


def is_missing(value: Any) -> bool:
    """True if a value stands for none, and clears a field: empty, null, NaN, or a list of nothing
    but such values."""
    if isinstance(value, str):  # first, as most values are texts
        return not value
    if isinstance(value, (list, tuple)):
        return all(map(is_missing, value))
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_unicode(text: str) -> bool:
    """True if a text has no lone surrogates, which no payload can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted(value: Any) -> str:
    """Shows a value in an error message: texts in quotes, cut after 60 characters."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return clip(text, 60)


# --- inference ------------------------------------------------------------------------------


def _kind_of_words(text: str) -> FieldType:
    """The type of a text that is nothing but text: a long one is searched by its words."""
    is_long = len(text) > LONG and text.count(" ") >= len(text) / LONGEST_WORD
    return FieldType.TEXT if is_long else FieldType.KEYWORD


def kind_of_text(text: str) -> FieldType:
    """The narrowest type that fits the text of one CSV cell."""
    match = _KIND.fullmatch(text)
    kind = FieldType(match.lastgroup) if match and match.lastgroup else _kind_of_words(text)
    match kind:
        case FieldType.INTEGER if int(text) not in INT64:
            return FieldType.KEYWORD
        case FieldType.FLOAT if _WHOLE.fullmatch(text) or not math.isfinite(float(text)):
            return FieldType.KEYWORD  # an identifier with many digits: a float would round it
        case FieldType.FLOAT if _EXPONENT_CODE.fullmatch(text):
            return FieldType.KEYWORD  # 1E5 is rather an article number than 100000
        case FieldType.DATETIME if not _is_datetime(text):
            return FieldType.KEYWORD
        case FieldType.KEYWORDS if text.startswith("["):
            return kind_of(_json_list(text)) or FieldType.KEYWORD
    return kind


def value_of_text(text: str) -> Value:
    """The value of a text in the narrowest type that fits it."""
    return parse_value(kind_of_text(text), text)


def kind_of(value: Any) -> FieldType | None:
    """The narrowest type of a JSON value; None if no type fits it.

    A string is text or, as JSON has no dates, a date-time, but never a number.
    """
    match value:
        case bool():
            return FieldType.BOOLEAN
        case int():
            return FieldType.INTEGER if value in INT64 else None
        case float():
            return FieldType.FLOAT if math.isfinite(value) else None
        case str():
            return FieldType.DATETIME if _is_datetime(value) else _kind_of_words(value)
        case list() if all(isinstance(part, str) or is_missing(part) for part in value):
            return FieldType.KEYWORDS
    return None


def choose_type(kinds: Mapping[FieldType | None, int]) -> FieldType | None:
    """Chooses the type of a column from the number of its values of each kind.

    Returns:
        The narrowest type that fits at least 95 % of the values. Every kind fits keyword, one
        list makes the whole column lists, and texts of which half are long are text. None if more
        than 5 % of the values fit no type.
    """
    enough = FITTING_SHARE * sum(kinds.values())

    def count(*types: FieldType | None) -> int:
        return sum(kinds.get(type, 0) for type in types)

    if count(*FieldType) < enough:
        return None
    if count(FieldType.BOOLEAN) >= enough:
        return FieldType.BOOLEAN
    if count(FieldType.INTEGER, FieldType.FLOAT) >= enough:
        # One price of 19.99 makes all whole prices floats.
        return FieldType.FLOAT if count(FieldType.FLOAT) else FieldType.INTEGER
    if count(FieldType.DATETIME) >= enough:
        return FieldType.DATETIME
    if count(FieldType.KEYWORDS):
        return FieldType.KEYWORDS
    return FieldType.TEXT if count(FieldType.TEXT) > enough / 2 else FieldType.KEYWORD


def widened(type: FieldType, value: Any) -> FieldType:
    """The type of a field of this type that also has this value: whole numbers become floats."""
    if type is not FieldType.INTEGER or _fits(type, value) or not _fits(FieldType.FLOAT, value):
        return type
    return FieldType.FLOAT


def _fits(type: FieldType, value: Any) -> bool:
    try:
        parse_value(type, value)
    except InputError:
        return False
    return True


def _is_datetime(text: str) -> bool:
    try:
        parse_datetime(text)
    except (ValueError, OverflowError):
        return False
    return True
