"""A catalog feed as the source of an index: it is the truth, and prices change without pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import InputError, MetadataError
from lookalike.index import Index
from lookalike.ingest.report import IngestReport
from tests.support.command_line import error, lookalike
from tests.support.pictures import folder_of
from tests.support.web import Page, Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A shop with twelve pictures: /000.jpg, /001.jpg, …"""
    with open_site() as opened:
        for file in folder_of(tmp_path / "site", 12).iterdir():
            opened.pages[f"/{file.name}"] = Page.tagged(file.read_bytes())
        yield opened


def xml_of(site: Site, products: dict[str, tuple[str, float]]) -> bytes:
    """A Merchant feed with the picture and the price of each product."""
    items = "".join(
        f"<item><g:id>{id}</g:id><g:title>Product {id}</g:title><g:price>{price} EUR</g:price>"
        f"<g:image_link>{site.url}/{picture}</g:image_link>"
        "<g:availability>in stock</g:availability></item>"
        for id, (picture, price) in products.items()
    )
    return f"<rss><channel>{items}</channel></rss>".encode()


def add(index: Index, site: Site, source: object, **options: Any) -> IngestReport:
    site.forget()
    return index.add(str(source), fetch=True, private=[site.host], **options)


def pictures_sent(site: Site) -> int:
    return sum(count for path, count in site.sent.items() if path.endswith(".jpg"))


def test_a_feed_at_an_address_is_the_truth(index: Index, site: Site, tmp_path: Path) -> None:
    products = {str(n): (f"{n:03}.jpg", 10.0 + n) for n in range(10)}
    address = f"{site.url}/feed.xml?token=secret"

    def publish(**options: Any) -> IngestReport:
        site.pages["/feed.xml"] = Page(xml_of(site, products))
        return add(index, site, address, **options)

    assert index.add(folder_of(tmp_path / "other", 1, first=40)).added == 1
    assert (report := publish()).added == 10, report
    assert index.get("3").payload.items() >= {
        "title": "Product 3", "price": 13.0, "currency": "EUR", "in_stock": True, "product": "3",
    }.items()  # fmt: skip
    assert "secret" not in json.dumps([point.payload for point in index.scroll()])
    products["3"] = ("003.jpg", 99.0)
    assert ((report := publish()).updated, report.unchanged) == (1, 9)
    assert pictures_sent(site) == 0
    assert index.get("3").payload["price"] == 99.0
    del products["9"]
    products["11"] = ("011.jpg", 5.0)
    report = publish(recheck=False)
    assert (report.added, report.removed, report.unchanged) == (1, 1, 9)
    assert [path for path in site.requests if path.endswith(".jpg")] == ["/011.jpg"]
    for n in range(5):
        del products[str(n)]
    report = publish()
    assert report.removed == 0
    assert "5 of the 10 images" in (report.prune_refused or "")
    assert publish(yes=True).removed == 5
    assert len(list(index.scroll())) == 6


@pytest.mark.slow  # 30 seconds: ten thousand requests
def test_a_product_with_thousands_of_pictures_holds_up_no_other(
    index: Index, site: Site, tmp_path: Path
) -> None:
    pictures = [page for page in site.pages.values() if isinstance(page, Page)]
    site.pages["/p.jpg"] = lambda query: pictures[int(query) % len(pictures)]
    feed = tmp_path / "feed.xml"

    def publish(count: int, price: int) -> None:
        link = "<g:{0}image_link>{1}/p.jpg?{2}</g:{0}image_link>".format
        links = [link("additional_" if n else "", site.url, n) for n in range(count)]
        items = [f"<g:id>1</g:id><g:price>{price}</g:price>{''.join(links)}"]
        items += [f"<g:id>2</g:id>{links[0]}", "<g:id>3</g:id>" + link("", site.url, "none")]
        feed.write_text(f"<rss><item>{'</item><item>'.join(items)}</item></rss>")

    publish(10_000, price=5)
    report = add(index, site, feed, optimize=False)
    assert (report.added, report.rejected) == (10_001, 1)
    publish(10_000, price=6)
    report = add(index, site, feed, optimize=False, recheck=False)
    assert (report.updated, report.unchanged) == (10_000, 1)
    assert index["1#9999"].payload["product"] == "1"
    publish(1, price=6)
    report = add(index, site, feed, optimize=False, recheck=False)
    assert "9,999 of the 10,001 images" in (report.prune_refused or "")
    report = add(index, site, feed, optimize=False, recheck=False, yes=True)
    assert (report.removed, index.count()) == (9_999, 2)


