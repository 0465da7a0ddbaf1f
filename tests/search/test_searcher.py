"""Many searches at once, requests that cannot be answered, and edge cases."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import FilterError, LookalikeError, NotFound, QueryError
from lookalike.index import Index
from lookalike.types import Hits
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
        ({"idd": "sku-1"}, "There is no option 'idd'; a query has image, id"),
        ({}, "Nothing to search by"),
        ({"id": "sku-1", "limit": 0}, r"limit must be at least 1 \(got 0\)"),
        ({"id": "sku-1", "limit": "5"}, r"limit must be a whole number \(got '5'\)"),
        ({"id": "sku-1", "limit": True}, r"limit must be a whole number \(got True\)"),
        ({"id": 5}, r"id must be a text or a list of texts \(got 5\)"),
        ({"id": None}, "Nothing to search by"),
        ({"id": [None]}, "id must be a text or a list of texts"),
        ({"id": "sku-1", "collapse": "yes"}, r"collapse must be true or false \(got 'yes'\)"),
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
        ({"like": [5]}, "like"),
        ({"like": [None]}, "like"),
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
