"""Many searches at once, requests that cannot be answered, and edge cases."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import FilterError, LookalikeError, NotFound, QueryError
from lookalike.index import Index
from lookalike.search.hits import Hits
from tests.search.indexes import (
    BLEND,
    COUNT,
    Shop,
    ids,
)


def test_many_are_answered_as_one_by_one(shop: Shop) -> None:
    asked: list[dict[str, Any]] = [
        {"id": "sku-1", "limit": 5},
        {"image": str(shop.file(2)), "weights": {"semantic": 0.5, "color": 0.5}},
        {"color": ["navy=0.5", "red"], "where": "n < 20", "offset": 3},
        {
            "id": "sku-9",
            "weights": "balanced",
            "diversity": 0.3,
            "collapse": True,
            "where": "n != 1001",
        },
    ]
    together = shop.index.search_many(asked)
    for request, hits in zip(asked, together, strict=True):
        assert isinstance(hits, Hits)
        alone = shop.index.search(**request)
        assert [asdict(hit) for hit in hits] == [asdict(hit) for hit in alone]
        assert (hits.complete, hits.weights) == (alone.complete, alone.weights)
    examples = {"like": ["sku-1"], "unlike": ["sku-2"], "strategy": "sum"}
    (recommended,) = shop.index.search_many([examples])
    assert isinstance(recommended, Hits)
    assert ids(recommended) == ids(shop.index.recommend(["sku-1"], ["sku-2"], strategy="sum"))
    assert shop.index.search_many([]) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": "nowhere"}, "no image with the id 'nowhere'"),
        ({"image": "nowhere.jpg"}, r"nowhere\.jpg"),
        ({"idd": "sku-1"}, "There is no option 'idd'; a query has like, unlike"),
        ({}, "Nothing to search by"),
        ({"id": "sku-1", "limit": 0}, r"limit must be at least 1 \(got 0\)"),
        ({"id": "sku-1", "limit": "5"}, r"limit must be a whole number \(got '5'\)"),
        ({"id": "sku-1", "limit": True}, r"limit must be a whole number \(got True\)"),
        ({"id": 5}, "no image with the id .5."),
        ({"id": None}, "Nothing to search by"),
        ({"id": [None]}, "An id is a text"),
        ({"id": "sku-1", "collapse": "yes"}, "unknown field .yes"),
        ({"id": "sku-1", "strategy": ["best"]}, "strategy must be average, best or sum"),
        (
            {"id": "sku-1", "strategy": "worst"},
            r"strategy must be average, best or sum \(got 'worst'\)",
        ),
        ({"id": "sku-1", "calibration": {}}, "calibration must be spread or none"),
        ({"id": "sku-1", "where": "n <"}, "expected"),
        ({"id": [5]}, "id"),
        ({"image": [5]}, "image"),
        ({"image": "x" * 5000}, "xxx"),
        ({"like": [5]}, "neither an image of this index"),
        ({"like": [None]}, "An image is a path"),
        ({"color": [5]}, "color"),
        ({"color": {"navy": "much"}}, "navy"),
        ({"color": "rgb(300,0,0)"}, "rgb"),
        ({"id": "sku-1", "crop": ["a", 0, 1, 1]}, "crop"),
        ({"id": "sku-1", "weights": {"semantic": "much"}}, "semantic"),
        ("sku-1", "query"),
        (None, "query"),
    ],
    ids=str,
)
def test_an_error_stands_in_its_place(shop: Shop, wrong: Any, message: str) -> None:
    good = {"id": "sku-1", "limit": 3}
    first, second, third = shop.index.search_many([good, wrong, good])
    assert isinstance(first, Hits)
    assert isinstance(third, Hits)
    assert ids(first) == ids(third)
    assert isinstance(second, LookalikeError)
    with pytest.raises(LookalikeError, match=f"(?i){message}"):
        raise second


HUGE = "x" * 100_000
HOSTILE: list[Any] = [
    {"id": "\ud83d"},
    {"id": HUGE},
    {"color": "\ud83d"},
    {"color": HUGE},
    {"color": "red", "where": 'image.uri = "\ud83d"'},
    {"color": "red", "where": HUGE},
    {"color": "red", "where": {"must": [{"key": "\ud83d", "match": {"value": 1}}]}},
    {"color": "red", "where": "n = :n", "params": {"n": 10**400}},
    {"color": "red", "where": "n = 1", "params": {1: 2}},
    {"color": "red", "limit": 2**64},
    {"color": "red", "limit": 10**400},
    {"color": "red", "limit": 0},
    {"color": "red", "offset": 10**400},
    {"color": {"red": 10**400, "blue": 1}},
    {"color": {"red": 0, "blue": 1}},
    {"id": "sku-1", "weights": {"semantic": 10**400}},
    {"id": "sku-1", "weights": HUGE},
    {"id": "sku-1", "diversity": 10**400},
    {"id": "sku-1", "crop": [10**400, 0, 1, 1]},
    {"image": bytearray(b"x" * 100_000)},
    {"image": b"x" * 100_000},
    {"image": HUGE},
    {"image": "a\0b"},
    {"like": [HUGE]},
    {"like": ["\ud83d"]},
    {"sort": HUGE},
    {"sort": "n", "limit": 10**400},
    {"collapse": "\ud83d", "color": "red"},
    {HUGE: 1},
    {1: 2},
    HUGE,
]


@pytest.mark.parametrize("wrong", HOSTILE, ids=lambda wrong: f"{wrong!r:.50}")
def test_no_query_harms_another_and_messages_are_short(shop: Shop, wrong: Any) -> None:
    good = {"id": "sku-1", "limit": 3}
    first, second, third = shop.index.search_many([good, wrong, good])
    assert isinstance(first, Hits)
    assert isinstance(third, Hits)
    assert len(first) == len(third) == 3
    assert isinstance(second, LookalikeError)
    assert len(str(second)) < 1_600


def test_shares_of_any_size(shop: Shop) -> None:
    large = shop.index.search(color={"red": 1e308, "blue": 1e308})
    assert ids(large) == ids(shop.index.search(color={"red": 1, "blue": 1}))
    assert shop.index.search(color={"red": 1e-320, "blue": 1})
    assert len(shop.index.search(sort="n", limit=2**63 - 1, offset=2)) > 30


# --- bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "Nothing to search by"),
        ({"color": ""}, "Nothing to search by"),
        ({"id": "sku-1", "weights": {"semantic": -1}}, "weight of semantic is -1"),
        ({"id": "sku-1", "weights": {"color": math.nan}}, "weight of color is nan"),
        ({"id": "sku-1", "weights": {"color": 0, "semantic": 0.0}}, "All weights are zero"),
        ({"id": "sku-1", "weights": {"sound": 1}}, "no aspect 'sound'; this index has semantic"),
        ({"id": "sku-1", "weights": "fancy"}, "no preset 'fancy'"),
        ({"color": "red", "weights": {"semantic": 1}}, "semantic has a weight and nothing"),
        ({"color": "rainbow"}, "no color 'rainbow'"),
        ({"color": ["red=0.9", "blue=0.1", "navy"]}, "leave nothing for navy"),
        ({"id": "sku-1", "limit": 0}, r"limit must be at least 1 \(got 0\)"),
        ({"id": "sku-1", "limit": -5}, r"limit must be at least 1 \(got -5\)"),
        ({"id": "sku-1", "offset": -1}, r"offset must be at least 0 \(got -1\)"),
        (
            {"id": "sku-1", "calibration": "full"},
            r"calibration must be spread or none \(got 'full'\)",
        ),
    ],
    ids=str,
)
def test_searches_that_make_no_sense(shop: Shop, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        shop.index.search(**request_)


def test_an_unknown_id_and_an_unknown_field(shop: Shop) -> None:
    with pytest.raises(NotFound, match="no image with the id 'nowhere'"):
        shop.index.search(id=["sku-1", "nowhere"])
    with pytest.raises(FilterError, match="price"):
        shop.index.search(id="sku-1", where="price < 3")


WIDE: list[dict[str, Any]] = [{}, {"weights": BLEND}, {"diversity": 0.5}, {"collapse": True}]


def test_an_unknown_option_is_a_type_error(shop: Shop) -> None:
    for ask in (shop.index.search, shop.index.recommend):
        with pytest.raises(TypeError, match="unexpected keyword argument 'lmit'"):
            ask(lmit=5)  # type: ignore[call-arg]


@pytest.mark.parametrize("way", WIDE, ids=str)
def test_more_than_there_are_is_all_of_them(shop: Shop, way: dict[str, Any]) -> None:
    for limit in (COUNT, 5_000, 10**9):
        hits = shop.index.search(image=shop.file(7), limit=limit, **way)
        assert hits.complete
        everyone = [id for hit in hits for id in (hit.id, *hit.variants)]
        assert sorted(everyone) == sorted(shop.ids)
    for offset in (COUNT, 10**9, 10**18):
        beyond = shop.index.search(image=shop.file(7), offset=offset, **way)
        assert (list(beyond), beyond.complete) == ([], True)


@pytest.mark.parametrize("way", [*WIDE, {"relevant": True}], ids=str)
def test_filters_that_contradict_each_other_are_no_error(shop: Shop, way: dict[str, Any]) -> None:
    hits = shop.index.search(image=shop.file(7), where="n > 5 and n < 3", **way)
    assert (list(hits), hits.complete) == ([], True)
    best = shop.index.recommend(
        ["sku-1", "sku-2"], ["sku-3"], strategy="best", where="n > 5 and n < 3", **way
    )
    assert (list(best), best.complete) == ([], True)


def test_an_empty_index_has_no_hits(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model="built-in") as index:
        for way in (*WIDE, {"relevant": True}):
            hits = index.search(color="red", **{**way, "weights": None})
            assert (list(hits), hits.complete) == ([], True)
