"""Times as text, and the clipping of text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lookalike.system.text import clip
from lookalike.system.times import format_datetime, now, parse_date, parse_datetime, to_utc


@pytest.mark.parametrize(
    ("offset", "timespec", "text"),
    [
        (None, "auto", "2024-05-01T10:00:00.250000Z"),
        (0, "auto", "2024-05-01T10:00:00.250000Z"),
        (0, "seconds", "2024-05-01T10:00:00Z"),
        (2, "milliseconds", "2024-05-01T10:00:00.250+02:00"),
    ],
)
def test_a_moment_keeps_its_offset_and_utc_is_z(
    offset: int | None, timespec: str, text: str
) -> None:
    zone = None if offset is None else timezone(timedelta(hours=offset))
    moment = datetime(2024, 5, 1, 10, 0, 0, 250_000, tzinfo=zone)
    assert format_datetime(moment, timespec) == text
    assert abs(parse_datetime(text) - to_utc(moment)) < timedelta(seconds=1)


def test_a_date_is_not_a_moment() -> None:
    assert str(parse_date("2024-05-01")) == "2024-05-01"
    assert parse_date("2024-05-01T10:00") is None
    with pytest.raises(ValueError, match="day"):
        parse_date("2024-02-30")


def test_now_is_now() -> None:
    assert abs(datetime.now(UTC) - parse_datetime(now("microseconds"))) < timedelta(minutes=1)


def test_a_long_text_is_cut_and_marked() -> None:
    assert clip("abcd", 4) == "abcd"
    assert clip("abcde", 4) == "abcd…"
