"""Filters of an index: by folder, by file times, with parameters, ignoring case."""

from __future__ import annotations

import pytest

from lookalike.errors import FilterError
from tests.search.indexes import Shop, ids


def test_every_method_takes_parameters(shop: Shop) -> None:
    where, params = "n between :low and :high", {"low": 3, "high": 5}
    hits = shop.index.search(color="red", where=where, params=params)
    assert sorted(ids(hits)) == ["sku-3", "sku-4", "sku-5"]
    assert len(shop.index.recommend(["sku-1"], where=where, params=params)) == 3
    assert shop.index.count(where, params) == 3
    assert {point.id for point in shop.index.scroll(where, params=params)} == set(ids(hits))
    assert len(shop.index.facets("n", where=where, params=params)) == 3
    assert shop.index.histogram("n", where=where, params=params).count == 3
    assert list(shop.index.duplicates(where=where, params=params)) == []
    with pytest.raises(FilterError, match="parameters and no where"):
        shop.index.count(params=params)


def test_folders_and_file_times(shop: Shop) -> None:
    folder, everything = str(shop.photos), shop.index.count()
    assert shop.index.facets("image.folder") == [(folder, everything)]
    for held in (folder, shop.photos.parent, f"{folder}/", "photos"):
        assert shop.index.count("image.folder = :folder", {"folder": str(held)}) == everything
    for other in (folder[:-1], "photo", f"{folder}/003.jpg"):
        assert shop.index.count("image.folder = :folder", {"folder": other}) == 0
    assert shop.index.count("image.folder startswith :folder", {"folder": folder[:-1]}) > 0
    assert shop.index.count("image.modified_at > now - 1d and image.modified_at < now + 1d") > 0
    assert shop.index.count("image.modified_at < 2000") == 0


def test_case_is_ignored_on_request(shop: Shop) -> None:
    assert shop.index.count('image.format ~= "jpeg"') == shop.index.count()
    assert shop.index.count('image.format = "jpeg"') == 0
    assert shop.index.count('image.uri matches "003 JPG"') == 1
