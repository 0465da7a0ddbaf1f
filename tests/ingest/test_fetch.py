"""Images that metadata names by address: fetched only when asked to, and only if changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import InputError
from lookalike.facade.inputs import opened
from lookalike.index import Index
from lookalike.ingest.report import IngestReport
from lookalike.ingest.run import AddRequest
from lookalike.types import DecodeLimits
from tests.support.pictures import folder_of
from tests.support.web import Page, Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with six pictures: /000.jpg, /001.jpg, …"""
    with open_site() as opened:
        for file in folder_of(tmp_path / "site", 6).iterdir():
            opened.pages[f"/{file.name}"] = Page.tagged(file.read_bytes())
        yield opened


class Shop:
    """An index, and the table that fills it."""

    def __init__(self, index: Index, site: Site, table: Path) -> None:
        self.index = index
        self.site = site
        self.table = table

    def add(self, *rows: str, header: str = "id,image_link,price", **options: Any) -> IngestReport:
        """Writes rows, with HOST for the site, and brings the index up to date with them."""
        text = "\n".join([header, *rows]).replace("HOST", self.site.url)
        self.table.write_text(text, "utf-8")
        self.site.forget()
        chosen = {"fetch": True, "private": [self.site.host], "metadata": self.table, **options}
        return self.index.add(**chosen)

    def prices(self) -> dict[str, Any]:
        return {point.id: point.payload.get("price") for point in self.index.scroll()}


@pytest.fixture
def shop(index: Index, site: Site, tmp_path: Path) -> Shop:
    return Shop(index, site, tmp_path / "shop.csv")


def test_pictures_are_fetched_once_and_fields_follow_alone(shop: Shop) -> None:
    first = shop.add("a,HOST/000.jpg,10", "b,HOST/001.jpg|HOST/002.jpg,20")
    assert (first.added, first.rejected, len(first.warnings)) == (3, 0, 0)
    assert shop.prices() == {"a": 10, "b": 20, "b#2": 20}
    before = shop.index.get("b", vectors=True)
    again = shop.add("a,HOST/000.jpg,10", "b,HOST/001.jpg|HOST/002.jpg,20")
    assert (again.unchanged, again.done) == (3, 3)
    assert len(shop.site.requests) == 3
    assert not shop.site.sent.total()
    dearer = shop.add("a,HOST/000.jpg,10", "b,HOST/001.jpg|HOST/002.jpg,21")
    assert (dearer.updated, dearer.unchanged) == (2, 1)
    assert not shop.site.sent.total()
    assert shop.prices() == {"a": 10, "b": 21, "b#2": 21}
    after = shop.index.get("b", vectors=True)
    assert after.payload["image"] == before.payload["image"]
    quick = shop.add("a,HOST/000.jpg,11", "b,HOST/001.jpg|HOST/002.jpg,21", recheck=False)
    assert (quick.updated, quick.unchanged) == (1, 2)
    assert not shop.site.requests


def test_changed_pictures_and_addresses_are_fetched_again(shop: Shop) -> None:
    shop.add("a,HOST/000.jpg,1", "b,HOST/001.jpg,2")
    hashes = {p.id: p.payload["image"]["sha256"] for p in shop.index.scroll()}
    shop.site.pages["/000.jpg"] = shop.site.pages["/005.jpg"]
    changed = shop.add("a,HOST/000.jpg,1", "b,HOST/001.jpg,2")
    assert (changed.updated, changed.unchanged) == (1, 1)
    assert shop.site.sent == {"/000.jpg": 1}
    assert shop.index.get("a").payload["image"]["sha256"] != hashes["a"]
    shop.site.pages["/new.jpg"] = shop.site.pages["/001.jpg"]
    moved = shop.add("a,HOST/000.jpg,1", "b,HOST/new.jpg,2", recheck=False)
    assert (moved.moved, moved.unchanged) == (1, 1)
    assert shop.index.get("b").payload["image"]["uri"] == f"{shop.site.url}/new.jpg"
    assert shop.add("a,HOST/000.jpg,1", "b,HOST/new.jpg,2").unchanged == 2


def test_rows_that_share_a_picture_ask_for_it_once(shop: Shop) -> None:
    rows = [f"{size},HOST/000.jpg,5" for size in "SML"]
    assert shop.add(*rows).added == 3
    assert shop.site.requests == ["/000.jpg"]
    assert shop.add(*rows).unchanged == 3
    assert shop.site.requests == ["/000.jpg"]
    assert shop.add(*rows, "XL,HOST/000.jpg,5").added == 1


