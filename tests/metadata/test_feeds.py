"""Catalog feeds: every form of one gives the same products, and what is no feed is one sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import MetadataError
from lookalike.metadata.products import finished
from lookalike.metadata.table import MetadataTable, read_metadata

GOOGLE_COLUMNS = [
    *("id", "title", "description", "link", "image_link", "additional_image_link", "price"),
    *("sale_price", "availability", "brand", "gtin", "item_group_id", "custom_label_0", "shipping"),
]
GOOGLE_ROW = (
    "7-s", "Red dress", "A very long text", "https://shop.example/7",
    "https://cdn.example/w_1,h_2/a.jpg",
    "https://cdn.example/b.jpg,https://cdn.example/c.jpg?v=1", "1,299.00 USD", "15.50 USD",
    "in stock", "ACME", "0012345", "7", "summer", "US:CA:Ground:5.00 USD",
)  # fmt: skip
GOOGLE_FIELDS = {
    "title": "Red dress", "link": "https://shop.example/7", "price": 1299.0, "currency": "USD",
    "sale_price": 15.5, "availability": "in_stock", "in_stock": True, "brand": "ACME",
    "gtin": "0012345", "product": "7", "custom_label_0": "summer",
}  # fmt: skip
GOOGLE_IMAGES = [
    "https://cdn.example/w_1,h_2/a.jpg",
    "https://cdn.example/b.jpg",
    "https://cdn.example/c.jpg?v=1",
]


def google_table(separator: str, names: list[str]) -> str:
    cells = [f'"{cell}"' for cell in GOOGLE_ROW]
    return separator.join(names) + "\n" + separator.join(cells) + "\n"


def google_xml(root: str, item: str, prefix: str = "g:") -> str:
    cells = dict(zip(GOOGLE_COLUMNS, GOOGLE_ROW, strict=True))
    several = cells.pop("additional_image_link").split(",https")
    parts = [f"<{prefix}{name}>{text}</{prefix}{name}>" for name, text in cells.items()]
    parts += [
        f"<{prefix}additional_image_link>{text}</{prefix}additional_image_link>"
        for text in (several[0], f"https{several[1]}")
    ]
    parts.append(f"<{prefix}tax><{prefix}rate>5</{prefix}rate></{prefix}tax>")
    return (
        f'<?xml version="1.0"?><{root} xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>'
        f"<{item}>{''.join(parts)}</{item}></{root}>"
    )


GOOGLE = {
    "feed.tsv": google_table("\t", GOOGLE_COLUMNS),
    "feed.txt": google_table("\t", [name.replace("_", " ") for name in GOOGLE_COLUMNS]),
    "feed.csv": google_table(",", [f"g:{name}" for name in GOOGLE_COLUMNS]),
    "rss.xml": google_xml("rss", "item"),
    "atom.xml": google_xml("feed", "entry"),
    "plain.xml": google_xml("rss", "item", prefix=""),
    "rss": google_xml("rss", "item"),
}

SHOPIFY_IMAGES = [
    "https://cdn.example/front.jpg?v=2",
    "https://cdn.example/back.jpg",
    "https://cdn.example/red.jpg",
]
SHOPIFY_FIELDS = {
    "title": "Tee", "brand": "ACME", "product": "tee", "product_type": "Shirts", "price": 17.9,
    "compare_at_price": 25.0, "availability": "in_stock", "in_stock": True,
    "tags": ["new", "summer"], "color": ["Red", "Blue"], "sku": ["t-1", "t-2"],
}  # fmt: skip
_OLD = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Option1 Name,Option1 Value,Variant SKU,"
    "Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,"
    "Variant Compare At Price,Image Src,Image Position,Variant Image,SEO Title"
)
_NEW = (
    "URL handle,Title,Description,Vendor,Type,Tags,Option1 name,Option1 value,SKU,"
    "Inventory tracker,Inventory quantity,Continue selling when out of stock,Price,"
    "Compare-at price,Product image URL,Image position,Variant image URL,SEO title"
)
_ROWS = """
tee,Tee,<p>Long</p>,ACME,Shirts,"new, summer",Color,Red,t-1,shopify,0,deny,19.90,25.00,https://cdn.example/back.jpg,2,https://cdn.example/red.jpg,x
tee,,,,,,,Blue,t-2,shopify,3,deny,17.90,,//cdn.example/front.jpg?v=2,1,,
"""
PRODUCTS = {
    "products": [
        {
            "id": 1,
            "handle": "tee",
            "title": "Tee",
            "vendor": "ACME",
            "product_type": "Shirts",
            "tags": ["new", "summer"],
            "options": [{"name": "Color", "values": ["Red", "Blue"]}],
            "variants": [
                {"price": "19.90", "compare_at_price": "25.00", "sku": "t-1", "available": False},
                {"price": "17.90", "compare_at_price": None, "sku": "t-2", "available": True},
            ],
            "images": [
                {"src": "https://cdn.example/back.jpg", "position": 2},
                {"src": "//cdn.example/front.jpg?v=2", "position": 1},
                {"src": "https://cdn.example/red.jpg", "position": 3},
            ],
        }
    ]
}
SHOPIFY = {
    "old.csv": _OLD + _ROWS,
    "new.csv": _NEW + _ROWS,
    "products.json": json.dumps(PRODUCTS),
    "products.jsonl": json.dumps(PRODUCTS["products"][0]),
}


def feed(tmp_path: Path, name: str, content: str | bytes, **options: Any) -> MetadataTable:
    """Opens a feed with some content."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_metadata(path, feed=str(path), **options)


