"""Dates and times as text: reading ISO 8601, writing RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

DATE_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK_PATTERN = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
DATETIME_PATTERN = rf"{DATE_PATTERN}(?:[Tt ]{_CLOCK_PATTERN}(?:[Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})?)?"
"""Regular expressions for the dates and times that `parse_date` and `parse_datetime` read."""

_DATE = re.compile(DATE_PATTERN)
_DATETIME = re.compile(DATETIME_PATTERN)


def parse_date(text: str) -> date | None:
    """Returns the day that `text` names, or None if it is not a date without a time.

    Raises:
        ValueError: the calendar has no such day.
    """
    return date.fromisoformat(text) if _DATE.fullmatch(text) else None


def parse_datetime(text: str) -> datetime:
    """Reads an ISO 8601 date or date-time; without an offset it is in UTC.

    Returns:
        The moment in UTC.

    Raises:
        ValueError, OverflowError: the text is not a date-time in the years 1 to 9999.
    """
    if not _DATETIME.fullmatch(text):
        raise ValueError(text)
    return to_utc(datetime.fromisoformat(text.upper()))


def to_utc(moment: datetime) -> datetime:
    """Converts a moment to UTC; without an offset it is in UTC already."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_datetime(moment: datetime, timespec: str = "auto") -> str:
    """Writes a moment as RFC 3339, such as "2024-05-01T00:00:00Z", with its own offset.

    Args:
        moment: without an offset it is in UTC.
        timespec: precision, as for `datetime.isoformat`.
    """
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    text = moment.isoformat(timespec=timespec)
    return f"{text.removesuffix('+00:00')}Z" if text.endswith("+00:00") else text


def now(timespec: str = "seconds") -> str:
    """The present moment as RFC 3339 in UTC."""
    return format_datetime(datetime.now(UTC), timespec)
