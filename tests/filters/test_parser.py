"""The `where` language: its meaning, compared with Python's own, and its errors."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import FilterError
from lookalike.fields import fields_of
from lookalike.filters.parser import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, parse
from lookalike.system.times import format_datetime, parse_datetime
from lookalike.types import (
    All,
    AnyElement,
    AnyOf,
    AnyOfValues,
    Distance,
    FieldType,
    Filter,
    HasId,
    HasVector,
    Missing,
    Not,
    Point,
    Range,
    TextMatch,
    VectorSpec,
    WithinRadius,
)

FIELDS = fields_of(
    {
        "n": FieldType.INTEGER,
        "price": FieldType.FLOAT,
        "in_stock": FieldType.BOOLEAN,
        "at": FieldType.DATETIME,
        "brand": FieldType.KEYWORD,
        "tags": FieldType.KEYWORDS,
        "about": FieldType.TEXT,
        "my key": FieldType.KEYWORD,
        "not": FieldType.BOOLEAN,
        "2024": FieldType.INTEGER,
        "a`b": FieldType.INTEGER,
    },
    gps=True,
)
DAY = datetime(2024, 5, 1, tzinfo=UTC)
NEXT_DAY = datetime(2024, 5, 2, tzinfo=UTC)
YEAR, APRIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC)


def circle(latitude: float, longitude: float, meters: float) -> WithinRadius:
    return WithinRadius("image.gps", latitude, longitude, meters)


IN_STOCK = AnyOfValues("in_stock", (True,))
PARAMETERS = {
    "max": 10, "name": 'O"Neill', "several": ["a", "b"], "when": DAY, "day": DAY.date(),
    "yes": True, "text": "7", "lon": 2.5, "dam": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price < 100", Range("price", lt=100)),
        ('about matches "linen summer"', TextMatch("about", "linen summer", "words")),
        ('about not contains "wool"', Not(TextMatch("about", "wool", "substring"))),
        ('about in ("a ", "b")', AnyOfValues("about", ("a", "b"))),
        ("about matches :text", TextMatch("about", "7", "words")),
        ("image.gps within 2 km of 48.8584, 2.2945", circle(48.8584, 2.2945, 2_000)),
        ("image.gps WITHIN 2.5KM OF -33.86 , 151.21", circle(-33.86, 151.21, 2_500)),
        ("image.gps within 300 m of 90,-180", circle(90, -180, 300)),
        ("image.gps not within 1 mi of 0,0", Not(circle(0, 0, 1_609.344))),
        ("image.gps within :max km of :max, :lon", circle(10, 2.5, 10_000)),
        ("image.gps within :dam m of 0, 0 and in_stock", All((circle(0, 0, 7), IN_STOCK))),
        ("image.gps is not null", Not(Missing("image.gps"))),
        ("price<=-5", Range("price", lte=-5)),
        ("price > 1e3", Range("price", gt=1000)),
        ("price >= .5", Range("price", gte=0.5)),
        ("price = 9.5", Range("price", gte=9.5, lte=9.5)),
        ("price in (1, 2)", AnyOf((Range("price", gte=1, lte=1), Range("price", gte=2, lte=2)))),
        ("n = 5", AnyOfValues("n", (5,))),
        ("n == 5.0", AnyOfValues("n", (5,))),
        ("n = 2.5", AnyOf(())),
        ("n < 2.5", Range("n", lt=2.5)),
        ("n in (1, 2.5, 3, 1)", AnyOfValues("n", (1, 3))),
        ("n = 99999999999999999999", AnyOf(())),
        ("2024 = 5", AnyOfValues("2024", (5,))),
        ("`a``b` = 5", AnyOfValues('"a`b"', (5,))),
        ("in_stock", IN_STOCK),
        ("in_stock = FALSE", AnyOfValues("in_stock", (False,))),
        ("in_stock in (true, false)", AnyOf((IN_STOCK, AnyOfValues("in_stock", (False,))))),
        ("`not`", AnyOfValues("not", (True,))),
        ('brand = "Acme"', AnyOfValues("brand", ("Acme",))),
        (r"brand = 'it\'s \\ \"'", AnyOfValues("brand", ("it's \\ \"",))),
        ('brand <> "Acme"', Not(AnyOfValues("brand", ("Acme",)))),
        ('brand not in ("a", "b")', Not(AnyOfValues("brand", ("a", "b")))),
        ('`my key` = "x"', AnyOfValues('"my key"', ("x",))),
        ('tags has "a"', AnyOfValues("tags", ("a",))),
        ('tags = "a"', AnyOfValues("tags", ("a",))),
        ('image.colors HAS "blue"', AnyOfValues("image.colors[].name", ("blue",))),
        ('image.colors has " Gray"', AnyOfValues("image.colors[].name", ("grey",))),
        ('image.colors has "navy blue"', AnyOfValues("image.colors[].terms", ("navy",))),
        ('image.main_color = "greys"', AnyOfValues("image.colors[0].name", ("grey",))),
        (
            'image.main_color in ("red", "navy")',
            AnyOf(
                (
                    AnyOfValues("image.colors[0].name", ("red",)),
                    AnyOfValues("image.colors[0].terms", ("navy",)),
                )
            ),
        ),
        (
            'image.colors has "blue" >= 0.3',
            AnyElement(
                "image.colors", All((AnyOfValues("name", ("blue",)), Range("share", gte=0.3)))
            ),
        ),
        (
            'image.colors has "navy" < .5 and in_stock',
            All(
                (
                    AnyElement(
                        "image.colors",
                        All((AnyOfValues("terms", ("navy",)), Range("share", lt=0.5))),
                    ),
                    IN_STOCK,
                )
            ),
        ),
        ("brand is null", Missing("brand")),
        ("brand IS NOT NULL", Not(Missing("brand"))),
        ('image.id = "x"', HasId(("x",))),
        ('image.id not in ("x", "y")', Not(HasId(("x", "y")))),
        ("image.id is null", AnyOf(())),
        ("at = 2024-05-01", Range("at", gte=DAY, lt=NEXT_DAY)),
        ("at < 2024-05-01", Range("at", lt=DAY)),
        ("at <= 2024-05-01", Range("at", lt=NEXT_DAY)),
        ("at > 2024-05-01", Range("at", gte=NEXT_DAY)),
        ("at >= '2024-05-01'", Range("at", gte=DAY)),
        ("at > 2024-05-01T02:00:00+02:00", Range("at", gt=DAY)),
        ('at = "2024-05-01 00:00"', Range("at", gte=DAY, lte=DAY)),
        ("at = 2024", Range("at", gte=YEAR, lt=datetime(2025, 1, 1, tzinfo=UTC))),
        ("at = 2024-05", Range("at", gte=DAY, lt=datetime(2024, 6, 1, tzinfo=UTC))),
        ("at > '2024-04'", Range("at", gte=DAY)),
        ("at <= 2023-12", Range("at", lt=YEAR)),
        ("at between 2024-04 and 2024-04-30", Range("at", gte=APRIL, lt=DAY)),
        ("price between 5 and 10", Range("price", gte=5, lte=10)),
        ("price not between 5 and 10", Not(Range("price", gte=5, lte=10))),
        ("5 < price <= 10", Range("price", gt=5, lte=10)),
        ("10 >= price > -5", Range("price", gt=-5, lte=10)),
        ("5 < price", Range("price", gt=5)),
        ("'2024-04' <= at < 2024-05", Range("at", gte=APRIL, lt=DAY)),
        ("2024 < 5", Range("2024", lt=5)),
        ("price > 5 and (in_stock and price < 10)", All((Range("price", gt=5, lt=10), IN_STOCK))),
        ("price > 5 and price > 7", All((Range("price", gt=5), Range("price", gt=7)))),
        ('brand contains "cm"', TextMatch("brand", "cm", "substring")),
        ('brand STARTSWITH "Ac"', TextMatch("brand", "Ac", "prefix")),
        ('tags not matches "red  Dress"', Not(TextMatch("tags", "red  Dress", "words"))),
        ('brand = " Acme\n"', AnyOfValues("brand", ("Acme",))),
        ('brand ~= "acme"', AnyOfValues("brand", ("ACME", "Acme"))),
        ('brand~="ACME "', AnyOfValues("brand", ("ACME", "Acme"))),
        ('tags ~= "none"', AnyOfValues("tags", ("none",))),
        ('image.folder = "/a b"', TextMatch("image.uri", "/a b/", "prefix")),
        (
            'image.folder in ("/a/", "b")',
            AnyOf(
                (
                    TextMatch("image.uri", "/a/", "prefix"),
                    TextMatch("image.uri", "/b/", "substring"),
                )
            ),
        ),
        ('image.folder startswith "/a"', TextMatch("image.uri", "/a", "prefix")),
        ("image.modified_at = 2024-04", Range("image.modified_at", gte=APRIL, lt=DAY)),
        ("price < :max", Range("price", lt=10)),
        ("5 < price <= :max", Range("price", gt=5, lte=10)),
        (":max > price", Range("price", lt=10)),
        ("brand = :max", AnyOfValues("brand", ("10",))),
        ("brand = :name", AnyOfValues("brand", ('O"Neill',))),
        ("brand in :several", AnyOfValues("brand", ("a", "b"))),
        ("brand in (:name, 'x')", AnyOfValues("brand", ('O"Neill', "x"))),
        ("brand contains :name", TextMatch("brand", 'O"Neill', "substring")),
        ("at < :when", Range("at", lt=DAY)),
        ("at = :day", Range("at", gte=DAY, lt=NEXT_DAY)),
        ("in_stock = :yes", IN_STOCK),
        ("n = :text", AnyOfValues("n", (7,))),
        ("not not in_stock", IN_STOCK),
        ("((in_stock))", IN_STOCK),
        (
            "in_stock and (n = 1 and n = 2)",
            All((IN_STOCK, AnyOfValues("n", (1,)), AnyOfValues("n", (2,)))),
        ),
        (
            "n = 1 or not n = 2 and in_stock",
            AnyOf((AnyOfValues("n", (1,)), All((Not(AnyOfValues("n", (2,))), IN_STOCK)))),
        ),
    ],
)
def test_means(text: str, expected: Filter) -> None:
    used = {name: value for name, value in PARAMETERS.items() if f":{name}" in text}
    spellings = {"brand": ["ACME", "Acme", "Acmes"]}
    assert parse(text, FIELDS, used, lambda field: spellings.get(field.name, [])) == expected


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("at >= now", timedelta()),
        ("at >= now - 30d", timedelta(days=30)),
        ("at >= NOW -30d", timedelta(days=30)),
        ("at >= 'now-12h'", timedelta(hours=12)),
        ("now - 2w <= at", timedelta(weeks=2)),
        ("at >= now + 90min", -timedelta(minutes=90)),
    ],
)
def test_relative_moments(text: str, ago: timedelta) -> None:
    before = datetime.now(UTC)
    found = parse(text, FIELDS)
    assert isinstance(found, Range)
    assert isinstance(found.gte, datetime)
    assert before <= found.gte + ago <= datetime.now(UTC)


def test_relative_days_months_and_years() -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = today - timedelta(days=1)
    assert parse("at = today - 1d", FIELDS) == Range("at", gte=yesterday, lt=today)
    year = parse("at >= today - 12mo", FIELDS)
    assert year == parse("at >= today - 1y", FIELDS)
    assert isinstance(year, Range)
    assert isinstance(year.gte, datetime)
    assert year.gte.year == today.year - 1


def test_the_last_day_there_is() -> None:
    assert _holds(parse("at <= 9999-12-31", FIELDS), {"at": "9999-12-31T12:00:00Z"})


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "empty"),
        ("  ", 1, "empty"),
        (
            "prise < 5",
            1,
            'unknown field "prise"; did you mean "price"\\? Fields: .*brand.*image.id',
        ),
        ("width < 5", 1, 'did you mean "image.width"'),
        ('id = "x"', 1, 'did you mean "image.id"'),
        ('n = 1 and Brand = "x"', 11, 'did you mean "brand"'),
        ('price < "abc"', 9, r'price is a number \(float\), and the text "abc" is not'),
        ("price < cheap", 9, 'price is a number .* and "cheap" is not'),
        ("price < 1e999", 9, "is not"),
        ("n = true", 5, "n is a whole number"),
        ("in_stock = 1", 12, r"in_stock is true or false \(boolean\)"),
        ("brand = 5", 9, 'brand is a text .* straight quotes, "5"'),
        ("brand = Acme", 9, 'straight quotes, "Acme"'),
        ("brand = “Acme”", 9, 'straight quotes, "Acme"'),
        ("at > yesterday", 6, "at is a date or time such as 2024-05-01"),
        ("at = 2024-02-30", 6, '"2024-02-30" is not'),
        ("at = 0001-01-01T00:00:00+05:00", 6, "is not"),
        ('brand < "x"', 7, "no order: use"),
        ("in_stock > true", 10, "no order"),
        ('brand has "x"', 7, '"has" is for lists'),
        ("brand = null", 9, "brand is null"),
        ("brand", 6, "expected a comparison after brand .* not the end"),
        ('brand like "x"', 7, 'expected a comparison .* not "like"'),
        ("brand in", 9, "expected"),
        ('image.colors has "nvay"', 18, "is not the name of a color: did you mean navy"),
        ('image.main_color = "multicolor"', 20, "is not the name of a color"),
        ('image.colors has "blue" >= "much"', 28, "the share of blue is a number"),
        ('tags has "blue" >= 0.3', 17, "expected and, or"),
        ('price contains "5"', 7, "contains is for texts, and price is a number"),
        ("n ~= 5", 3, "~= is for texts"),
        ('tags matches "?!"', 6, "needs a word"),
        ('image.id ~= "x"', 10, "has no ~="),
        ('image.folder contains "x"', 14, "write it for image.uri"),
        ('brand between "a" and "b"', 7, "no order"),
        ("price between 5", 16, 'expected "and" and the upper bound'),
        ("5 < brand", 1, "brand is a text"),
        ("5 < prise", 5, 'did you mean "price"'),
        ("5 = price", 1, "unknown field"),
        ("at > now - 30", 6, "write it as now - 30d"),
        ("at = 2024-13", 6, "is not"),
        ("at > now - 9999y", 6, "is not"),
        ("price < :max", 9, 'the parameter ":max" has no value; give it in params'),
        ("brand in ()", 11, "expected a value for brand"),
        ('brand in ("a" "b")', 15, 'expected "," or "\\)"'),
        ("brand not null", 11, 'expected "in"'),
        ("brand is 5", 10, 'expected "null"'),
        ("in_stock and", 13, "expected a field, not the end"),
        ('about ~= "x"', 7, r"about is a long text \(text\), which has no ~=: use matches"),
        ('about < "x"', 7, "no order"),
        ('about has "x"', 7, '"has" is for lists'),
        ("about matches linen", 15, 'straight quotes, "linen"'),
        ("image.gps = 5", 13, r"image.gps is a place \(geo\): write image.gps within 2 km of 48"),
        ("image.gps in (1, 2)", 15, "write image.gps within"),
        ("image.gps contains '5'", 11, "contains is for texts"),
        ("image.gps", 10, "expected a comparison .* within"),
        ("price within 2 km of 0, 0", 7, "within is for places, and price is a number"),
        ("image.gps within 2 of 0, 0", 20, 'expected a unit, m, km, mi, not "of"'),
        ("image.gps within 2", 19, "expected a unit, m, km, mi, not the end"),
        ("image.gps within 2 furlongs of 0, 0", 20, "expected a unit"),
        ("image.gps within far of 0, 0", 18, 'the distance is a number .* "far" is not'),
        ("image.gps within 2 km 0, 0", 23, 'expected "of" and a place, not "0"'),
        ("image.gps within 2 km of 0 0", 28, "expected a comma and the longitude"),
        ("image.gps within 2 km of north, 0", 26, "the latitude is a number"),
        ("image.gps within 2 km of 91, 0", 11, "no place at 91.0, 0.0: write the latitude"),
        ("image.gps within 2 km of 0, -181", 11, "no place at"),
        ("image.gps within -1 km of 0, 0", 11, "from 0 to 20,000 km"),
        ("image.gps within 20001km of 0, 0", 11, "from 0 to 20,000 km"),
        ("and in_stock", 1, "write a field of that name as `"),
        ('"brand" = 5', 1, "expected a field"),
        ("in_stock in_stock", 10, "expected and, or, or the end"),
        ("in_stock && n = 1", 10, 'write "and"'),
        ("in_stock | n = 1", 10, 'write "or"'),
        ("!in_stock", 1, 'write "not"'),
        ("(in_stock", 10, "opened at column 1"),
        ("in_stock)", 9, "not understood"),
        ('brand = "x', 9, 'quote " that opens here is never closed'),
        ("`my key = 5", 1, "never closed"),
        ("\n  prise < 5", 4, "unknown field"),
    ],
)
def test_refuses(text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError, match=f"^where, column {column}: .*{message}"):
        parse(text, FIELDS)


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ("price < :max", {"mx": 5}, 'column 9: the parameter ":max" has no value; there are mx'),
        ("price < 5", {"max": 5}, "has no parameter :max"),
        (
            "price < :max",
            {"max": "5 or in_stock"},
            'column 9: price is a number .* "5 or in_stock"',
        ),
        ("price < :max", {"max": None}, "column 9: .*price is null"),
        ("price < :max", {"max": [5]}, "column 9: .* is a list: write price in :max"),
        ("price < :max", {"max": float("nan")}, "column 9: price is a number"),
        ("brand = :x", {"x": {}}, "column 9: .* neither a text"),
        ("brand = :x", {"x": "\ud800"}, "column 9: .* neither a text"),
        ("brand in :x", {"x": []}, "column 10: .* empty list"),
    ],
)
def test_refuses_parameters(text: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(FilterError, match=message):
        parse(text, FIELDS, parameters)


def test_places_are_named_only_where_they_are_stored() -> None:
    fields = fields_of({"price": FieldType.FLOAT})
    with pytest.raises(FilterError, match=r"image.gps is not stored in this index: .* --gps"):
        parse("image.gps within 2 km of 0, 0", fields)


def test_long_and_deep_texts() -> None:
    names = ", ".join(f'"{i}"' for i in range(20_000))
    start = time.perf_counter()
    found = parse(f"brand in ({names})", FIELDS)
    assert isinstance(found, AnyOfValues)
    assert len(found.values) == 20_000
    terms = parse(" or ".join(["in_stock"] * MAX_CONDITIONS), FIELDS)
    assert isinstance(terms, AnyOf)
    for many, what in (
        (" or ".join(["in_stock"] * (MAX_CONDITIONS + 1)), "1,000 conditions"),
        (f"n in ({'1,' * MAX_VALUES}1)", "25,000 values"),
    ):
        with pytest.raises(FilterError, match=f"more than {what}"):
            parse(many, FIELDS)
    assert parse("not " * 20_001 + "in_stock", FIELDS) == Not(IN_STOCK)
    assert time.perf_counter() - start < 10  # linear: quadratic would take minutes
    assert parse("(" * MAX_DEPTH + "in_stock" + ")" * MAX_DEPTH, FIELDS) == IN_STOCK
    parse(" and ".join(["(in_stock)"] * (MAX_DEPTH + 1)), FIELDS)  # beside each other is not deep
    with pytest.raises(FilterError, match="parentheses"):
        parse("(" * 10_000 + "in_stock" + ")" * 10_000, FIELDS)


# --- properties -----------------------------------------------------------------------------

Predicate: TypeAlias = Callable[[dict[str, Any]], bool]
Expression: TypeAlias = tuple[str, Predicate]
"""A text of the language, and the predicate that it stands for."""

NUMBERS = [-3, 0, 2, 2.5, 7]
WORDS = ["a", "B b", 'it\'s "x"', "back\\slash", "café\n"]
STORED = [word.strip() for word in WORDS]
TIMES = [DAY - timedelta(microseconds=1), DAY, DAY + timedelta(hours=5), NEXT_DAY]
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
}


def _quoted(word: str, quote: str) -> str:
    return quote + word.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _or_missing(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


payloads = st.fixed_dictionaries(
    {},
    optional={
        "n": _or_missing(st.sampled_from([-3, 0, 2, 7])),
        "price": _or_missing(st.sampled_from(NUMBERS)),
        "in_stock": _or_missing(st.booleans()),
        "at": _or_missing(st.sampled_from(TIMES).map(format_datetime)),
        "brand": _or_missing(st.sampled_from(STORED)),
        "my key": _or_missing(st.sampled_from(STORED)),
        "tags": _or_missing(st.lists(st.sampled_from(STORED), max_size=3)),
    },
)


@st.composite
def numeric(draw: st.DrawFn) -> Expression:
    field, sign = draw(st.sampled_from(["n", "price"])), draw(st.sampled_from(sorted(SIGNS)))
    bound = draw(st.sampled_from(NUMBERS))
    return (
        f"{field}{sign}{bound}",
        lambda p: p.get(field) is not None and SIGNS[sign](p[field], bound),
    )


@st.composite
def moment(draw: st.DrawFn) -> Expression:
    sign, bound = draw(st.sampled_from(sorted(SIGNS))), draw(st.sampled_from(TIMES))
    whole_day = draw(st.booleans())
    written = bound.date().isoformat() if whole_day else format_datetime(bound)
    limit = bound.date() if whole_day else bound

    def holds(payload: dict[str, Any]) -> bool:
        if payload.get("at") is None:
            return False
        at = parse_datetime(payload["at"])
        return SIGNS[sign](at.date() if whole_day else at, limit)

    return f"at {sign} {written}", holds


@st.composite
def bounded(draw: st.DrawFn) -> Expression:
    """Both bounds of a number at once."""
    field = draw(st.sampled_from(["n", "price"]))
    low, high = draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(NUMBERS))
    ways: list[Expression] = [
        (f"{low} < {field} <= {high}", lambda p: low < p[field] <= high),
        (f"{high} > {field} >= {low}", lambda p: low <= p[field] < high),
        (f"{field} between {low} and {high}", lambda p: low <= p[field] <= high),
        (f"{field} > {low} and {field} < {high}", lambda p: low < p[field] < high),
    ]
    text, within = draw(st.sampled_from(ways))
    return f"({text})", lambda p: p.get(field) is not None and within(p)


@st.composite
def wordy(draw: st.DrawFn) -> Expression:
    field = draw(st.sampled_from(["brand", "`my key`", "tags"]))
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    quote = draw(st.sampled_from(["'", '"']))
    one, several = _quoted(words[0], quote), ", ".join(_quoted(word, quote) for word in words)
    written = words[0]
    words = [word.strip() for word in words]  # as they are stored

    def values(payload: dict[str, Any]) -> list[str]:
        value = payload.get(field.strip("`"))
        return value if isinstance(value, list) else [] if value is None else [value]

    ways: list[Expression] = [
        (f"{field} = {one}", lambda p: words[0] in values(p)),
        (f"{field} != {one}", lambda p: words[0] not in values(p)),
        (f"{field} in ({several})", lambda p: bool(set(words) & set(values(p)))),
        (f"{field} NOT IN ({several})", lambda p: not set(words) & set(values(p))),
        (f"{field} is null", lambda p: not values(p)),
        (f"{field} is not null", lambda p: bool(values(p))),
        (f"{field} contains {one}", lambda p: any(written in value for value in values(p))),
        (
            f"{field} not startswith {one}",
            lambda p: not any(v.startswith(written) for v in values(p)),
        ),
    ]
    if field == "tags":
        ways.append((f"{field} has {one}", lambda p: words[0] in values(p)))
    return draw(st.sampled_from(ways))


boolean = st.sampled_from(
    [
        ("in_stock", lambda p: p.get("in_stock") is True),
        ("in_stock = false", lambda p: p.get("in_stock") is False),
        ("in_stock != true", lambda p: p.get("in_stock") is not True),
    ]
)


def _combined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Expressions under not, and, or; in parentheses, so that precedence does not matter."""
    pairs = st.tuples(inner, inner)
    return (
        inner.map(lambda x: (f"not ({x[0]})", lambda p: not x[1](p)))
        | pairs.map(
            lambda xy: (f"({xy[0][0]}) AND ({xy[1][0]})", lambda p: xy[0][1](p) and xy[1][1](p))
        )
        | pairs.map(
            lambda xy: (f"({xy[0][0]})or({xy[1][0]})", lambda p: xy[0][1](p) or xy[1][1](p))
        )
    )


