"""Counts, bytes and times as they are written on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lookalike.errors import InputError


def parse_count(text: str) -> int:
    """A number of things: 2.5k, 100M, 1B.

    Raises:
        InputError: it is not a number, or below one.
    """
    return _parse(text, {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}, "100M or 2.5k")


def parse_bytes(text: str) -> int:
    """A number of bytes: 64G, 512M, 1T are decimal, 64Gi is binary.

    Raises:
        InputError: it is not a number, or below one.
    """
    decimal = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
    binary = {f"{unit}i": 1024**power for power, unit in enumerate("kmgt", 1)}
    units = decimal | binary
    return _parse(re.sub(r"(?<=[A-Za-z])[bB]$", "", text.strip()), units, "64G or 512M")


def parse_milliseconds(text: str) -> float:
    """A time: 20ms, 0.5s; a bare number is in milliseconds.

    Raises:
        InputError: it is not a time, or not above zero.
    """
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|)", text.strip())
    if not parts or not float(parts[1]):
        raise InputError(f"{text!r} is not a valid time; write it like 20ms or 0.5s.")
    return float(parts[1]) * (1000 if parts[2] == "s" else 1)


def _parse(text: str, units: Mapping[str, int], example: str) -> int:
    parts = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)", text.strip())
    factor = units.get(parts[2].lower()) if parts else None
    number = round(float(parts[1]) * factor) if parts and factor else 0
    if number < 1:
        raise InputError(f"{text!r} is not a size above zero; write it like {example}.")
    return number
