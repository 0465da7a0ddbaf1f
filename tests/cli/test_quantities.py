"""Counts, bytes and times of the command line."""

from __future__ import annotations

import pytest

from lookalike.cli.quantities import parse_bytes, parse_count, parse_milliseconds
from lookalike.errors import InputError


@pytest.mark.parametrize(
    ("text", "number"),
    [("100M", 10**8), ("2.5k", 2500), ("7", 7), ("1b", 10**9), (" 3 m ", 3 * 10**6)],
)
def test_counts_are_read(text: str, number: int) -> None:
    assert parse_count(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("64G", 64 * 10**9), ("64GB", 64 * 10**9), ("1.5Gi", 3 * 2**29), ("2TiB", 2**41), ("9", 9)],
)
def test_bytes_are_read(text: str, number: int) -> None:
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "0", "-5", "many", "1e9", "5X", "nan", "0.1", "1,000"])
@pytest.mark.parametrize("parse", [parse_count, parse_bytes])
def test_what_is_no_size_is_one_sentence(parse: object, text: str) -> None:
    with pytest.raises(InputError, match=r"is not a size above zero; write it like .*\.$"):
        parse(text)  # type: ignore[operator]


def test_times_are_read() -> None:
    assert parse_milliseconds("20ms") == parse_milliseconds("20") == 20
    assert parse_milliseconds("0.5s") == 500
    for text in ("", "0ms", "fast", "-1ms", "3h"):
        with pytest.raises(InputError, match="is not a valid time; write it like 20ms"):
            parse_milliseconds(text)
