"""Notations of texts: numbers with separators and currencies, dates by order, words for yes and no.

A text alone may be read in two ways: "1.250" is a quarter more than one, or more than a thousand.
`columns` decides for a whole column; this module lists the readings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import chain

from lookalike.system.times import format_datetime, to_utc


class Decimal(Enum):
    """The sign before the fraction of a number."""

    POINT = "point"
    COMMA = "comma"


class DateOrder(Enum):
    """The order of day and month in dates such as 05/06/2024."""

    DAY_FIRST = "day"
    MONTH_FIRST = "month"


_ABSENT_WORDS = (
    "n/a #n/a na #na n.a. n.a k.a. - -- --- – — null (null) <null> nil none nan nat <na> ? "
    "undefined \\n #value! #ref! #div/0! 0000-00-00"
)
ABSENT = frozenset([*_ABSENT_WORDS.split(), "k. a.", "0000-00-00 00:00:00", "not available"])
"""Texts that stand for no value among numbers, dates, and yes and no; in lower case."""


def is_absent(text: str) -> bool:
    return text.casefold() in ABSENT


# --- yes and no -----------------------------------------------------------------------------

_PAIR_WORDS = (
    "true/false yes/no y/n t/f on/off ja/nein j/n oui/non o/n si/no sí/no sim/não sim/nao ja/nee "
    "ja/nej tak/nie ano/ne да/нет wahr/falsch vrai/faux vero/falso verdadero/falso "
    "in_stock/out_of_stock instock/outofstock evet/hayır igen/nem так/ні ναι/όχι "
    "نعم/لا כן/לא 是/否 はい/いいえ 예/아니요 예/아니오"
)
_PAIRS = [*(pair.split("/") for pair in _PAIR_WORDS.split()), ["in stock", "out of stock"]]
_WORDS = dict(chain.from_iterable(((yes, True), (no, False)) for yes, no in _PAIRS))


def truth_of(text: str) -> bool | None:
    """The truth value that a word or a digit stands for."""
    return {"1": True, "0": False, **_WORDS}.get(text.casefold())


def are_truths(texts: set[str]) -> bool:
    """True if all texts are the yes or the no of one language.

    "NO" alone is Norway, as "SI" is Slovenia, and "n" alone is anything.
    """
    words = {text.casefold() for text in texts}
    if all(len(text) <= 2 and text.isupper() for text in texts) and len(words) < 2:
        return False
    if len(words) < 2 and all(len(word) == 1 for word in words):
        return False
    return any(words <= set(pair) for pair in _PAIRS)


# --- numbers --------------------------------------------------------------------------------

_SYMBOLS = {
    "€": "EUR", "euro": "EUR", "$": "USD", "us$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR",
    "₽": "RUB", "₩": "KRW", "₺": "TRY", "₴": "UAH", "₫": "VND", "₪": "ILS", "฿": "THB",
    "zł": "PLN", "kč": "CZK", "ft": "HUF", "fr.": "CHF", "sfr.": "CHF", "r$": "BRL", "lei": "RON",
    "円": "JPY", "元": "CNY", "원": "KRW", "%": "%",
    "kr": "kr", "kr.": "kr", "a$": "AUD", "c$": "CAD", "ca$": "CAD", "руб.": "RUB",
}  # fmt: skip
PERCENT = "%"
"""Stands for a currency: twelve and a half percent are 12.5 of them."""
_CODES = (
    "EUR USD GBP CHF JPY CNY INR RUB KRW TRY UAH VND ILS THB PLN CZK HUF BRL RON SEK NOK DKK ISK "
    "AUD CAD NZD MXN ZAR SGD HKD TWD MYR IDR PHP AED SAR BGN HRK RSD EGP ARS CLP COP PEN"
)
_CURRENCIES: Mapping[str, str] = {**{code.casefold(): code for code in _CODES.split()}, **_SYMBOLS}
_CURRENCY = "|".join(re.escape(name) for name in sorted(_CURRENCIES, key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?P<sign>[-−]?)\s*(?:(?P<before>{_CURRENCY})\s*)?(?P<inner>[-−]?)"
    rf"(?P<body>[0-9.,'’\s]*[0-9][.,]?)(?:(?<=[.,])[-–—]+|(?<=[0-9])(?P<end>[-−]))?"
    rf"\s*(?P<after>{_CURRENCY})?",
    re.IGNORECASE,
)
_IN_PARENTHESES = re.compile(r"\(([^()-]+)\)")
"""A negative number in accounting."""
_WHOLE = r"(?:0|[1-9][0-9]*)"
_BODIES = {
    Decimal.POINT: re.compile(
        rf"(?:{_WHOLE}|[1-9][0-9]{{0,2}}(?P<group>[,'’\s])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*"
        r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3})?(?:\.[0-9]*)?"
    ),
    Decimal.COMMA: re.compile(
        rf"(?:{_WHOLE}|[1-9][0-9]{{0,2}}(?P<group>[.'’\s])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*)?"
        r"(?:,[0-9]*)?"
    ),
}
_GROUPS = {Decimal.POINT: re.compile(r"[,'’\s]"), Decimal.COMMA: re.compile(r"[.'’\s]")}


@dataclass(frozen=True, slots=True)
class Amount:
    """The readings of a text as a number.

    Attributes:
        by_decimal: the number as JSON writes it, by the decimal sign with which it can be read.
        currency: code of its currency, or `PERCENT`; empty without one.
    """

    by_decimal: Mapping[Decimal, str]
    currency: str

    @property
    def is_unclear(self) -> bool:
        """True if the two readings are different numbers."""
        return len({float(number) for number in self.by_decimal.values()}) > 1


def amount_of(text: str) -> Amount | None:
    """Reads a number with separators, a currency or a sign of its own; None for any other text."""
    negative = _IN_PARENTHESES.fullmatch(text)
    match = _AMOUNT.fullmatch(negative[1].strip() if negative else text)
    if match is None:
        return None
    sign = "-" if negative or match["sign"] or match["inner"] or match["end"] else ""
    readings = {}
    for decimal, body in _BODIES.items():
        if body.fullmatch(match["body"]):
            number = _GROUPS[decimal].sub("", match["body"]).replace(",", ".")
            readings[decimal] = sign + number
    if not readings:
        return None
    name = match["before"] or match["after"] or ""
    return Amount(readings, _CURRENCIES.get(name.casefold(), ""))


# --- dates ----------------------------------------------------------------------------------

_DATE = re.compile(
    r"(?:(?P<year>[0-9]{4})(?P<sep>[-./])(?P<month>[0-9]{1,2})(?P=sep)(?P<day>[0-9]{1,2})"
    r"|(?P<one>[0-9]{1,2})(?P<mark>[-./])(?P<two>[0-9]{1,2})(?P=mark)(?P<last>[0-9]{4}|[0-9]{2}))"
    r"(?:(?:\s*,\s*|[Tt\s]+)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<part>[0-9]{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?\s*(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_YEARS = range(1800, 2200)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_IN_WORDS = [
    re.compile(rf"(?:[a-z]{{3,9}},\s*)?{form}(?P<rest>\D.*)?", re.IGNORECASE | re.DOTALL)
    for form in (
        rf"{_DAY}(?P<sep>[\s-])\s*{_MONTH},?(?P=sep)\s*(?P<year>[0-9]{{4}})",
        rf"{_MONTH}\s+{_DAY},?\s+(?P<year>[0-9]{{4}})",
    )
]
_CHINESE = re.compile(
    r"(?P<year>[0-9]{4})年(?P<month>[0-9]{1,2})月(?P<day>[0-9]{1,2})日(?P<rest>.*)"
)


def dates_of(text: str) -> Mapping[DateOrder, str]:
    """The readings of a text as a date or a time, as RFC 3339 in UTC, by the order they assume."""
    match = _DATE.fullmatch(_in_digits(text))
    if match is None:
        return {}
    if match["year"]:
        moment = _moment(match, match["year"], match["month"], match["day"])
        return {} if moment is None else dict.fromkeys(DateOrder, moment)
    one, two, mark = match["one"], match["two"], match["mark"]
    if len(match["last"]) == 2 and (mark == "-" or (mark == "." and len(one + two) < 4)):
        return {}  # rather a version or a part number
    year = _year(match["last"])
    readings = {DateOrder.DAY_FIRST: _moment(match, year, two, one)}
    if mark != ".":
        readings[DateOrder.MONTH_FIRST] = _moment(match, year, one, two)
    return {order: moment for order, moment in readings.items() if moment is not None}


def _in_digits(text: str) -> str:
    """A date with the name of a month, or in Chinese and Japanese characters, as 2025-12-31."""
    for form in (*_IN_WORDS, _CHINESE):
        if match := form.fullmatch(text):
            month = match["month"].lower()
            number = month if month.isdigit() else _MONTHS.index(month[:3]) + 1
            return f"{match['year']}-{number}-{match['day']}{match['rest'] or ''}"
    return text


def _year(digits: str) -> str:
    """The full year; of two digits, 70 to 99 are of the last century."""
    return digits if len(digits) == 4 else ("19" if digits >= "70" else "20") + digits


def _moment(match: re.Match[str], year: str, month: str, day: str) -> str | None:
    hour = int(match["hour"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    zone = match["zone"] or "Z"
    zone = "+00:00" if zone.upper() in ("Z", "UTC", "GMT") else zone.ljust(5, "0")
    clock = f"{hour:02}:{match['minute'] or '00'}:{match['second'] or '00'}"
    part = f".{match['part'][:6]}" if match["part"] else ""
    try:
        moment = datetime.fromisoformat(
            f"{year}-{month.zfill(2)}-{day.zfill(2)}T{clock}{part}{zone}"
        )
        return format_datetime(to_utc(moment)) if moment.year in _YEARS else None
    except (ValueError, OverflowError):
        return None