leaves = numeric() | bounded() | moment() | wordy() | boolean
expressions = st.recursive(leaves, _combined, max_leaves=8)


@given(expressions, st.lists(payloads, max_size=5))
def test_means_what_python_says_it_means(
    expression: Expression, points: list[dict[str, Any]]
) -> None:
    text, expected = expression
    found = parse(text, FIELDS)
    for point in points:
        assert _holds(found, point) == expected(point), (text, found)


def _random_payload(random: Random) -> dict[str, Any]:
    payload = {
        "n": random.choice([-3, 0, 2, 7, None]),
        "price": random.choice([*NUMBERS, None]),
        "in_stock": random.choice([True, False, None]),
        "at": random.choice([*map(format_datetime, TIMES), None]),
        "brand": random.choice([*STORED, None]),
        "my key": random.choice([*STORED, None]),
        "tags": random.choice([random.sample(STORED, random.randrange(4)), None]),
    }
    return {name: value for name, value in payload.items() if random.random() < 0.8}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EdgeEngine, list[Any]]]:
    """An engine with a hundred indexed points, and their payloads."""
    engine = EdgeEngine(tmp_path_factory.mktemp("index") / "shard")
    engine.create([VectorSpec("v", "semantic", 2, Distance.COSINE, "float32", "none", "1")])
    for field in FIELDS.values():
        engine.create_field_index(field.path, field.type)
    random = Random(0)
    points = [{**_random_payload(random), "image": {"id": str(i)}} for i in range(100)]
    vector = np.ones(2, np.float32)
    engine.upsert([Point(str(i), {"v": vector}, point) for i, point in enumerate(points)])
    yield engine, points
    engine.close()