def refusal(tmp_path: Path, name: str, content: str | bytes, **options: Any) -> str:
    """The sentence that refuses a feed."""
    with pytest.raises(MetadataError) as caught, feed(tmp_path, name, content, **options):
        pass
    message = str(caught.value)
    assert message.endswith(".")
    assert message.startswith(str(tmp_path / name))
    return message


@pytest.mark.parametrize(
    ("name", "content", "id", "fields", "images"),
    [
        *((name, content, "7-s", GOOGLE_FIELDS, GOOGLE_IMAGES) for name, content in GOOGLE.items()),
        *((name, text, "tee", SHOPIFY_FIELDS, SHOPIFY_IMAGES) for name, text in SHOPIFY.items()),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_product(
    tmp_path: Path, name: str, content: str, id: str, fields: dict[str, Any], images: list[str]
) -> None:
    with feed(tmp_path, name, content) as table:
        (row,) = table.rows()
        assert row.id == id
        assert row.fields == fields
        assert list(table.addresses()) == images
        assert not list(table.warnings)


@pytest.mark.parametrize("name", ["feed.xml", "feed.tsv", "products.json"])
def test_a_product_may_have_thousands_of_pictures(tmp_path: Path, name: str) -> None:
    first, *others = pictures = [f"https://cdn.example/{n}.jpg" for n in range(10_000)]
    more = "".join(f"<g:additional_image_link>{url}</g:additional_image_link>" for url in others)
    item = f"<g:id>1</g:id><g:image_link>{first}</g:image_link>{more}"
    product = {"handle": "1", "images": [{"src": url} for url in pictures]}
    content = {
        "feed.xml": f"<rss><item>{item}</item></rss>",
        "feed.tsv": f"id\timage_link\tadditional_image_link\n1\t{first}\t{','.join(others)}\n",
        "products.json": json.dumps({"products": [product]}),
    }
    with feed(tmp_path, name, content[name]) as table:
        (row,) = table.rows()
        assert row.id == "1"
        assert list(table.addresses()) == pictures


@pytest.mark.parametrize("name", [*GOOGLE, *SHOPIFY])
def test_a_compressed_feed_is_read_like_any_other(tmp_path: Path, name: str) -> None:
    content = {**GOOGLE, **SHOPIFY}[name]
    for other in (f"{name}.gz", name):  # some servers leave the ending out
        with feed(tmp_path, other, gzip.compress(content.encode())) as table:
            assert [row.id for row in table.rows()] == ["tee" if name in SHOPIFY else "7-s"]
            assert table.path == tmp_path / other


def test_a_plain_table_keeps_its_columns(tmp_path: Path) -> None:
    content = "sku,image_url,price,season\n7,https://a.example/1.jpg,15,summer\n"
    with feed(tmp_path, "plain.csv", content, id_field="sku") as table:
        (row,) = table.rows()
        assert (row.id, row.fields) == ("7", {"price": 15, "season": "summer"})
    rows = [{"id": "7", "image": "https://a.example/1.jpg", "season": "summer"}]
    with feed(tmp_path, "plain.json", json.dumps(rows)) as table:
        assert [row.fields for row in table.rows()] == [{"season": "summer"}]


@pytest.mark.parametrize(
    ("text", "price", "currency"),
    [
        *(("15.00 USD", 15.0, "USD"), ("USD 15", 15.0, "USD"), ("1,299.00 XAF", 1299.0, "XAF")),
        *(("15,50 EUR", 15.5, "EUR"), ("€ 15.50", 15.5, "EUR"), ("1.299,00 EUR", 1299.0, "EUR")),
        *(("15", 15.0, None), ("on request", "on request", None)),
    ],
)
def test_prices(text: str, price: float | str, currency: str | None) -> None:
    row = finished({"price": text}, None)
    assert (row["price"], row.get("currency")) == (price, currency)


@pytest.mark.parametrize(
    ("text", "word", "in_stock"),
    [
        *(("in stock", "in_stock", True), ("in_stock", "in_stock", True)),
        *(("http://schema.org/InStock", "in_stock", True), ("Out of Stock", "out_of_stock", False)),
        *(("preorder", "preorder", False), ("backorder", "backorder", False)),
        ("maybe", "maybe", None),
    ],
)
def test_availability(text: str, word: str, in_stock: bool | None) -> None:
    row = finished({"availability": text}, None)
    assert (row["availability"], row.get("in_stock")) == (word, in_stock)


def test_rows_that_name_no_picture_or_a_known_id_are_passed_over(tmp_path: Path) -> None:
    content = (
        "id,image_link,title\n1,https://a.example/1.jpg,One\n2,,Two\n1,https://a.example/x.jpg,Again\n"
        "3,https://a.example/3.jpg,Three\n4\n"
    )
    with feed(tmp_path, "feed.csv", content) as table:
        assert [row.id for row in table.rows()] == ["1", "3"]
        assert list(table.addresses()) == ["https://a.example/1.jpg", "https://a.example/3.jpg"]
        details = [str(warning) for warning in table.warnings]
        assert table.unread_rows == 1  # the last, which may be of any product
    assert "line 3 (2): image_link: is empty; the row is left out" in details
    assert "line 4 (1): id: has the id of line 2; left out" in details
    assert "line 6: has 1 cell under 3 columns; left out" in details


def test_the_first_item_need_not_have_every_element(tmp_path: Path) -> None:
    items = "<item><g:id>1</g:id></item><item><g:id>2</g:id><g:image_link>https://a.example/2.jpg</g:image_link></item>"
    with feed(tmp_path, "feed.xml", f"<rss>{items}</rss>") as table:
        assert [row.id for row in table.rows()] == ["2"]


# --- what is no feed --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["feed.xml", "feed.csv", "products.json"])
@pytest.mark.parametrize(
    "page",
    [
        "<!DOCTYPE html><html><body>Log in</body></html>",
        "\ufeff \n<html lang='en'><p>Oops",
        '<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x" "y"><html/>',
    ],
)
def test_an_html_page_is_no_feed(tmp_path: Path, name: str, page: str) -> None:
    assert "is an HTML page, not a feed" in refusal(tmp_path, name, page)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["rss.xml", "products.json"])
def test_a_feed_that_ends_early_is_refused_whole(tmp_path: Path, name: str, cut: float) -> None:
    content = {**GOOGLE, **SHOPIFY}[name]
    message = refusal(tmp_path, name, content[: int(len(content) * cut)])
    assert "download it again" in message or "is not valid XML" in message


def test_a_table_that_ends_early_says_so(tmp_path: Path) -> None:
    with feed(tmp_path, "feed.tsv", GOOGLE["feed.tsv"] + "8-s\tBlue dr") as table:
        assert table.unread_rows == 1
    quoted = refusal(tmp_path, "feed.tsv", GOOGLE["feed.tsv"][:-30])
    assert "close its quotes" in quoted


@pytest.mark.parametrize("name", ["feed.csv", "products.json"])
def test_a_wrong_encoding_is_one_sentence(tmp_path: Path, name: str) -> None:
    content = {**GOOGLE, **SHOPIFY}[name].replace("ACME", "Müller")
    assert "is not UTF-8" in refusal(tmp_path, name, content.encode("cp1252"))
    with feed(tmp_path, name, content.encode("cp1252"), encoding="cp1252") as table:
        assert [row.fields["brand"] for row in table.rows()] == ["Müller"]


def test_xml_may_name_its_encoding_rightly_or_wrongly(tmp_path: Path) -> None:
    content = GOOGLE["rss.xml"].replace("ACME", "Müller")
    declared = content.replace('version="1.0"', 'version="1.0" encoding="windows-1252"')
    with feed(tmp_path, "feed.xml", declared.encode("cp1252")) as table:
        assert [row.fields["brand"] for row in table.rows()] == ["Müller"]
    assert "--encoding" in refusal(tmp_path, "feed.xml", content.encode("cp1252"))
    unknown = content.replace('version="1.0"', 'version="1.0" encoding="klingon"')
    assert "--encoding" in refusal(tmp_path, "feed.xml", unknown)
    with feed(tmp_path, "feed.xml", unknown, encoding="utf-8") as table:
        assert [row.fields["brand"] for row in table.rows()] == ["Müller"]


def test_entities_are_refused_before_they_expand(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    outside = '<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    for declaration in (bomb, outside):
        content = f"{declaration}<rss><item><id>&b;&a;</id></item></rss>"
        assert 'declares the entity "a"' in refusal(tmp_path, "feed.xml", content)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("feed.xml", "", "is empty"),
        ("feed.csv", b"\x1f\x8b\x08rest", "is a gzip file that is cut off or damaged"),
        (
            "feed.csv.gz",
            gzip.compress(b"id,image_link\n1,a\n" * 999, mtime=0)[:-9],
            "is a gzip file that is",
        ),
        ("feed.csv.gz", gzip.compress(b"id,image_link\n1,\n", mtime=0), "names no images"),
        ("feed.csv", b"PK\x03\x04rest", "is a ZIP archive: unpack it first"),
        ("feed.xml", "<rss><channel><title>No items</title></channel></rss>", "it has no rows"),
        ("feed.json", '{"errors": "Not found"}', "it has no rows"),
        (
            "feed.xml",
            "<rss><item><g:id>1</g:id><g:title>x</g:title></item></rss>",
            "names no images",
        ),
        ("feed.csv", "id,image_link\n1,\n2,\n", "names no images"),
    ],
)
def test_what_else_is_no_feed(tmp_path: Path, name: str, content: str | bytes, why: str) -> None:
    assert why in refusal(tmp_path, name, content)
