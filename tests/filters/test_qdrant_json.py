"""Qdrant's filters as JSON mean here what they mean to Qdrant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from lookalike.errors import FilterError
from lookalike.fields import fields_of
from lookalike.filters.parser import parse
from lookalike.filters.qdrant_json import where_of
from lookalike.types import AnyOfValues, FieldType, HasId, Missing, Not, Range

FIELDS = fields_of(
    {
        "price": FieldType.FLOAT,
        "brand": FieldType.KEYWORD,
        "in_stock": FieldType.BOOLEAN,
        "uploaded_at": FieldType.DATETIME,
        "my key": FieldType.KEYWORD,
        "size": FieldType.INTEGER,
    }
)


def filter_of(conditions: dict[str, Any]) -> Any:
    return parse(where_of(conditions), FIELDS)


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
        ({"must": [{"key": "price", "range": {}}]}, "a range has gt"),
        ({"must": [{"key": "brand", "match": {"text": "a"}}]}, "a value, any or except"),
        ({"must": [{"key": "brand", "match": {"any": []}}]}, "empty list"),
        ({"musst": []}, "no clause 'musst'"),
        ({"min_should": {"conditions": [], "min_count": 2}}, "min_should"),
        ({"must": ["brand"]}, "brand"),
        ({"must": [{"key": "", "match": {"value": 1}}]}, "empty key"),
        ({"must": [{"key": "brand", "match": {"value": None}}]}, "null"),
        ({"must": [{"key": "size", "match": {"value": 1}, "range": {"gt": 1}}]}, "cannot be said"),
    ],
)
def test_what_cannot_be_said_is_one_sentence(filter: dict[str, Any], says: str) -> None:
    with pytest.raises(FilterError, match=says) as error:
        filter_of(filter)
    assert str(error.value).endswith((".", "…")) or "Fields:" in str(error.value)


PAYLOADS = [
    {"brand": brand, "price": price, "size": size}
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
    st.sampled_from(["brand", "price", "size"]).map(lambda key: {"is_empty": {"key": key}}),
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
            models.PointStruct(id=i, vector={}, payload={**one, "image": {"id": str(i)}})
            for i, one in enumerate(PAYLOADS)
        ],
    )
    return client


@given(filter=clauses(conditions | clauses(conditions).filter(bool)))
def test_the_same_images_pass_as_in_qdrant(client: QdrantClient, filter: dict[str, Any]) -> None:
    from lookalike.engines.server.filters import to_server

    own = to_server(filter_of(filter))
    theirs = models.Filter.model_validate_json(json.dumps(filter))
    passing = [
        {row.id for row in client.scroll("c", scroll_filter=one, limit=100)[0]}
        for one in (own, theirs)
    ]
    assert passing[0] == passing[1]
