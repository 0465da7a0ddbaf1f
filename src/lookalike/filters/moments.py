"""Moments and periods of the `where` language: dates, months, years, `now` and `today`."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lookalike.system.times import parse_date, parse_datetime

_PERIOD = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2}))?")
_RELATIVE = re.compile(
    r"(?P<start>now|today)(?:\s*(?P<sign>[+-])\s*(?P<count>[0-9]{1,6})(?P<unit>min|mo|[hdwy]))?",
    re.IGNORECASE,
)
_FIXED = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_MONTHS = {"mo": 1, "y": 12}
_LAST = datetime.max.replace(tzinfo=UTC)

UNITS = "min, h, d, w, mo or y"
"""Units of a duration, for error messages."""


@dataclass(frozen=True, slots=True)
class Span:
    """A moment; or a day, month or year, from `start` to before `end`."""

    start: datetime
    end: datetime | None


def read_span(text: str) -> Span:
    """Reads a moment or period: a date, a date-time, `2024`, `2024-05`, `today`, `now - 30d`.

    Raises:
        ValueError, OverflowError: the text is none of these, or lies outside the years 1 to 9999.
    """
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return _relative(relative)
    period = _PERIOD.fullmatch(text)
    if period:
        return _period(int(period["year"]), period["month"])
    start = parse_datetime(text)
    return Span(start, None) if parse_date(text) is None else _day(start)


def _day(start: datetime) -> Span:
    return Span(start, start + min(timedelta(days=1), _LAST - start))  # no day follows 9999-12-31


def _period(year: int, month: str | None) -> Span:
    start = datetime(year, int(month or 1), 1, tzinfo=UTC)
    months = 1 if month else 12
    is_last = year == _LAST.year and start.month + months > 12
    return Span(start, _LAST if is_last else _add_months(start, months))


def _relative(match: re.Match[str]) -> Span:
    moment = datetime.now(UTC)
    is_day = match["start"].lower() == "today"
    if is_day:
        moment = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if match["unit"]:
        count = int(match["count"]) * (-1 if match["sign"] == "-" else 1)
        unit = match["unit"].lower()
        if unit in _MONTHS:
            moment = _add_months(moment, count * _MONTHS[unit])
        else:
            moment += count * _FIXED[unit]
    return _day(moment) if is_day else Span(moment, None)


def _add_months(moment: datetime, count: int) -> datetime:
    """The same day so many months later; the last of a month that is too short for it."""
    years, month = divmod(moment.month - 1 + count, 12)
    year = moment.year + years
    if not 1 <= year <= _LAST.year:
        raise OverflowError(year)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
