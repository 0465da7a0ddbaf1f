"""Filters in Qdrant's JSON mean the same here as in Qdrant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from lookalike.engines.server.filters import to_server
from lookalike.errors import FilterError
from lookalike.fields import fields_of
from lookalike.filters.parser import parse, split
from lookalike.filters.qdrant_json import json_of, where_of
from lookalike.types import AnyOfValues, FieldType, HasId, Missing, Not, Range

FIELDS = fields_of(
    {
        "price": FieldType.FLOAT,
        "brand": FieldType.KEYWORD,
        "in_stock": FieldType.BOOLEAN,
        "uploaded_at": FieldType.DATETIME,
        "my key": FieldType.KEYWORD,
        "size": FieldType.INTEGER,
    },
    gps=True,
)


def filter_of(conditions: dict[str, Any]) -> Any:
    return parse(where_of(conditions), FIELDS)


def nested(depth: int) -> dict[str, Any]:
    filter: dict[str, Any] = {}
    for _ in range(depth):
        filter = {"must": [filter]}
    return filter


def near(center: dict[str, Any], radius: Any) -> dict[str, Any]:
    return {"key": "image.gps", "geo_radius": {"center": center, "radius": radius}}


def lists(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def one(condition: dict[str, Any]) -> Any:
    return filter_of({"must": [condition]})


def test_conditions() -> None:
    assert one({"key": "brand", "match": {"value": "Acme"}}) == AnyOfValues("brand", ("Acme",))
    assert one({"key": "brand", "match": {"any": ["A", 'B"\\']}}) == AnyOfValues(
        "brand", ("A", 'B"\\')
    )
    assert one({"key": "price", "range": {"lt": 100, "gt": None}}) == Range("price", lt=100)
    assert one({"key": '"my key"', "match": {"value": "x"}}) == AnyOfValues('"my key"', ("x",))
    assert one({"is_empty": {"key": "brand"}}) == Missing("brand")
    assert one({"has_id": ["a/b", "c"]}) == HasId(("a/b", "c"))
    blue = AnyOfValues("image.colors[].name", ("blue",))
    assert one({"key": "image.colors[].name", "match": {"value": "blue"}}) == blue
    assert filter_of({"must_not": {"is_empty": {"key": "brand"}}}) == Not(Missing("brand"))


@pytest.mark.parametrize(
    ("filter", "says"),
    [
        ({"must": [{"key": "prise", "match": {"value": 1}}]}, 'did you mean "price"'),
        ({"must": [{"key": "price", "match": {"value": "abc"}}]}, "price is a number"),
        ({"must": [{"key": "price", "geo_radius": {}}]}, "geo_radius"),
        ({"must": [near({"lat": 91, "lon": 0}, 5)]}, "no place at 91"),
        ({"must": [near({"lat": 1, "lon": 0}, "5")]}, "the distance is a number"),
        ({"must": [near({"lat": 1, "lon": 0, "x": 0}, 5)]}, "a center and a radius"),
        ({"must": [{**near({"lat": 1, "lon": 0}, 5), "key": "price"}]}, "within is for places"),
        ({"must": [{"key": "price", "range": {}}]}, "a range takes gt"),
        ({"must": [{"key": "brand", "match": {"texts": "a"}}]}, "value, any, except, prefix"),
        ({"must": [{"key": "brand", "match": {"any": []}}]}, "empty list"),
        ({"musst": []}, "no clause 'musst'"),
        ({"min_should": {"conditions": [], "min_count": 2}}, "min_should"),
        ({"must": ["brand"]}, "brand"),
        ({"must": [{"key": "", "match": {"value": 1}}]}, "empty key"),
        ({"must": [{"key": "brand", "match": {"value": None}}]}, "null"),
        ({"must": [{"key": "size", "match": {"value": 1}, "range": {"gt": 1}}]}, "not supported"),
        (nested(480), "100 deep"),
        (nested(100_000), "100 deep"),
        ({"must": lists(100_000)}, "100 deep"),
        ({"must": [{"key": "size", "match": {"value": lists(100_000)}}]}, "100 deep"),
        ({"must_not": [{"key": "size", "match": {"value": 1}}] * 1_001}, "1,000 conditions"),
        ({"should": [{"must": []}] * 100_000}, "1,000 conditions"),
        ({"must": [{"has_id": [str(n) for n in range(30_000)]}]}, "25,000 values"),
    ],
)
def test_what_cannot_be_said_is_one_sentence(filter: dict[str, Any], says: str) -> None:
    with pytest.raises(FilterError, match=says) as error:
        filter_of(filter)
    assert str(error.value).endswith((".", "…")) or "Fields:" in str(error.value)


@pytest.mark.parametrize(
    ("filter", "text"),
    [
        ({}, "image.id is not null"),
        ({"must": [{"key": "brand", "match": {"any": ["A"]}}]}, 'brand = "A"'),
        ({"must": [{"key": "brand", "match": {"any": ["A", "B"]}}]}, 'brand in ("A", "B")'),
        ({"must": [{"key": "price", "range": {"gte": 5, "lte": 9}}]}, "price >= 5 and price <= 9"),
        ({"must": {"key": "my key", "match": {"value": '"'}}}, '`my key` = "\\""'),
        ({"must": {"key": "image.colors[].name", "match": {"value": "red"}}},
         'image.colors = "red"'),
        ({"must": {"key": "brand", "match": {"text": "a b"}}}, 'brand matches "a b"'),
        ({"must": {"key": "brand", "match": {"prefix": "a"}}}, 'brand startswith "a"'),
        ({"must_not": {"key": "brand", "match": {"substring": "a"}}}, 'not brand contains "a"'),
        ({"must_not": {"key": "size", "match": {"except": [1]}}},
         "not (size not in (1) and size is not null)"),
        ({"must": [{"is_null": {"key": "size"}}, {"should": [{"has_id": ["a"]},
          {"must": [{"is_empty": {"key": "brand"}}, {"key": "size", "range": {"lt": 2}}]}]}]},
         'size is null and (image.id in ("a") or brand is null and size < 2)'),
    ],
)  # fmt: skip
def test_the_text_is_as_people_write_it(filter: dict[str, Any], text: str) -> None:
    assert where_of(filter) == text
    parse(text, FIELDS)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("in_stock", [{"key": "in_stock", "match": {"value": True}}]),
        ("in_stock in (true, false)", [{"key": "in_stock", "match": {"any": [True, False]}}]),
        ("price<5  and brand in ('A', 'B') ", [
            {"key": "price", "range": {"lt": 5}}, {"key": "brand", "match": {"any": ["A", "B"]}}]),
        ("price >= 5 and in_stock and price < 9", [
            {"key": "price", "range": {"gte": 5, "lt": 9}},
            {"key": "in_stock", "match": {"value": True}}]),
        ('brand contains "a" and not image.folder = "/x"', [
            {"key": "brand", "match": {"substring": "a"}},
            {"must_not": [{"key": "image.uri", "match": {"prefix": "/x/"}}]}]),
        ("uploaded_at <= 2024-05-01",
         [{"key": "uploaded_at", "range": {"lt": "2024-05-02T00:00:00Z"}}]),
        ("image.gps within 2 km of 48.8584, -2.2945",
         [near({"lat": 48.8584, "lon": -2.2945}, 2_000.0)]),
        ('image.colors has "red"', [{"key": "image.colors", "match": {"value": "red"}}]),
        ('`my key` = "a" and not size is null', [
            {"key": "my key", "match": {"value": "a"}},
            {"must_not": [{"is_empty": {"key": "size"}}]}]),
        ('size = 1 or brand = "A" and in_stock', [{"should": [
            {"key": "size", "match": {"value": 1}},
            {"must": [{"key": "brand", "match": {"value": "A"}},
                      {"key": "in_stock", "match": {"value": True}}]}]}]),
        ('size = 2.5 and (image.id = "x" and size = 1)', [{"must_not": [{"must": []}]},
            {"must": [{"has_id": ["x"]}, {"key": "size", "match": {"value": 1}}]}]),
    ],
)  # fmt: skip
def test_a_text_as_conditions(text: str, conditions: list[Any]) -> None:
    assert [json_of(part) for _, part in split(text, FIELDS)] == conditions


def test_conditions_are_kept_as_they_are_written() -> None:
    text = 'price  <5 AND (in_stock or brand="a and b") and `my key` = "x"'
    assert [part for part, _ in split(text, FIELDS)] == [
        "price  <5", '(in_stock or brand="a and b")', '`my key` = "x"',
    ]  # fmt: skip
    assert [part for part, _ in split(" in_stock or size = 1", FIELDS)] == [
        "(in_stock or size = 1)"
    ]
    with pytest.raises(FilterError, match="column 12"):
        split("size = 1 or", FIELDS)


PAYLOADS: list[dict[str, Any]] = [
    {"brand": brand, "price": price, "size": size, "image": {"gps": {"lat": size or 0, "lon": 179}}}
    for brand in ("Acme", "Bolt", None)
    for price in (5.5, 100.0, None)
    for size in (1, 2, None)
]

conditions = st.one_of(
    st.builds(
        lambda any: {"key": "brand", "match": {"any": any}},
        st.lists(st.sampled_from(["Acme", "Bolt", "no"]), min_size=1, max_size=2),
    ),
    st.builds(
        lambda values: {"key": "size", "match": {"except": values}},
        st.lists(st.integers(0, 2), min_size=1, max_size=2),
    ),
    st.builds(lambda value: {"key": "size", "match": {"value": value}}, st.integers(0, 2)),
    st.builds(
        lambda sign, value: {"key": "price", "range": {sign: value}},
        st.sampled_from(["gt", "gte", "lt", "lte"]),
        st.sampled_from([5.5, 50.0, 100.0]),
    ),
    st.builds(
        lambda lon, radius: near({"lat": 1, "lon": lon}, radius),
        st.sampled_from([179, -180]),
        st.sampled_from([5, 100_000, 120_000, 2_000_000]),
    ),
    st.sampled_from(["brand", "price", "size"]).map(lambda key: {"is_empty": {"key": key}}),
    st.sampled_from([{"prefix": "Ac"}, {"substring": "m"}, {"text": "ACME"}]).map(
        lambda match: {"key": "brand", "match": match}
    ),
)


def clauses(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["must", "should", "must_not"])
    return st.dictionaries(names, st.lists(parts, min_size=1, max_size=2), max_size=3)


@pytest.fixture(scope="module")
def client() -> QdrantClient:
    client = QdrantClient(":memory:")
    client.create_collection("c", vectors_config={})
    client.upsert(
        "c",
        [
            models.PointStruct(
                id=i, vector={}, payload={**one, "image": {**one["image"], "id": str(i)}}
            )
            for i, one in enumerate(PAYLOADS)
        ],
    )
    return client


def passing(client: QdrantClient, filter: models.Filter | None) -> set[Any]:
    return {row.id for row in client.scroll("c", scroll_filter=filter, limit=100)[0]}


@given(filter=clauses(conditions | clauses(conditions).filter(bool)))
def test_the_same_images_pass_as_in_qdrant(client: QdrantClient, filter: dict[str, Any]) -> None:
    theirs = models.Filter.model_validate_json(json.dumps(filter))
    assert passing(client, to_server(filter_of(filter))) == passing(client, theirs)


@given(filter=clauses(conditions | clauses(conditions).filter(bool)))
def test_the_same_images_pass_after_splitting(client: QdrantClient, filter: dict[str, Any]) -> None:
    whole = filter_of(filter)
    parts = split(where_of(filter), FIELDS)
    assert parse(" and ".join(text for text, _ in parts), FIELDS) == whole
    again = filter_of({"must": [json_of(part) for _, part in parts]})
    assert passing(client, to_server(again)) == passing(client, to_server(whole))
