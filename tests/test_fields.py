"""Field types: values from text, paths the real engine understands, inference of columns."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge
from hypothesis import given
from hypothesis import strategies as st

from lookalike.errors import InputError
from lookalike.fields import (
    OWN_FIELDS,
    choose_type,
    fields_of,
    kind_of,
    kind_of_text,
    parse_value,
    user_field,
)
from lookalike.system.times import parse_datetime
from lookalike.types import FieldType

INTEGER, FLOAT, BOOLEAN = FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOLEAN
DATETIME, KEYWORD, KEYWORDS = FieldType.DATETIME, FieldType.KEYWORD, FieldType.KEYWORDS


@pytest.mark.parametrize(
    ("type", "value", "expected"),
    [
        (INTEGER, "42", 42),
        (INTEGER, " -7 ", -7),
        (INTEGER, "5.0", 5),
        (INTEGER, 5.0, 5),
        (INTEGER, str(2**63 - 1), 2**63 - 1),
        (INTEGER, str(-(2**63)), -(2**63)),
        (FLOAT, "19.99", 19.99),
        (FLOAT, "1e3", 1000.0),
        (FLOAT, ".5", 0.5),
        (FLOAT, 3, 3.0),
        (BOOLEAN, "TRUE", True),
        (BOOLEAN, "false", False),
        (BOOLEAN, False, False),
        (DATETIME, "2024-05-01", "2024-05-01T00:00:00Z"),
        (DATETIME, "2024-05-01T12:30", "2024-05-01T12:30:00Z"),
        (DATETIME, "2024-05-01 12:30:15.250", "2024-05-01T12:30:15.250000Z"),
        (DATETIME, "2024-05-01t00:30:00+02:00", "2024-04-30T22:30:00Z"),
        (DATETIME, date(2024, 5, 1), "2024-05-01T00:00:00Z"),
        (DATETIME, datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01T00:00:00Z"),
        (KEYWORD, "dress", "dress"),
        (KEYWORD, 42, "42"),
        (KEYWORD, True, "true"),
        (KEYWORDS, "a| b |", ["a", "b"]),
        (KEYWORDS, '["a|b", "c"]', ["a|b", "c"]),
        (KEYWORDS, "[]", []),
        (KEYWORDS, [38, "40"], ["38", "40"]),
        (KEYWORDS, "[not json", ["[not json"]),
    ],
)
def test_value_of_a_type(type: FieldType, value: Any, expected: Any) -> None:
    parsed = parse_value(type, value)
    assert parsed == expected
    assert parsed.__class__ is expected.__class__  # True is not 1, and 1 is not 1.0


@pytest.mark.parametrize(
    ("type", "value"),
    [
        (INTEGER, "00123"),
        (INTEGER, "+49"),
        (INTEGER, "2.5"),
        (INTEGER, str(2**63)),
        (INTEGER, "1" * 5000),
        (INTEGER, "9007199254740993.0"),  # a float rounds it
        (INTEGER, True),
        (INTEGER, "١٢"),  # digits, but not ours
        (FLOAT, "N/A"),
        (FLOAT, "nan"),
        (FLOAT, "1e999"),
        (FLOAT, float("inf")),
        (FLOAT, ""),
        (FLOAT, "1,5"),
        (BOOLEAN, "yes"),
        (BOOLEAN, 1),
        (DATETIME, "2024-13-01"),
        (DATETIME, "2024-05-01T25:00"),
        (DATETIME, "20240501"),
        (DATETIME, "0001-01-01T00:00:00+05:00"),
        (DATETIME, 20240501),
        (KEYWORD, {"a": 1}),
        (KEYWORD, "\ud800"),
        (KEYWORDS, [["a"]]),
    ],
)
def test_misfit_is_an_error_that_names_it(type: FieldType, value: Any) -> None:
    with pytest.raises(InputError, match=r"is not (a|true)") as caught:
        parse_value(type, value)
    assert len(str(caught.value)) < 160
    assert str(value)[:5].strip() in str(caught.value) or not str(value).isprintable()


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-23 * 60, 23 * 60))
def test_datetimes_keep_their_moment_and_sort_as_text(moment: datetime, minutes: int) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    stored = parse_value(DATETIME, local.isoformat())
    assert isinstance(stored, str)
    assert stored.endswith("Z")
    assert parse_datetime(stored) == local


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_int64_survives(number: int) -> None:
    assert parse_value(INTEGER, str(number)) == number
    assert kind_of_text(str(number)) is kind_of(number) is INTEGER


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives(number: float) -> None:
    assert parse_value(FLOAT, repr(number)) == number


@given(st.text() | st.from_regex(r"[-+.\deE:TZ\[\]|\"]{1,20}"))
def test_any_text_has_a_kind_that_it_fits(text: str) -> None:
    text = text.strip()
    if text:
        parse_value(kind_of_text(text), text)


LINEN = (
    "A light dress for long summer days, made of washed linen, with two pockets, with buttons of "
    "wood, and lined with cotton."
)


@pytest.mark.parametrize(
    ("texts", "type"),
    [
        ([f"{LINEN} Machine wash.", f"{LINEN} Iron."], FieldType.TEXT),
        ([f"{LINEN} Machine wash.", f"{LINEN} Iron.", "A dress."], FieldType.TEXT),
        ([f"{LINEN} Machine wash.", "A dress.", "A hat."], KEYWORD),
        (["Dress", "A dress of linen"], KEYWORD),
        (["https://shop.example/" + "a/very/long/path/" * 10], KEYWORD),
    ],
)
def test_long_texts_are_searched_by_their_words(texts: list[str], type: FieldType) -> None:
    assert choose_type(Counter(map(kind_of_text, texts))) is type
    assert choose_type(Counter(map(kind_of, texts))) is type


# --- names ---


NAMES = [
    "price",
    "my key",
    "price.eur",
    "a[]",
    "größe",
    "e\u0301te\u0301",
    "日本",
    "हिन्दी",
    "1a",
    "$p",
    "it's",
    "a/b",
    "two\nlines",
]


def test_path_of_any_name_finds_its_value_in_the_engine(tmp_path: Path) -> None:
    params = {"v": qdrant_edge.EdgeVectorParams(2, qdrant_edge.Distance.Cosine)}
    shard = qdrant_edge.EdgeShard.create(str(tmp_path), qdrant_edge.EdgeConfig(vectors=params))
    for index, name in enumerate(NAMES):
        path = user_field(name, KEYWORD).path
        create = qdrant_edge.UpdateOperation.create_field_index
        shard.update(create(path, qdrant_edge.PayloadSchemaType.Keyword))
        point = qdrant_edge.Point(uuid.UUID(int=index), {"v": [1.0, 0.0]}, {name: "here"})
        shard.update(qdrant_edge.UpdateOperation.upsert_points([point]))
    for index, name in enumerate(NAMES):
        path = user_field(name, KEYWORD).path
        here = qdrant_edge.FieldCondition(path, match=qdrant_edge.MatchValue("here"))
        found, _ = shard.scroll(qdrant_edge.ScrollRequest(filter=qdrant_edge.Filter(must=[here])))
        assert [point.id for point in found] == [uuid.UUID(int=index)], name
        assert [hit.count for hit in shard.facet(qdrant_edge.FacetRequest(path)).hits] == [1]
    shard.close()


@pytest.mark.parametrize("name", ["image", "image.width", "image.anything"])
def test_our_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f'"{name}" is reserved'):
        user_field(name, KEYWORD)


@pytest.mark.parametrize("name", ["", " ", 'say "hi"', "back\\slash", "\ud800"])
def test_names_that_the_engine_cannot_address_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="rename it"):
        user_field(name, KEYWORD)


def test_fields_of_an_index_are_the_users_and_ours() -> None:
    fields = fields_of({"price": FLOAT})
    assert fields["price"].path == "price"
    assert fields["image.colors"].path == "image.colors[].name"
    assert set(fields) == {"price", *OWN_FIELDS} - {"image.gps"}
    assert set(fields_of({}, gps=True)) == set(OWN_FIELDS)


# --- inference ---


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["true", "False"], BOOLEAN),
        (["yes", "no"], KEYWORD),
        (["1", "-20"], INTEGER),
        (["1"] * 99 + ["2.5"], FLOAT),  # not a misfit among integers
        (["1E5", "2E3"], KEYWORD),
        (["1e-05", "1.5e+20"], FLOAT),
        (["1", "00123"], KEYWORD),
        (["4006381333931", "12345678901234567890"], KEYWORD),
        (["1.5", "2"], FLOAT),
        (["2024-05-01", "2024-05-01T10:00:00Z"], DATETIME),
        (["2024-05-01", "2024-02-30"], KEYWORD),
        (["red", "red|blue"], KEYWORDS),
        (["Dress | Acme", "Skirt | Acme"], KEYWORD),  # a title, not a list
        (['["red", "blue"]', "red"], KEYWORDS),
        (["[1, 2]"], KEYWORD),
        (["dress", "5"], KEYWORD),
        (["9.99"] * 95 + ["N/A"] * 5, FLOAT),
        (["9.99"] * 94 + ["N/A"] * 6, KEYWORD),
    ],
)
def test_column_of_texts(cells: list[str], expected: FieldType) -> None:
    assert choose_type(Counter(map(kind_of_text, cells))) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("[1, 2]", INTEGER),
        ("[1, 2.5]", FLOAT),
        ('["1", "2"]', KEYWORD),
        ('["2024-05-01", "2024-05-02T00:00:00Z"]', DATETIME),
        ('[["a"], ["b", "c"]]', KEYWORDS),
        ("[[1], [2]]", None),
        ('[{"a": 1}]', None),
        (f"[{2**63}]", None),
        (json.dumps(["a"] * 95 + [{}] * 5), KEYWORD),
    ],
)
def test_column_of_json_values(values: str, expected: FieldType | None) -> None:
    assert choose_type(Counter(map(kind_of, json.loads(values)))) is expected