@given(expressions)
def test_the_engine_finds_what_python_says(
    stored: tuple[EdgeEngine, list[Any]], expression: Expression
) -> None:
    (engine, points), (text, holds) = stored, expression
    found = {point.id for batch in engine.scroll(parse(text, FIELDS)) for point in batch}
    assert found == {str(i) for i, point in enumerate(points) if holds(point)}, text


@given(st.lists(leaves, min_size=1, max_size=6), st.data(), payloads)
def test_precedence_is_pythons(
    parts: list[Expression], data: st.DataObject, point: dict[str, Any]
) -> None:
    text, python = "", ""
    for index, (part, holds) in enumerate(parts):
        joint = data.draw(st.sampled_from([" and ", " or "])) if index else ""
        negation = data.draw(st.sampled_from(["", "not "]))
        text += f"{joint}{negation}{part}"
        python += f"{joint}{negation}{holds(point)}"
    assert _holds(parse(text, FIELDS), point) == eval(python)  # noqa: S307 - of our own making


PIECES = re.findall(
    r"\S+",
    """and or not in has is null true between contains startswith matches within of km , now today
    - 30d :x ~= ( ) , = != <= > price brand at tags in_stock n image.id image.gps
    5 2.5 -1 2024-05-01 'a' "b" `my` ' " ` ! &&""",
)