def test_products_json_is_read_page_by_page(index: Index, site: Site) -> None:
    products = [
        {
            "handle": f"p{n}",
            "title": f"Product {n}",
            "variants": [{"price": f"{n}.50", "available": n % 2 == 0}],
            "images": [{"src": f"{site.url}/{n:03}.jpg", "position": 1}],
        }
        for n in range(5)
    ]
    asked: list[str] = []

    def page(query: str) -> Page:
        asked.append(query)
        if len(asked) == 2:
            return Page(status=429, headers={"Retry-After": "0"})
        number = int(query.rpartition("=")[2])
        return Page(json.dumps({"products": products[2 * number - 2 : 2 * number]}).encode())

    site.pages["/products.json"] = page
    assert add(index, site, f"{site.url}/products.json").added == 5
    assert asked == [f"limit=250&page={n}" for n in (1, 2, 2, 3, 4)]
    hits = {point.id: point.payload["in_stock"] for point in index.scroll()}
    assert hits == {f"p{n}": n % 2 == 0 for n in range(5)}


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (Page(b"<!doctype html><title>Log in</title>"), "is an HTML page, not a feed"),
        (Page(b"<rss><item><g:id>1</g:id>"), "ends early"),
        (Page(status=403), "answers 403; check the address"),
        (Page(), "cannot be used: the file has no bytes"),
        (Page(status=302, headers={"Location": "/feed.xml"}), "Too many redirects"),
        (Page(status=429, headers={"Retry-After": "7200"}), "asks for a pause of 7,"),
    ],
)
def test_a_feed_that_cannot_be_had_leaves_the_index_alone(
    index: Index, site: Site, page: Page, why: str
) -> None:
    site.pages["/feed.xml"] = Page(xml_of(site, {"1": ("001.jpg", 1)}))
    add(index, site, f"{site.url}/feed.xml")
    site.pages["/feed.xml"] = page
    with pytest.raises(MetadataError) as caught:
        add(index, site, f"{site.url}/feed.xml?key=secret")
    message = str(caught.value)
    assert why in message
    assert message.startswith(f"{site.url}/feed.xml?")
    assert "secret" not in message
    assert len(list(index.scroll())) == 1


def test_a_feed_stands_alone_and_is_fetched_on_request(index: Index, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("id,image_link\n1,https://a.example/1.jpg\n")
    with pytest.raises(InputError, match="names images by address: add --fetch"):
        index.add(feed)
    with pytest.raises(InputError, match="which names all images itself: give it alone"):
        index.add(feed, folder_of(tmp_path / "photos", 1), fetch=True)
    with pytest.raises(InputError, match="is a feed"):
        index.add(feed, fetch=True, metadata=feed)


def test_the_command_takes_a_feed(site: Site, tmp_path: Path) -> None:
    feed = tmp_path / "feed.tsv"
    feed.write_text(
        "id\timage_link\tadditional_image_link\tprice\n"
        + "".join(f"{n}\t{site.url}/{n:03}.jpg\t{site.url}/{n + 6:03}.jpg\t{n}\n" for n in range(4))
    )
    command = ["index", feed, "--index", tmp_path / "i", "--model", "built-in"]
    assert "--fetch" in error(*command)
    shown = lookalike(*command, "--fetch", "--private", site.host).stdout
    assert "added 8 · updated 0" in shown
    with Index.open(tmp_path / "i") as index:
        hits = index.search(id="1", collapse="product")
        assert len({hit.payload["product"] for hit in hits}) == len(hits) == 4
        assert index.get("2#2").payload["product"] == "2"
