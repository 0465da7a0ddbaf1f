"""The `where` language: a text becomes a filter.

    price < 100 and category in ("dress", "skirt") and not brand = "Acme" and in_stock

The grammar is in docs/filters.md, which also says what each condition means. Every error is a
`FilterError` that names the column where the text goes wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lookalike import record
from lookalike.errors import FilterError, QueryError
from lookalike.fields import OWN_FIELDS, Field
from lookalike.filters.conditions import (
    COMPARISONS,
    MIRRORED,
    TEXT_MATCHES,
    Spellings,
    all_of,
    any_of,
    compare,
    describe_field,
    equals,
    equals_ignoring_case,
    has_color_share,
    in_circle,
    match_text,
    merge_ranges,
    meters_in,
    missing,
    negate,
    order,
    read_value,
    require_texts,
    split_length,
)
from lookalike.filters.parameters import Parameters, is_parameter
from lookalike.filters.tokens import KEYWORDS, Token, error_at, shorten, tokenize
from lookalike.types import FieldType, Filter

MAX_DEPTH = 100
"""Levels of nested parentheses; more would only exhaust the stack, here or in the engine."""

MAX_CONDITIONS = 1_000
"""Comparisons in a filter. Ten times as many negated ones take 3.5 s on 20,000 images, and others
wait for the engine meanwhile."""
MAX_VALUES = 25_000
"""Values that a filter compares with."""

_OPERATORS = "= != < <= > >= ~= in has contains startswith matches between within is"
_LITERAL = re.compile(r"[0-9.:+-]|now\b|today\b", re.IGNORECASE)

_OTHER_LANGUAGES = {"&&": "and", "&": "and", "||": "or", "|": "or"}


def parse(
    text: str,
    fields: Mapping[str, Field],
    parameters: Mapping[str, Any] | None = None,
    spellings: Spellings | None = None,
) -> Filter:
    """The filter that a text stands for.

    Args:
        text: in the `where` language.
        fields: the fields it may name, by name; see `fields.fields_of`.
        parameters: the values of `:name` in the text, by name.
        spellings: lists the values of a field, for `~=`; None compares with the text as it is.

    Raises:
        FilterError: the text does not parse, names an unknown field or parameter, or compares a
            field with a value that does not fit its type; or a parameter is not used.
    """
    parser = _Parser(tokenize(text), fields, Parameters(parameters or {}), spellings)
    whole = parser.parse()
    parser.parameters.require_all_used()
    return whole


def split(
    text: str, fields: Mapping[str, Field], spellings: Spellings | None = None
) -> list[tuple[str, Filter]]:
    """The conditions that a text joins by its outermost `and`, each as written and as a filter.

    Two bounds of one field are one condition. A text with an outermost `or` is one condition, in
    parentheses.

    Raises:
        FilterError: as `parse` does.
    """
    parser = _Parser(tokenize(text), fields, Parameters({}), spellings)
    whole = parser.parse()
    parser.at = parser.conditions = parser.values_read = 0
    parts: list[tuple[str, Filter]] = []
    while not parts or parser.accept("and"):
        start = parser.token.column - 1
        part = parser.negation()
        _add(parts, text[start : parser.token.column - 1].strip(), part)
    return parts if parser.token.kind == "end" else [(f"({text.strip()})", whole)]


def _add(parts: list[tuple[str, Filter]], text: str, part: Filter) -> None:
    for i, (written, other) in enumerate(parts):
        merged = merge_ranges(other, part)
        if merged is not None:
            parts[i] = (f"{written} and {text}", merged)
            return
    parts.append((text, part))


class _Parser:
    """A recursive descent with one method per rule of the grammar."""

    def __init__(
        self,
        tokens: list[Token],
        fields: Mapping[str, Field],
        parameters: Parameters,
        spellings: Spellings | None,
    ) -> None:
        self.tokens = tokens
        self.fields = fields
        self.parameters = parameters
        self.spellings = spellings
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
        if self.value_comes_first():
            return self.bounds()
        field = self.field()
        operator = self.token
        if operator.kind == "operator" and operator.text in COMPARISONS:
            self.at += 1
            return compare(field, operator, self.value(field))
        if self.accept("~="):
            return equals_ignoring_case(field, operator, self.text(field), self.spellings)
        if self.accept("has"):
            if field.type is not FieldType.KEYWORDS:
                raise error_at(
                    operator.column,
                    f'"has" is for lists, and {describe_field(field)}: write = instead',
                )
            return self.element(field, self.value(field))
        if self.accept("is"):
            negated = self.accept("not")
            if not self.accept("null"):
                raise error_at(self.token.column, f'expected "null" after "is", not {self.token}')
            return negate(missing(field)) if negated else missing(field)
        if self.accept("not"):
            return negate(self.membership(field, 'expected "in" after "not"'))
        if field.type is FieldType.BOOLEAN and not operator.is_word("in"):
            return equals(field, [True])
        return self.membership(field, f"expected a comparison after {field.name} ({_OPERATORS})")

    def membership(self, field: Field, expected: str) -> Filter:
        """A condition that may follow "not": in, between, within, or part of a text."""
        operator = self.token
        if self.accept("in"):
            return equals(field, self.values(field))
        if self.accept("between"):
            return self.between(field, operator)
        if self.accept("within"):
            return self.within(field, operator)
        if operator.kind == "word" and operator.text.lower() in TEXT_MATCHES:
            self.at += 1
            require_texts(field, operator)
            return match_text(field, operator, self.text(field))
        raise error_at(operator.column, f"{expected}, not {operator}")

    def element(self, field: Field, value: Any) -> Filter:
        """An element of a list; of colors, also with a least or greatest share."""
        sign = self.token
        if field.name != record.COLORS or sign.kind != "operator" or sign.text not in MIRRORED:
            return equals(field, [value])
        self.at += 1
        share = Field(f"the share of {value}", FieldType.FLOAT, "share")
        return has_color_share(
            field, value, order(share, sign.text, self.value(share), sign.column)
        )

    def between(self, field: Field, operator: Token) -> Filter:
        low = order(field, ">=", self.value(field), operator.column)
        if not self.accept("and"):
            raise error_at(
                self.token.column, f'expected "and" and the upper bound, not {self.token}'
            )
        return all_of([low, order(field, "<=", self.value(field), operator.column)])

    def within(self, field: Field, operator: Token) -> Filter:
        """A circle: a length with its unit, "of", a latitude and a longitude."""
        token = self.token
        number, unit = split_length(token.text)
        if unit and not is_parameter(token):  # written as one word
            self.tokens[self.at : self.at + 1] = [
                replace(token, text=number),
                replace(token, text=unit),
            ]
        meters = self.number("the distance") * meters_in(self.token)
        self.at += 1
        self.expect("of", 'expected "of" and a place')
        latitude = self.number("the latitude")
        self.expect(",", "expected a comma and the longitude")
        center = latitude, self.number("the longitude")
        return in_circle(field, operator, meters, center)

    def number(self, name: str) -> float:
        return float(self.value(Field(name, FieldType.FLOAT, "")))

    def expect(self, text: str, problem: str) -> None:
        if not self.accept(text):
            raise error_at(self.token.column, f"{problem}, not {self.token}")

    def value_comes_first(self) -> bool:
        """True if a value and an operator of order come next, as in `5 < price <= 10`."""
        token = self.token
        if token.kind == "word":
            if token.text in self.fields or not _LITERAL.match(token.text):
                return False
        elif token.kind != "string":
            return False
        return self.tokens[self.after_literal()].text in MIRRORED

    def bounds(self) -> Filter:
        """`5 < price`, or with a second bound `5 < price <= 10`."""
        first, lower = self.literal(), self.token
        self.at += 1
        field = self.field()
        parts = [order(field, MIRRORED[lower.text], self.read(field, first), lower.column)]
        upper = self.token
        if upper.kind == "operator" and upper.text in MIRRORED:
            self.at += 1
            parts.append(order(field, upper.text, self.value(field), upper.column))
        return all_of(parts)

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
        if is_parameter(self.token):
            token = self.literal()
            return [self.read(field, one) for one in self.parameters.list_of(field, token)]
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
        return self.read(field, self.literal())

    def text(self, field: Field) -> str:
        """The next literal, for an operator on texts."""
        return str(self.value(field))

    def literal(self) -> Token:
        """Steps over a literal, which is more than one token in `now - 30d`; returns it as one."""
        parts = self.tokens[self.at : self.after_literal()]
        self.at += len(parts)
        return replace(parts[0], text=" ".join(part.text for part in parts))

    def after_literal(self) -> int:
        """The place of the token after the literal that comes next."""
        at = self.at + 1
        if self.token.kind == "word" and self.token.text.lower() in ("now", "today"):
            sign = self.tokens[at]
            if sign.kind == "word" and sign.text[0] in "+-":
                at += 1
                if len(sign.text) == 1 and self.tokens[at].kind == "word":
                    at += 1
        return at

    def read(self, field: Field, token: Token) -> Any:
        """A literal or parameter as a value of the field's type."""
        if is_parameter(token):
            token = self.parameters.value_of(field, token)
        if token.is_word("null"):
            raise error_at(token.column, f"nothing equals null: write {field.name} is null")
        self.values_read += 1
        if self.values_read > MAX_VALUES:
            raise FilterError(
                f"The filter compares with more than {MAX_VALUES:,} values; ask for fewer at once."
            )
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
    if name == record.GPS:
        return f"{name} is not stored in this index: make one with --gps, or gps=True in Python"
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