@given(
    st.text()
    | st.lists(
        st.sampled_from(PIECES),
        max_size=12,
    ).map(" ".join)
)
def test_any_text_gives_a_filter_or_one_clear_error(text: str) -> None:
    try:
        found = parse(text, FIELDS)
    except FilterError as error:
        assert str(error).startswith("where, column ")  # noqa: PT017
    else:
        _holds(found, {})


# --- a reference implementation of filters --------------------------------------------------


def _holds(filter: Filter, payload: dict[str, Any]) -> bool:
    match filter:
        case All(parts):
            return all(_holds(part, payload) for part in parts)
        case AnyOf(parts):
            return any(_holds(part, payload) for part in parts)
        case Not(part):
            return not _holds(part, payload)
        case TextMatch(path, text, "words"):
            wanted = set(re.findall(r"\w+", text.lower()))
            found = [set(re.findall(r"\w+", value.lower())) for value in _values(payload, path)]
            return any(wanted <= words for words in found)
        case TextMatch(path, text, kind):
            fits = str.startswith if kind == "prefix" else str.__contains__
            return any(fits(value, text) for value in _values(payload, path))
        case AnyElement():
            return False
        case WithinRadius(path):
            return bool(_values(payload, path))
        case Missing(path):
            return not _values(payload, path)
        case AnyOfValues(path, values):
            return any(value in values for value in _values(payload, path))
        case Range():
            return any(_within(filter, value) for value in _values(payload, filter.path))
        case HasVector():
            return True
        case HasId(ids):
            return payload.get("id") in ids


def _values(payload: dict[str, Any], path: str) -> list[Any]:
    value = payload.get(path.strip('"'))
    return value if isinstance(value, list) else [] if value is None else [value]


def _within(bounds: Range, value: Any) -> bool:
    value = parse_datetime(value) if isinstance(value, str) else value
    return (
        (bounds.gt is None or value > bounds.gt)
        and (bounds.gte is None or value >= bounds.gte)
        and (bounds.lt is None or value < bounds.lt)
        and (bounds.lte is None or value <= bounds.lte)
    )
