"""Columns of a metadata file: the type of their values, and the notation in which to read them.

The notation is decided for a whole column, from all of its values, and never guessed: where the
values leave it open, they stay text and the column has a note.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lookalike.errors import InputError
from lookalike.fields import (
    FITTING_SHARE,
    TEXTS,
    Value,
    choose_type,
    is_missing,
    parse_value,
    quoted,
)
from lookalike.metadata.notation import (
    PERCENT,
    Amount,
    DateOrder,
    Decimal,
    amount_of,
    are_truths,
    dates_of,
    is_absent,
    truth_of,
)
from lookalike.types import FieldType

T = TypeVar("T")

MAX_WORDS = 20
"""Different texts of a column that are kept, to see whether they are all yes or no."""

_CODE = re.compile(r"-?0[0-9]+|\+[0-9]+|-?[0-9]+[eE][0-9]+|-?[0-9]{19,}")
"""Article numbers and the like, which numbers would spoil: 007, +49, 1E5, twenty digits."""


class Evidence:
    """The values of one column, as far as they tell its type and its notation.

    Attributes:
        kinds: number of values of each kind; None for those that no field can hold.
        absent: number of values such as "N/A", which `kinds` does not count.
        numbers: number of texts that are numbers in any notation.
        decimals: number of those that fit one decimal sign alone.
        unclear: number of those that are two different numbers, by the sign in them.
        floats, fractions: number of values with a decimal sign, and of those that are not whole.
        currencies: the currencies of the numbers.
        percents: number of percentages.
        codes: number of article numbers and the like.
        dates: number of dates in other notations than ISO 8601.
        orders: number of those that fit one order alone; None counts those that fit both.
        words: the different texts, up to `MAX_WORDS`.
        examples: the first value of some kinds.
    """

    def __init__(self) -> None:
        self.kinds: Counter[FieldType | None] = Counter()
        self.absent = self.numbers = self.codes = self.dates = 0
        self.decimals: Counter[Decimal] = Counter()
        self.unclear: Counter[str] = Counter()
        self.floats: Counter[Decimal] = Counter()
        self.fractions: Counter[Decimal] = Counter()
        self.currencies: set[str] = set()
        self.percents = 0
        self.orders: Counter[DateOrder | None] = Counter()
        self.words: set[str] = set()
        self.examples: dict[str, str] = {}

    @property
    def total(self) -> int:
        return self.kinds.total()

    @property
    def is_mixed(self) -> bool:
        """True if the numbers are of different currencies, or only some of them percentages."""
        return len(self.currencies) > 1 or 0 < self.percents < self.numbers

    @property
    def enough(self) -> float:
        """The number of values that must fit a type."""
        return max(FITTING_SHARE * self.total, 1)

    def add(self, value: Any, kind: FieldType | None) -> None:
        """Adds a value that is not missing."""
        if isinstance(value, str):
            text = value.strip()
            if is_absent(text):
                self.absent += 1
                return
            if len(self.words) < MAX_WORDS:
                self.words.add(text)
            self._add_text(text, kind)
        elif isinstance(value, float) and not value.is_integer():
            self.fractions.update(Decimal)
        self.kinds[kind] += 1

    def _add_text(self, text: str, kind: FieldType | None) -> None:
        if kind is FieldType.INTEGER:
            self.numbers += 1
        elif _CODE.fullmatch(text):
            self.codes += 1
            self.examples.setdefault("code", text)
        elif amount := amount_of(text):
            self._add_amount(text, amount)
        elif kind is FieldType.FLOAT:  # with an exponent
            self.numbers += 1
            self.floats[Decimal.POINT] += 1
            self.fractions[Decimal.POINT] += 1
        elif kind is FieldType.KEYWORD and (dates := dates_of(text)):
            self._add_date(text, dates)

    def _add_amount(self, text: str, amount: Amount) -> None:
        self.numbers += 1
        self.examples.setdefault("number", text)
        if amount.currency:
            self.currencies.add(amount.currency)
            self.percents += amount.currency == PERCENT
        if amount.is_unclear:
            self.unclear["," if "," in text else "."] += 1
            self.examples.setdefault("unclear number", text)
        elif len(amount.by_decimal) == 1:
            self.decimals.update(list(amount.by_decimal))
        for decimal, number in amount.by_decimal.items():
            self.floats[decimal] += "." in number
            self.fractions[decimal] += not float(number).is_integer()

    def _add_date(self, text: str, dates: Mapping[DateOrder, str]) -> None:
        self.dates += 1
        if len(dates) == 1:
            self.orders.update(list(dates))
        elif len(set(dates.values())) > 1:
            self.orders[None] += 1
            self.examples.setdefault("unclear date", text)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that becomes a field.

    Attributes:
        type: type of the field.
        decimal: the decimal sign of its texts; None reads only texts that are clear by themselves.
        order: the order of day and month in its dates; None likewise.
        note: a sentence about what the user should know; empty if there is nothing.
    """

    type: FieldType
    decimal: Decimal | None = Decimal.POINT
    order: DateOrder | None = None
    note: str = ""

    def parse(self, value: Any) -> Value | None:
        """Reads a value; None for none.

        Raises:
            InputError: it does not fit the type.
        """
        if isinstance(value, str) and self.type not in TEXTS:
            value = value.strip()
            value = None if is_absent(value) else self._plain(value)
        if is_missing(value):
            return None
        parsed = parse_value(self.type, value)
        return None if is_missing(parsed) else parsed

    def _plain(self, text: str) -> Any:
        """The value in the notation that `parse_value` reads; other texts as they are."""
        if self.type is FieldType.BOOLEAN:
            truth = truth_of(text)
            return text if truth is None else truth
        if self.type is FieldType.DATETIME:
            return self._date(text, dates_of(text))
        amount = amount_of(text)
        return text if amount is None else self._number(text, amount)

    def _number(self, text: str, amount: Amount) -> str:
        if self.decimal is not None and self.decimal in amount.by_decimal:
            return amount.by_decimal[self.decimal]
        if self.decimal is not None:
            raise InputError(f"{quoted(text)} has no decimal {self.decimal.value}")
        if amount.is_unclear:
            raise InputError(
                f"{quoted(text)} can be read in two ways: use --decimal comma or --decimal point"
            )
        return next(iter(amount.by_decimal.values()))

    def _date(self, text: str, dates: Mapping[DateOrder, str]) -> str:
        if self.order is not None and self.order in dates:
            return dates[self.order]
        if len(set(dates.values())) > 1:
            raise InputError(
                f"{quoted(text)} may begin with the day or the month: write it as 2024-05-31"
            )
        return next(iter(dates.values()), text) if self.order is None else text


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules by which the columns of a file become fields.

    Attributes:
        known: types of the index's fields.
        declared: types that the user declares. They override `known`, and both override inference.
        decimal: the decimal sign that the user declares for columns whose values leave it open.
        texts: whether the file knows texts alone, as CSV does, so that a text may be a number.
    """

    known: Mapping[str, FieldType]
    declared: Mapping[str, FieldType]
    decimal: Decimal | None
    texts: bool

    def decide(self, columns: Mapping[str, Evidence]) -> dict[str, Column | None]:
        """Decides about all columns with values; None for one that no field can hold."""
        usual = _only(sign for evidence in columns.values() for sign in evidence.decimals)
        return {
            name: self._decide(name, evidence, usual)
            for name, evidence in columns.items()
            if evidence.total or (evidence.absent and name in {**self.known, **self.declared})
        }

    def _decide(self, name: str, evidence: Evidence, usual: Decimal | None) -> Column | None:
        draft = Column(
            FieldType.KEYWORD, self._decimal(evidence, usual), _majority(_clear(evidence.orders))
        )
        inferred = _inferred(evidence, draft) if self.texts else choose_type(evidence.kinds)
        type = self.declared.get(name) or self.known.get(name) or inferred
        if type is None:
            return None
        if name in self.declared:
            return replace(draft, type=type)
        if type is FieldType.INTEGER and _has_fractions(evidence, draft):
            type = FieldType.FLOAT
        column = replace(draft, type=type)
        return replace(column, note=_note(name, evidence, column, usual or self.decimal))

    def _decimal(self, evidence: Evidence, usual: Decimal | None) -> Decimal | None:
        """The decimal sign of a column; its own values come first."""
        if evidence.decimals:
            return _majority(evidence.decimals) or self.decimal
        if not evidence.unclear or self.decimal or usual:
            return self.decimal or usual or Decimal.POINT
        # "1.250" is JSON's notation; with a currency or as "1,250", a thousand is as likely.
        plain = not evidence.unclear[","] and not evidence.currencies
        return Decimal.POINT if plain else None


def _inferred(evidence: Evidence, draft: Column) -> FieldType | None:
    """The type of a column of texts."""
    kinds, enough = evidence.kinds, evidence.enough
    if evidence.codes and evidence.codes + evidence.numbers >= enough:
        return FieldType.KEYWORD
    if evidence.numbers >= enough:
        if draft.decimal is None or evidence.is_mixed:
            return FieldType.KEYWORD
        is_float = evidence.floats[draft.decimal] or evidence.currencies
        return FieldType.FLOAT if is_float else FieldType.INTEGER
    if evidence.dates and evidence.dates + kinds[FieldType.DATETIME] >= enough:
        is_clear = draft.order or not evidence.orders
        return FieldType.DATETIME if is_clear else FieldType.KEYWORD
    return FieldType.BOOLEAN if are_truths(evidence.words) else choose_type(kinds)


def _has_fractions(evidence: Evidence, column: Column) -> bool:
    fractions = evidence.fractions
    return bool(fractions[column.decimal] if column.decimal else fractions.total())


def _note(name: str, evidence: Evidence, column: Column, decimal: Decimal | None) -> str:
    """A note on a column whose type may not be the one that the user expects."""
    if column.type in (FieldType.FLOAT, FieldType.INTEGER):
        if decimal or evidence.decimals or evidence.unclear["."] < 2:
            return ""
        unclear = quoted(evidence.examples["unclear number"])
        return f"{unclear} is read with a decimal point: if it means thousands, use --decimal comma"
    if column.type is not FieldType.KEYWORD:
        return ""
    notation = evidence.decimals or evidence.unclear or evidence.currencies
    if evidence.codes + evidence.numbers >= evidence.enough and notation:
        return f"looks like numbers but is text{_why_text(name, evidence, column)}"
    if evidence.dates and evidence.dates + evidence.kinds[FieldType.DATETIME] >= evidence.enough:
        if column.order is None and evidence.orders:
            example = quoted(evidence.examples.get("unclear date", "05/31/2024"))
            return (
                f"looks like dates but is text: {example} may begin with the day or the month; "
                "write dates as 2024-05-31"
            )
        return f"looks like dates but is text: declare it with --field {name}=datetime"
    return ""


def _why_text(name: str, evidence: Evidence, column: Column) -> str:
    remedy = f"declare it with --field {name}=float"
    if evidence.codes:
        return f", as {quoted(evidence.examples['code'])} is a code: {remedy}"
    if len(evidence.currencies) > 1:
        return f", as it mixes {', '.join(sorted(evidence.currencies))}: {remedy}"
    if evidence.is_mixed:
        return f", as it mixes percentages with other numbers: {remedy}"
    if column.decimal is None:
        example = quoted(evidence.examples.get("unclear number") or evidence.examples["number"])
        return (
            f": declare it with --field {name}=float or --decimal comma, as {example} leaves open "
            "which sign is the decimal one"
        )
    return f": {remedy}"


def _clear(orders: Counter[DateOrder | None]) -> Counter[DateOrder]:
    return Counter({order: count for order, count in orders.items() if order is not None})


def _majority(counts: Counter[T]) -> T | None:
    """The one that nearly all agree on."""
    for value, count in counts.most_common(1):
        if count >= FITTING_SHARE * counts.total():
            return value
    return None


def _only(values: Iterable[Decimal]) -> Decimal | None:
    different = set(values)
    return different.pop() if len(different) == 1 else None
