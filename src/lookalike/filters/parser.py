"""The `where` language: a text becomes a filter.

    price < 100 and category in ("dress", "skirt") and not brand = "Acme" and in_stock

The grammar is in docs/filters.md, which also says what each condition means. Every error is a
`FilterError` that names the column where the text goes wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from lookalike.errors import FilterError, QueryError
from lookalike.fields import OWN_FIELDS, Field
from lookalike.filters.conditions import (
    COMPARISONS,
    all_of,
    any_of,
    compare,
    describe_field,
    equals,
    missing,
    negate,
    read_value,
)
from lookalike.filters.tokens import KEYWORDS, Token, error_at, shorten, tokenize
from lookalike.types import FieldType, Filter

MAX_DEPTH = 100
"""Levels of nested parentheses; more would only exhaust the stack, here or in the engine."""

MAX_CONDITIONS = 1_000
"""Comparisons in a filter. Ten times as many negated ones take 3.5 s on 20,000 images, and others
wait for the engine meanwhile."""
MAX_VALUES = 25_000
"""Values that a filter compares with."""

_OTHER_LANGUAGES = {"&&": "and", "&": "and", "||": "or", "|": "or"}


def parse(text: str, fields: Mapping[str, Field]) -> Filter:
    """The filter that a text stands for.

    Args:
        text: in the `where` language.
        fields: the fields it may name, by name; see `fields.fields_of`.

    Raises:
        FilterError: the text does not parse, names an unknown field, or compares a field with a
            value that does not fit its type.
    """
    return _Parser(tokenize(text), fields).parse()


def split(text: str, fields: Mapping[str, Field]) -> list[tuple[str, Filter]]:
    """The conditions that a text joins by its outermost `and`, each as written and as a filter.

    A text with an outermost `or` is one condition, in parentheses.

    Raises:
        FilterError: as `parse` does.
    """
    parser = _Parser(tokenize(text), fields)
    whole = parser.parse()
    parser.at = parser.conditions = parser.values_read = 0
    parts: list[tuple[str, Filter]] = []
    while not parts or parser.accept("and"):
        start = parser.token.column - 1
        part = parser.negation()
        parts.append((text[start : parser.token.column - 1].strip(), part))
    return parts if parser.token.kind == "end" else [(f"({text.strip()})", whole)]


class _Parser:
    """A recursive descent with one method per rule of the grammar."""

    def __init__(self, tokens: list[Token], fields: Mapping[str, Field]) -> None:
        self.tokens = tokens
        self.fields = fields
        self.at = 0
        self.depth = 0
        self.conditions = 0
        self.values_read = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def parse(self) -> Filter:
        if self.token.kind == "end":
            raise error_at(
                1, "the expression is empty: leave the filter out, or write one such as price < 9"
            )
        whole = self.disjunction()
        if self.token.kind != "end":
            hint = _OTHER_LANGUAGES.get(self.token.text)
            expected = f'write "{hint}" for it' if hint else "expected and, or, or the end"
            raise error_at(self.token.column, f"{self.token} is not understood here; {expected}")
        return whole

    def disjunction(self) -> Filter:
        parts = [self.conjunction()]
        while self.accept("or"):
            parts.append(self.conjunction())
        return any_of(parts)

    def conjunction(self) -> Filter:
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return all_of(parts)

    def negation(self) -> Filter:
        negated = False
        while self.accept("not"):
            negated = not negated
        part = self.group() if self.accept("(") else self.condition()
        return negate(part) if negated else part

    def group(self) -> Filter:
        opened = self.tokens[self.at - 1]
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise error_at(opened.column, f"parentheses nested more than {MAX_DEPTH} deep")
        inner = self.disjunction()
        if not self.accept(")"):
            raise error_at(
                self.token.column,
                f'expected and, or, or the ")" for the one opened at column {opened.column}, '
                f"not {self.token}",
            )
        self.depth -= 1
        return inner

    def condition(self) -> Filter:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise too_many_conditions()
        field = self.field()
        operator = self.token
        if operator.kind == "operator" and operator.text in COMPARISONS:
            self.at += 1
            return compare(field, operator, self.value(field))
        if self.accept("in"):
            return equals(field, self.values(field))
        if self.accept("not"):
            if not self.accept("in"):
                raise error_at(self.token.column, f'expected "in" after "not", not {self.token}')
            return negate(equals(field, self.values(field)))
        if self.accept("has"):
            if field.type is not FieldType.KEYWORDS:
                raise error_at(
                    operator.column,
                    f'"has" is for lists, and {describe_field(field)}: write = instead',
                )
            return equals(field, [self.value(field)])
        if self.accept("is"):
            negated = self.accept("not")
            if not self.accept("null"):
                raise error_at(self.token.column, f'expected "null" after "is", not {self.token}')
            return negate(missing(field)) if negated else missing(field)
        if field.type is FieldType.BOOLEAN:
            return equals(field, [True])
        raise error_at(
            operator.column,
            f"expected a comparison after {field.name} (= != < <= > >= in has is), not {operator}",
        )

    def field(self) -> Field:
        token = self.token
        if token.kind == "word" and token.text.lower() in KEYWORDS:
            raise error_at(
                token.column, f"expected a field, not {token} (write a field of that name as `…`)"
            )
        if token.kind not in ("word", "name"):
            raise error_at(token.column, f"expected a field, not {token}")
        field = self.fields.get(token.text)
        if field is None:
            raise error_at(token.column, unknown_field(token.text, self.fields))
        self.at += 1
        return field

    def values(self, field: Field) -> list[Any]:
        if not self.accept("("):
            raise error_at(
                self.token.column, f'expected "(" and values after "in", not {self.token}'
            )
        values = [self.value(field)]
        while self.accept(","):
            values.append(self.value(field))
        if not self.accept(")"):
            raise error_at(self.token.column, f'expected "," or ")", not {self.token}')
        return values

    def value(self, field: Field) -> Any:
        """The next literal as a value of the field's type."""
        token = self.token
        if token.kind not in ("word", "string"):
            raise error_at(token.column, f"expected a value for {field.name}, not {token}")
        if token.is_word("null"):
            raise error_at(token.column, f"nothing equals null: write {field.name} is null")
        self.values_read += 1
        if self.values_read > MAX_VALUES:
            raise FilterError(
                f"The filter compares with more than {MAX_VALUES:,} values; ask for fewer at once."
            )
        self.at += 1
        return read_value(field, token)

    def accept(self, text: str) -> bool:
        """Steps over a keyword or operator if it comes next; returns whether it did."""
        token = self.token
        if token.is_word(text) or (token.kind == "operator" and token.text == text):
            self.at += 1
            return True
        return False


def too_many_conditions() -> FilterError:
    """The error for a filter with more than `MAX_CONDITIONS`."""
    return FilterError(
        f"The filter has more than {MAX_CONDITIONS:,} conditions; list the values of a field with "
        "in, or ask for fewer at once."
    )


def unknown_field(name: str, fields: Mapping[str, Field]) -> str:
    """An error message for a field that does not exist: the likely one, and all there are."""
    by_lower = {known.lower(): known for known in fields}
    near = difflib.get_close_matches(shorten(name.lower()), by_lower, n=1)
    guess = by_lower.get(f"image.{name.lower()}") or (by_lower[near[0]] if near else None)
    hint = f'; did you mean "{guess}"?' if guess else "."
    own = [known for known in fields if known in OWN_FIELDS]
    names = sorted(set(fields) - set(own)) + own
    return f'unknown field "{shorten(name)}"{hint} Fields: {", ".join(names)}'


def require_field(name: str, fields: Mapping[str, Field]) -> Field:
    """Returns the field of this name.

    Raises:
        QueryError: there is none.
    """
    if name not in fields:
        raise QueryError(f"{unknown_field(name, fields)}.")
    return fields[name]