def test_a_picture_that_fails_keeps_what_the_index_has_of_it(shop: Shop) -> None:
    shop.add("a,HOST/000.jpg,1", "b,HOST/001.jpg,2", "c,HOST/002.jpg,3", "d,HOST/003.jpg,4")
    shop.site.pages["/000.jpg"] = Page(status=404)
    shop.site.pages["/001.jpg"] = Page(b"<html>not a picture</html>")
    report = shop.add(
        *("a,HOST/000.jpg,11", "b,HOST/001.jpg,12", "c,HOST/gone.jpg,13", "d,HOST/003.jpg,14"),
        *("e,HOST/gone.jpg,15", "f,http://10.0.0.1/a.jpg,16"),
        prune=True,
    )
    assert (report.rejected, report.updated, report.removed) == (5, 1, 0)
    details = {reject.uri.removeprefix(shop.site.url): reject.detail for reject in report.rejects}
    assert "answers 404" in details["/000.jpg"]
    assert "answers 404" in details["/gone.jpg"]
    assert "not a host on the public internet" in details["http://10.0.0.1/a.jpg"]
    assert shop.prices() == {"a": 11, "b": 12, "c": 13, "d": 14}
    assert shop.index.get("c").payload["image"]["uri"] == f"{shop.site.url}/002.jpg"


def test_prune_removes_rows_of_this_table_alone(shop: Shop, tmp_path: Path) -> None:
    shop.add(*(f"{n},HOST/00{n}.jpg,{n}" for n in range(6)))
    other = Shop(shop.index, shop.site, tmp_path / "other.csv")
    assert other.add("x,HOST/000.jpg,1", "y,HOST/001.jpg,1").added == 2
    photos = folder_of(tmp_path / "photos", 1, first=40)
    assert shop.index.add(photos).added == 1
    gone = shop.add(*(f"{n},HOST/00{n}.jpg,{n}" for n in range(5)))
    assert gone.without_row == 1
    gone = shop.add(*(f"{n},HOST/00{n}.jpg,{n}" for n in range(5)), prune=True)
    assert (gone.removed, gone.prune_refused) == (1, None)
    refused = shop.add("0,HOST/000.jpg,1", prune=True)
    assert "4 of the 5 images" in (refused.prune_refused or "")
    shop.add("0,HOST/000.jpg,1", prune=True, yes=True)
    assert shop.prices().keys() == {"0", "x", "y", str(photos / "040.jpg")}


def test_files_and_addresses_stand_side_by_side(shop: Shop, tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 2, first=40)
    rows = ["a,040.jpg,1", "b,HOST/001.jpg,2"]
    report = shop.index.add(photos)
    shop.add(*rows)
    report = shop.add(*rows)
    assert shop.prices().keys() == {"b", *map(str, photos.iterdir())}
    (warning,) = report.warnings
    assert "1 row names an image that is not listed, such as 040.jpg" in warning.detail


def test_addresses_are_left_alone_without_being_asked_to(shop: Shop, photos: Path) -> None:
    shop.table.write_text("id,image\na,000.jpg\nb,https://a.example/b.jpg\n")
    report = shop.index.add(photos, metadata=shop.table)
    (warning,) = report.warnings
    assert "such as https://a.example/b.jpg; --fetch downloads images" in warning.detail
    with pytest.raises(InputError, match="Only a feed or metadata names images"):
        shop.index.add(photos, fetch=True)


@pytest.mark.slow
def test_ten_thousand_pictures_of_one_product_are_all_accounted_for(shop: Shop) -> None:
    names = "|".join(f"http://10.0.0.1/{n}.jpg" for n in range(10_000))
    report = shop.add(f"a,HOST/000.jpg|{names},1")
    assert (report.added, report.rejected) == (1, 10_000)


@pytest.mark.parametrize("host", ["localhost:80", "10.0.0.1", "10.0.0.1:x", "u@10.0.0.1:80", ""])
def test_a_private_host_is_an_address_with_a_port(host: str) -> None:
    request = AddRequest.of({"metadata": "a.csv", "fetch": True, "private": [host]})
    with (
        pytest.raises(InputError, match="is not an IP address with a port"),
        opened([], request, DecodeLimits()),
    ):
        pass


def test_parts_of_a_table_are_fetched_by_partition(shop: Shop) -> None:
    rows = [f"{n},HOST/00{n}.jpg,{n}" for n in range(6)]
    parts = [shop.add(*rows, partition=(n, 2), prune=True) for n in (1, 2)]
    assert sum(part.added for part in parts) == 6
    assert [shop.add(*rows, partition=(n, 2), prune=True).removed for n in (1, 2)] == [0, 0]
    assert len(shop.prices()) == 6
