"""Sorting by numbers and dates: without a search, page by page, and of a search's hits."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import NotFound, QueryError
from lookalike.fields import fields_of
from lookalike.filters.parser import parse
from lookalike.search import sorting
from lookalike.search.sorting import Order, sorted_points
from lookalike.types import Distance, FieldType, Point, VectorSpec
from tests.search.indexes import COUNT, Shop, ids

FIELDS = fields_of(
    {"n": FieldType.INTEGER, "my price": FieldType.FLOAT, "at": FieldType.DATETIME,
     "brand": FieldType.KEYWORD}
)  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EdgeEngine, list[Point]]]:
    """Points with few different values, so that many are equal, and with some missing."""
    engine = EdgeEngine(tmp_path_factory.mktemp("index") / "shard")
    engine.create([VectorSpec("v", "semantic", 2, Distance.COSINE, "float32", "none", "1")])
    for field in FIELDS.values():
        if field.name in ("n", "my price", "at"):
            engine.create_field_index(field.path, field.type)
    random = Random(0)
    points = []
    for i in range(60):
        payload: dict[str, Any] = {"image": {"id": str(i)}}
        if random.random() < 0.9:
            payload["n"] = random.randrange(-2, 4)
            payload["my price"] = random.choice([0.1, 0.3, 1 / 3, 1e9])
            payload["at"] = f"2024-0{random.randrange(1, 4)}-01T00:00:00.000001Z"
        points.append(Point(str(i), {"v": np.ones(2, np.float32)}, payload))
    engine.upsert(points)
    yield engine, points
    engine.close()


@pytest.mark.parametrize("text", ["n", "-n", "my price", "-my price", "at", "-at"])
@pytest.mark.parametrize("batch", [1, 7, 500])
def test_pages_hold_every_image_once_in_order(
    stored: tuple[EdgeEngine, list[Point]], text: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "_BATCH", batch)
    engine, points = stored
    order = Order.of(text, FIELDS)
    found = list(sorted_points(engine, order, None))
    assert sorted(point.id for point in found) == sorted(point.id for point in points)
    keys = [order.key(point.payload) for point in found]
    assert keys == sorted(keys)
    paged: list[str] = []
    while True:
        rest = sorted_points(engine, order, None, after=paged[-1] if paged else None)
        page = [point.id for _, point in zip(range(7), rest, strict=False)]
        if not page:
            break
        paged += page
    assert paged == [point.id for point in found]
    positive = parse("n > 0", FIELDS)
    few = [point.payload["n"] for point in sorted_points(engine, order, positive)]
    assert sorted(few) == sorted(p.payload["n"] for p in points if p.payload.get("n", 0) > 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prise", 'unknown field "prise"'),
        ("-prise", 'unknown field "prise"'),
        ("brand", "brand is a text: sort by a field of numbers or dates"),
        ("", "unknown field"),
    ],
)
def test_what_nothing_is_sorted_by(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        Order.of(text, FIELDS)


def test_a_search_without_a_subject_lists_images(shop: Shop) -> None:
    hits = shop.index.search(sort="-n", where="n < 1000", limit=5)
    values = [hit.payload["n"] for hit in hits]
    assert values == sorted(values, reverse=True)
    rest = shop.index.search(sort="-n", where="n < 1000", limit=3, after=hits[-1].id)
    assert [hit.payload["n"] for hit in rest] == [values[-1] - 1, values[-1] - 2, values[-1] - 3]
    skipped = shop.index.search(sort="-n", where="n < 1000", limit=3, offset=5)
    assert ids(skipped) == ids(rest)
    assert (hits.complete, hits.weights) == (True, {})
    scrolled = [point.id for point in shop.index.scroll("n < 1000", sort="-n")]
    assert scrolled[:8] == ids(hits) + ids(rest)
    dates = shop.index.search(sort="image.modified_at", limit=COUNT)
    assert len(dates) == shop.index.count()
    (many,) = shop.index.search_many([{"sort": "n", "limit": 2}])
    assert not isinstance(many, Exception)
    assert [hit.payload["n"] for hit in many] == [0, 1]


def test_hits_of_a_search_are_sorted(shop: Shop) -> None:
    best = shop.index.search(id="sku-1", limit=COUNT)
    hits = shop.index.search(id="sku-1", limit=COUNT, sort="n")
    assert sorted(ids(hits)) == sorted(ids(best))
    values = [hit.payload["n"] for hit in hits]
    assert values == sorted(values)
    second = shop.index.search(id="sku-1", limit=5, offset=5, sort="n")
    assert ids(second) == ids(hits)[5:10]
    for wrong, message in (
        ({"limit": 201}, "has the 200 best hits"),
        ({"after": "sku-2"}, "page through hits with offset"),
    ):
        with pytest.raises(QueryError, match=message):
            shop.index.search(id="sku-1", sort="n", **wrong)
    with pytest.raises(NotFound, match="nowhere"):
        shop.index.search(sort="n", after="nowhere")
