"""The `where` language: text -> Filter.

    price < 100 and category in ("dress", "skirt") and not brand = "Acme" and in_stock

A recursive descent over the grammar in docs/filters.md, which also says what each condition
means. Every error is a `FilterError` that names the column where the text went wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from lookalike import record
from lookalike.errors import FilterError, InputError
from lookalike.fields import (
    INT64,
    OWN_FIELDS,
    Field,
    describe_type,
    parse_value,
)
from lookalike.system.text import clip
from lookalike.system.times import parse_date, parse_datetime
from lookalike.types import All, AnyOf, AnyOfValues, FieldType, Filter, HasId, Missing, Not, Range

__all__ = ["KEYWORDS", "MAX_DEPTH", "WORD", "parse", "split", "unknown_field"]

MAX_DEPTH = 100
"""Parentheses within parentheses; more would only exhaust the stack, here or in the engine."""

NEVER = AnyOf(())
"""Holds for no point."""


def parse(text: str, fields: Mapping[str, Field]) -> Filter:
    """The filter that `text` stands for.

    Args:
        text: in the `where` language.
        fields: what it may name, by name: see `fields.fields_of`.

    Raises:
        FilterError: the text does not parse, names an unknown field, or compares a field with
            what its type does not allow.
    """
    return _Parser(_tokens(text), fields).parse()


def split(text: str, fields: Mapping[str, Field]) -> list[tuple[str, Filter]]:
    """The conditions that `text` joins by its outermost `and`, each as written and as a filter.

    A text with an outermost `or` is one condition, in parentheses.

    Raises:
        FilterError: as `parse` does.
    """
    parser = _Parser(_tokens(text), fields)
    whole = parser.parse()
    parser.at = 0
    parts: list[tuple[str, Filter]] = []
    while not parts or parser.accept("and"):
        start = parser.token.column - 1
        part = parser.negation()
        parts.append((text[start : parser.token.column - 1].strip(), part))
    return parts if parser.token.kind == "end" else [(f"({text.strip()})", whole)]


# --- tokens ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # a group of _TOKEN
    text: str  # without quotes and escapes
    column: int

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word

    def __str__(self) -> str:
        prefix = "the text " if self.kind == "string" else ""
        return "the end" if self.kind == "end" else f'{prefix}"{_clip(self.text)}"'


WORD = r"""[^\s"'`()<>=!,]+"""
"""A field name that needs no backticks, unless it is a keyword; or a number, a date, a keyword."""

# A word is anything without a sign of the language in it: a name, a keyword, a number or a date,
# as the place where it stands will tell.
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<string> "[^"\\]*(?:\\.[^"\\]*)*" | '[^'\\]*(?:\\.[^'\\]*)*' )
    | (?P<name> `(?:[^`]|``)+` )
    | (?P<operator> == | != | <> | <= | >= | [=<>(),] )
    | (?P<word> {WORD} )
    | (?P<end> \Z )
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            rest = text[at:].lstrip()
            problem = f"the quote {rest[0]} that opens here is never closed"
            if rest[0] == "!":
                problem = 'write "not" for "!"'
            _fail(len(text) - len(rest) + 1, problem)
        kind, found = match.lastgroup, match[match.lastgroup]
        if kind == "string":
            found = _ESCAPED.sub(r"\1", found[1:-1])
        elif kind == "name":
            found = found[1:-1].replace("``", "`")
        tokens.append(_Token(kind, found, match.start(kind) + 1))
        at = match.end()
    return tokens


def _fail(column: int, message: str) -> NoReturn:
    raise FilterError(f"where, column {column}: {message}.")


def _clip(text: str) -> str:
    return clip(text, 40)


# --- the grammar ----------------------------------------------------------------------------


KEYWORDS = frozenset({"and", "or", "not", "in", "has", "is", "null", "true", "false"})
_COMPARISONS = {"==": "=", "<>": "!="} | {sign: sign for sign in ("=", "!=", "<", "<=", ">", ">=")}
_OTHER_TONGUES = {"&&": "and", "&": "and", "||": "or", "|": "or"}


class _Parser:
    """One method a rule of the grammar."""

    def __init__(self, tokens: list[_Token], fields: Mapping[str, Field]) -> None:
        self.tokens = tokens
        self.fields = fields
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def parse(self) -> Filter:
        if self.token.kind == "end":
            _fail(
                1, "the expression is empty: leave the filter out, or write one such as price < 9"
            )
        whole = self.disjunction()
        if self.token.kind != "end":
            hint = _OTHER_TONGUES.get(self.token.text)
            expected = f'write "{hint}" for it' if hint else "expected and, or, or the end"
            _fail(self.token.column, f"{self.token} is not understood here; {expected}")
        return whole

    def disjunction(self) -> Filter:
        parts = [self.conjunction()]
        while self.accept("or"):
            parts.append(self.conjunction())
        return _any_of(parts)

    def conjunction(self) -> Filter:
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return _all_of(parts)

    def negation(self) -> Filter:
        negated = False
        while self.accept("not"):
            negated = not negated
        part = self.group() if self.accept("(") else self.condition()
        return _not(part) if negated else part

    def group(self) -> Filter:
        opened = self.tokens[self.at - 1]
        self.depth += 1
        if self.depth > MAX_DEPTH:
            _fail(opened.column, f"more than {MAX_DEPTH} parentheses within each other")
        inner = self.disjunction()
        if not self.accept(")"):
            _fail(
                self.token.column,
                f'expected and, or, or the ")" for the one opened at column {opened.column}, '
                f"not {self.token}",
            )
        self.depth -= 1
        return inner

    def condition(self) -> Filter:
        field = self.field()
        operator = self.token
        if operator.kind == "operator" and operator.text in _COMPARISONS:
            self.at += 1
            return _compare(field, operator, self.value(field))
        if self.accept("in"):
            return _equals(field, self.values(field))
        if self.accept("not"):
            if not self.accept("in"):
                _fail(self.token.column, f'expected "in" after "not", not {self.token}')
            return _not(_equals(field, self.values(field)))
        if self.accept("has"):
            if field.type is not FieldType.KEYWORDS:
                _fail(operator.column, f'"has" is for lists, and {_say(field)}: write = instead')
            return _equals(field, [self.value(field)])
        if self.accept("is"):
            negated = self.accept("not")
            if not self.accept("null"):
                _fail(self.token.column, f'expected "null" after "is", not {self.token}')
            return _not(_missing(field)) if negated else _missing(field)
        if field.type is FieldType.BOOLEAN:
            return _equals(field, [True])
        _fail(
            operator.column,
            f"expected a comparison after {field.name} (= != < <= > >= in has is), not {operator}",
        )

    def field(self) -> Field:
        token = self.token
        if token.kind == "word" and token.text.lower() in KEYWORDS:
            _fail(token.column, f"expected a field, not {token} (a field so named goes in `…`)")
        if token.kind not in ("word", "name"):
            _fail(token.column, f"expected a field, not {token}")
        field = self.fields.get(token.text)
        if field is None:
            _fail(token.column, unknown_field(token.text, self.fields))
        self.at += 1
        return field

    def values(self, field: Field) -> list[Any]:
        if not self.accept("("):
            _fail(self.token.column, f'expected "(" and values after "in", not {self.token}')
        values = [self.value(field)]
        while self.accept(","):
            values.append(self.value(field))
        if not self.accept(")"):
            _fail(self.token.column, f'expected "," or ")", not {self.token}')
        return values

    def value(self, field: Field) -> Any:
        """The literal at this place as a value of the field's type."""
        token = self.token
        if token.kind not in ("word", "string"):
            _fail(token.column, f"expected a value for {field.name}, not {token}")
        if token.is_word("null"):
            _fail(token.column, f"nothing equals null: write {field.name} is null")
        self.at += 1
        try:
            return _READERS[field.type](token)
        except (InputError, ValueError, OverflowError):
            _fail(token.column, f"{_say(field)}, and {token} is not{_hint(field, token)}")

    def accept(self, text: str) -> bool:
        """Steps over the keyword or sign if it stands here."""
        token = self.token
        if token.is_word(text) or (token.kind == "operator" and token.text == text):
            self.at += 1
            return True
        return False


# --- literals -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Span:
    """A moment, or a whole day: from `start` to before `end`."""

    start: datetime
    end: datetime | None


def _text(token: _Token) -> str:
    if token.kind != "string":
        raise ValueError(token)
    return token.text


def _number(token: _Token) -> float:
    if token.kind == "string":
        raise ValueError(token)
    try:
        return int(parse_value(FieldType.INTEGER, token.text))  # type: ignore[arg-type]
    except InputError:
        return float(parse_value(FieldType.FLOAT, token.text))  # type: ignore[arg-type]


def _boolean(token: _Token) -> bool:
    if token.kind == "string":
        raise ValueError(token)
    return bool(parse_value(FieldType.BOOLEAN, token.text))


def _span(token: _Token) -> _Span:
    start = parse_datetime(token.text)
    if parse_date(token.text) is None:
        return _Span(start, None)
    last = datetime.max.replace(tzinfo=UTC)  # 9999-12-31 has no day after it
    return _Span(start, start + min(timedelta(days=1), last - start))


_READERS = {
    FieldType.KEYWORD: _text,
    FieldType.KEYWORDS: _text,
    FieldType.INTEGER: _number,
    FieldType.FLOAT: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATETIME: _span,
}


# --- conditions -----------------------------------------------------------------------------


_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def _compare(field: Field, operator: _Token, value: Any) -> Filter:
    sign = _COMPARISONS[operator.text]
    if sign == "=":
        return _equals(field, [value])
    if sign == "!=":
        return _not(_equals(field, [value]))
    if isinstance(value, _Span):
        return _compare_moment(field.path, sign, value)
    if field.type not in (FieldType.INTEGER, FieldType.FLOAT):
        _fail(operator.column, f"{_say(field)}, which has no order: use = != or in")
    return _bound(field.path, sign, value)


def _compare_moment(path: str, sign: str, value: _Span) -> Range:
    if value.end is not None and sign in ("<=", ">"):  # the day belongs to neither side half
        return _bound(path, "<" if sign == "<=" else ">=", value.end)
    return _bound(path, sign, value.start)


def _bound(path: str, sign: str, value: float | datetime) -> Range:
    return Range(path, **{_BOUNDS[sign]: value})


def _equals(field: Field, values: list[Any]) -> Filter:
    """The field equals one of `values`; a list has one of them."""
    values = list(dict.fromkeys(values))
    match field.type:
        case FieldType.KEYWORD | FieldType.KEYWORDS:
            is_id = field.path == OWN_FIELDS[record.ID].path
            return HasId(tuple(values)) if is_id else AnyOfValues(field.path, tuple(values))
        case FieldType.INTEGER:
            whole = tuple(int(value) for value in values if value == int(value) in INT64)
            return AnyOfValues(field.path, whole) if whole else NEVER
        case FieldType.BOOLEAN:  # one at a time: engines match no list of booleans
            return _any_of(AnyOfValues(field.path, (value,)) for value in values)
        case FieldType.FLOAT:
            return _any_of(Range(field.path, gte=value, lte=value) for value in values)
        case FieldType.DATETIME:
            return _any_of(_during(field.path, value) for value in values)


def _during(path: str, span: _Span) -> Range:
    if span.end is None:
        return Range(path, gte=span.start, lte=span.start)
    return Range(path, gte=span.start, lt=span.end)


def _missing(field: Field) -> Filter:
    return NEVER if field.path == OWN_FIELDS[record.ID].path else Missing(field.path)


def _any_of(parts: Iterable[Filter]) -> Filter:
    flat = [q for part in parts for q in (part.parts if isinstance(part, AnyOf) else (part,))]
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def _all_of(parts: Iterable[Filter]) -> Filter:
    flat = [q for part in parts for q in (part.parts if isinstance(part, All) else (part,))]
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def _not(part: Filter) -> Filter:
    return part.part if isinstance(part, Not) else Not(part)


# --- words for errors -----------------------------------------------------------------------


def _say(field: Field) -> str:
    return f"{field.name} is {describe_type(field.type)} ({field.type})"


def _hint(field: Field, token: _Token) -> str:
    if token.kind == "word" and field.type in (FieldType.KEYWORD, FieldType.KEYWORDS):
        return f': put it in straight quotes, "{_clip(token.text).strip("“”‘’")}"'
    return ""


def unknown_field(name: str, fields: Mapping[str, Field]) -> str:
    """Says that there is no such field, which one may be meant, and what there is."""
    by_lower = {known.lower(): known for known in fields}
    near = difflib.get_close_matches(_clip(name.lower()), by_lower, n=1)
    guess = by_lower.get(f"image.{name.lower()}") or (by_lower[near[0]] if near else None)
    hint = f'; did you mean "{guess}"?' if guess else "."
    own = [known for known in fields if known in OWN_FIELDS]
    names = sorted(set(fields) - set(own)) + own
    return f'unknown field "{_clip(name)}"{hint} Fields: {", ".join(names)}'
