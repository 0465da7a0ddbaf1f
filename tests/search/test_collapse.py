"""Hits by product: each value of a field once, by its best image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lookalike.errors import QueryError
from lookalike.index import Index
from tests.search.indexes import Shop, ids
from tests.support.pictures import folder_of


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """24 pictures of 8 products; picture 0 has none, and every product is in or out of stock."""
    folder = tmp_path_factory.mktemp("products")
    photos = folder_of(folder / "photos", 24)
    rows = ["file,product,size,in_stock,price", "000.jpg,,1,true,1.5"]
    rows += [f"{i:03}.jpg,p{i % 8},{i % 3},{str(i % 2 == 0).lower()},{i}.5" for i in range(1, 24)]
    (folder / "catalog.csv").write_text("\n".join(rows))
    with Index.open(folder / "index", model="built-in") as index:
        index.add(photos, metadata=folder / "catalog.csv", id_field="file")
        yield index


def test_each_product_is_shown_once_by_its_best_image(products: Index) -> None:
    everything = products.search(color="red=1", limit=24)
    hits = products.search(color="red=1", limit=24, collapse="product")
    best: dict[str, str] = {}
    for hit in everything:
        best.setdefault(hit.payload.get("product", hit.id), hit.id)
    assert ids(hits) == list(best.values())
    for hit in hits:
        product = hit.payload.get("product")
        same = products.count("product = :p", {"p": product}) - 1 if product else 0
        assert hit.others == same == len(hit.variants)
    pages = [products.search(color="red=1", limit=3, offset=i, collapse="product") for i in (0, 3)]
    assert [hit.id for page in pages for hit in page] == ids(hits)[:6]


def test_only_images_that_match_the_filter_count(products: Index) -> None:
    hits = products.search(color="red=1", where="in_stock", collapse="product", limit=24)
    for hit in hits:
        if product := hit.payload.get("product"):
            where, params = "in_stock and product = :p", {"p": product}
            assert hit.others == products.count(where, params) - 1


@pytest.mark.parametrize("field", ["size", "in_stock"])
def test_whole_numbers_and_booleans(products: Index, field: str) -> None:
    hits = products.search(color="red=1", collapse=field, limit=24)
    values = [hit.payload[field] for hit in hits]
    assert len(values) == len(set(values)) == len(products.facets(field))
    assert sum(hit.others for hit in hits) + len(hits) == 24


def test_what_hits_are_not_collapsed_by(products: Index) -> None:
    for field, message in (("price", "name a field of your own"), ("prduct", "mean \"product\""),
                           ("image.format", "name a field of your own")):  # fmt: skip
        with pytest.raises(QueryError, match=message):
            products.search(color="red", collapse=field)


@pytest.mark.parametrize("sort", ["price", "-price"])
def test_a_sorted_list_shows_each_product_once(products: Index, sort: str) -> None:
    everything = products.search(sort=sort, limit=24, where="price > 3")
    hits = products.search(sort=sort, limit=24, where="price > 3", collapse="product")
    first: dict[str, str] = {}
    for hit in everything:
        first.setdefault(hit.payload["product"], hit.id)
    assert ids(hits) == list(first.values())
    for hit in hits:
        count = products.count("price > 3 and product = :p", {"p": hit.payload["product"]})
        assert hit.others == count - 1 > 0
    pages = [
        products.search(sort=sort, limit=3, offset=offset, where="price > 3", collapse="product")
        for offset in (0, 3, 6, 9)
    ]
    assert [hit.id for page in pages for hit in page] == ids(hits)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"collapse": True}, "by a field, such as a product"),
        ({"collapse": "price"}, "name a field of your own"),
        ({"collapse": "product", "after": "000.jpg"}, "page with offset"),
        ({"diversity": 0.5}, "diversity needs something to search by"),
        ({"relevant": True}, "relevant needs something"),
        ({"crop": (0, 0, 1, 1)}, "crop needs something"),
    ],
)
def test_a_sorted_list_ignores_no_option(products: Index, option: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        products.search(sort="price", **option)


def test_a_vector_is_something_to_search_by(products: Index) -> None:
    vector = products.get("001.jpg", vectors=True).vectors["color"]
    hits = products.search(vector={"color": vector}, limit=24, sort="price")
    best = products.search(vector={"color": vector}, limit=24)
    assert {hit.id: hit.score for hit in hits} == {hit.id: hit.score for hit in best}
    prices = [hit.payload["price"] for hit in hits]
    assert prices == sorted(prices)


def test_near_identical_images_are_counted(shop: Shop) -> None:
    hits = shop.index.search(id="sku-1", collapse=True, limit=40)
    assert {hit.id: hit.others for hit in hits if hit.others} == {
        hit.id: len(hit.variants) for hit in hits if hit.variants
    }
