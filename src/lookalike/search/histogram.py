"""Histograms of a number or date field over the images that pass a filter.

    histogram(engine, price, None).bins -> (Bin(0, 20, 31), Bin(20, 40, 118), …)

Edges are round: multiples of 1, 2 or 5 x 10^n for numbers, and units of the calendar for dates,
whichever step comes nearest to the number of bins asked for.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

from lookalike.errors import QueryError
from lookalike.fields import Field, describe_type
from lookalike.protocols import Engine
from lookalike.system.times import parse_datetime
from lookalike.types import FieldType, Filter, Missing, Range, join

__all__ = ["Bin", "Histogram", "histogram"]

MAX_BINS = 1000

Amount: TypeAlias = float | datetime
"""A value of the field: an int, a float, or a moment in UTC."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The number of images whose value is at least `low` and less than `high`.

    The last bin of a histogram includes its `high` if that is the greatest value: if all values are
    equal, or if no edge above it can be written (the year 10000).
    """

    low: Amount
    high: Amount
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """The distribution of a field's values over the images that pass a filter.

    Attributes:
        field: the field's name.
        low, high: the least and the greatest value; None if no image has one.
        count: number of images with a value: the sum of the bins.
        missing: number of images without a value.
        bins: in order and without gaps; empty ones included.
    """

    field: str
    low: Amount | None
    high: Amount | None
    count: int
    missing: int
    bins: tuple[Bin, ...]


def histogram(engine: Engine, field: Field, filter: Filter | None, *, bins: int = 10) -> Histogram:
    """Counts images by their value of a field, exactly.

    Args:
        engine: holds the points.
        field: a field of whole numbers, numbers or dates.
        filter: only images that pass it count.
        bins: approximate number of bins, 1 to 1000; there are at most twice as many.

    Raises:
        QueryError: the field is of another type, or `bins` is out of range.
    """
    if field.type not in _READERS:
        raise QueryError(
            f"Field {field.name} is {describe_type(field.type)} and has no histogram: ask for its "
            "facets, or name a field of numbers or dates."
        )
    if not 1 <= bins <= MAX_BINS:
        raise QueryError(
            f"A histogram of {field.name} cannot have {bins} bins: ask for 1 to {MAX_BINS}."
        )
    missing = engine.count(join(filter, Missing(field.path)))
    ends = engine.bounds(field.path, filter)
    if ends is None:
        return Histogram(field.name, None, None, 0, missing, ())
    low, high = map(_READERS[field.type], ends)
    edges = _edges(low, high, bins)
    counts = []
    for index, (start, end) in enumerate(pairwise(edges)):
        # Nothing lies above the last bin, and the engine may not be able to represent its end.
        until = end if index < len(edges) - 2 else None
        count = engine.count(join(filter, Range(field.path, gte=start, lt=until)))
        counts.append(Bin(start, end, count))
    total = sum(bin.count for bin in counts)
    return Histogram(field.name, low, high, total, missing, tuple(counts))


_READERS: Mapping[FieldType, Callable[[Any], Amount]] = {
    FieldType.INTEGER: int,
    FieldType.FLOAT: float,
    FieldType.DATETIME: parse_datetime,
}


# --- edges ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ruler:
    """Numbered marks at even steps.

    Attributes:
        below: returns the number of the last mark that is not above a value.
        at: returns the value of a mark, or the nearest one that can be represented.
    """

    below: Callable[[Any], int]
    at: Callable[[int], Amount]


def _edges(low: Any, high: Any, bins: int) -> list[Amount]:
    """At least two edges: the first is not above `low`, the last not below `high`."""
    rulers = list(_rulers(low, high, bins))
    counts = [ruler.below(high) - ruler.below(low) + 1 for ruler in rulers]
    _, best = min(
        (abs(math.log(count / bins)), index)
        for index, count in enumerate(counts)
        if count <= 2 * bins
    )
    ruler = rulers[best]
    last = ruler.below(high)
    # If values differ only in their last digits, several marks are the same number.
    starts = sorted({ruler.at(mark) for mark in range(ruler.below(low), last + 1)})
    return [*starts, max(ruler.at(last + 1), high)]


def _rulers(low: Any, high: Any, bins: int) -> Iterator[_Ruler]:
    """Rulers of many steps; the widest makes one bin, or two if it has a mark in between."""
    if low == high:
        yield _Ruler(
            lambda value: 0, lambda mark: _representable(low) if isinstance(low, int) else low
        )
    elif isinstance(low, datetime):
        yield from map(_time_ruler, _TIMES)
        yield from map(_month_ruler, _MONTHS)
    else:
        step = (_exact(high) - _exact(low)) / bins
        power = math.floor(math.log10(step.numerator) - math.log10(step.denominator))
        whole = isinstance(low, int)
        if whole:
            power = max(power, 1)
        for exponent in range(power - 1, power + 3):
            for digit in (1, 2, 5):
                yield _number_ruler(digit * Fraction(10) ** exponent, whole)


# --- numbers --------------------------------------------------------------------------------


def _number_ruler(step: Fraction, whole: bool) -> _Ruler:
    if whole:
        return _Ruler(
            lambda value: value // int(step), lambda mark: _representable(mark * int(step))
        )
    return _Ruler(lambda value: _exact(value) // step, lambda mark: _float(mark * step))


def _exact(value: float) -> Fraction:
    """The number as written: 0.3 is three tenths, not the double that is a bit less."""
    return Fraction(repr(value))


def _float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -sys.float_info.max


def _representable(value: int) -> int:
    """The greatest whole number up to `value` that a float can represent. Engines take bounds as
    floats; beyond 2^53 a bound rounded up would lose values."""
    nearest = float(value)
    return int(nearest) if nearest <= value else int(math.nextafter(nearest, -math.inf))


# --- dates ----------------------------------------------------------------------------------

_FIRST = datetime.min.replace(tzinfo=UTC)
"""A Monday: weeks counted from it start as in ISO 8601."""
_LAST = datetime.max.replace(tzinfo=UTC)

_TIMES = (
    *(timedelta(microseconds=digit * 10**n) for n in range(6) for digit in (1, 2, 5)),
    *(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 15, 30)),
    *(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    timedelta(days=1),
    timedelta(weeks=1),
)
_MONTHS = (1, 3, *(12 * digit * 10**n for n in range(4) for digit in (1, 2, 5)), 120_000)


def _time_ruler(step: timedelta) -> _Ruler:
    def at(mark: int) -> datetime:
        try:
            return _FIRST + mark * step
        except OverflowError:
            return _LAST

    return _Ruler(lambda value: (value - _FIRST) // step, at)


def _month_ruler(step: int) -> _Ruler:
    def at(mark: int) -> datetime:
        year, month = divmod(mark * step, 12)
        if year < _FIRST.year:
            return _FIRST
        return datetime(year, month + 1, 1, tzinfo=UTC) if year <= _LAST.year else _LAST

    return _Ruler(lambda value: (12 * value.year + value.month - 1) // step, at)
