"""Products of catalog feeds: rows of Google Merchant and Shopify, with one set of field names.

Each dialect is a table from the words of its headers to fields. A word is a header's letters and
digits in lower case: "Image Src", "image_src" and "g:image_src" are "imagesrc".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeAlias

from lookalike.metadata.notation import Decimal, amount_of
from lookalike.metadata.readers import Cells, MetadataWarning

ID, IMAGE, PRODUCT = "id", "image_link", "product"

Entry: TypeAlias = tuple[int, Cells] | MetadataWarning
"""A row with its line, or a warning in its place."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A form of feeds.

    Attributes:
        name: its name.
        needs: words of which the header has one of each group.
        fields: field by word; other columns are left out.
        group: word of the column by which neighboring rows are one product; empty for none.
    """

    name: str
    needs: Sequence[frozenset[str]]
    fields: Mapping[str, str]
    group: Sequence[str] = ()


_PLAIN = (
    *("title", "link", "brand", "gtin", "mpn", "color", "size", "gender", "material", "pattern"),
    *("condition", "price", "availability", "tags", "status", "sku"),
)
"""Fields whose columns have the same word in every dialect."""

GOOGLE = Dialect(
    name="Google Merchant",
    needs=(frozenset({"id"}), frozenset({"imagelink"})),
    fields={
        **{name: name for name in _PLAIN},
        "id": ID,
        "imagelink": IMAGE,
        "additionalimagelink": IMAGE,
        "itemgroupid": PRODUCT,
        "saleprice": "sale_price",
        "producttype": "product_type",
        "googleproductcategory": "category",
        "agegroup": "age_group",
        **{f"customlabel{n}": f"custom_label_{n}" for n in range(5)},
    },
)
SHOPIFY = Dialect(
    name="Shopify",
    needs=(frozenset({"handle", "urlhandle"}), frozenset({"imagesrc", "productimageurl"})),
    fields={
        **{name: name for name in _PLAIN},
        "handle": PRODUCT,
        "urlhandle": PRODUCT,
        "imagesrc": IMAGE,
        "productimageurl": IMAGE,
        "variantimage": "variant_image",
        "variantimageurl": "variant_image",
        "imageposition": "position",
        "vendor": "brand",
        "type": "product_type",
        "productcategory": "category",
        "variantprice": "price",
        "variantcompareatprice": "compare_at_price",
        "compareatprice": "compare_at_price",
        "variantsku": "sku",
        "variantinventorytracker": "tracker",
        "inventorytracker": "tracker",
        "variantinventoryqty": "quantity",
        "inventoryquantity": "quantity",
        "variantinventorypolicy": "policy",
        "continuesellingwhenoutofstock": "policy",
        **{f"option{n}{part}": f"option{n}{part}" for n in (1, 2, 3) for part in ("name", "value")},
    },
    group=("handle", "urlhandle"),
)
_DIALECTS = (GOOGLE, SHOPIFY)
_OPTIONS = {"color": "color", "colour": "color", "size": "size", "material": "material"}
_AMOUNTS = ("price", "sale_price", "compare_at_price")
_CURRENCY = re.compile(r"(?P<before>[A-Z]{3})?\s*(?P<number>.*?)\s*(?P<after>[A-Z]{3})?", re.DOTALL)
_AVAILABLE = frozenset({"in_stock", "available", "limited_availability"})
_SPELLINGS = {"instock": "in_stock", "outofstock": "out_of_stock", "soldout": "sold_out"}
_UNAVAILABLE = frozenset(
    {"out_of_stock", "sold_out", "preorder", "pre_order", "presale", "backorder", "back_order"}
    | {"discontinued", "unavailable"}
)
_BETWEEN_ADDRESSES = re.compile(r"\s*[,|\s]\s*(?=https?://|//)")


def dialect_of(columns: Iterable[str]) -> Dialect | None:
    """The dialect of a header; None for a plain table."""
    words = set(map(word_of, columns))
    return next((d for d in _DIALECTS if all(words & group for group in d.needs)), None)


@lru_cache(maxsize=1024)
def word_of(column: str) -> str:
    """The letters and digits of a column's name, in lower case, without a namespace."""
    return "".join(filter(str.isalnum, column.rpartition(":")[2].casefold()))


def products(
    entries: Iterable[Entry], dialect: Dialect, decimal: Decimal | None
) -> Iterator[Entry]:
    """The rows of a feed as products: ids, lists of pictures, and fields with uniform values.

    Args:
        entries: the rows as they are in the file.
        dialect: their dialect.
        decimal: the preferred decimal sign of prices.
    """
    finish: Callable[[Cells], Cells] = lambda cells: finished(cells, decimal)  # noqa: E731
    known = (
        entry if isinstance(entry, MetadataWarning) else (entry[0], _known(entry[1], dialect))
        for entry in entries
    )
    if not dialect.group:
        for entry in known:
            yield entry if isinstance(entry, MetadataWarning) else (entry[0], finish(entry[1]))
        return
    for _, group in groupby(known, key=_handle):
        several = list(group)
        yield from (entry for entry in several if isinstance(entry, MetadataWarning))
        rows = [entry for entry in several if not isinstance(entry, MetadataWarning)]
        if rows:
            yield rows[0][0], finish(_merged([cells for _, cells in rows], decimal))


def shopify_products(entries: Iterable[Entry], decimal: Decimal | None) -> Iterator[Entry]:
    """The objects of Shopify's `products.json` as products."""
    for entry in entries:
        if isinstance(entry, MetadataWarning):
            yield entry
        else:
            yield entry[0], _shopify_product(entry[1], decimal)


def _shopify_product(product: Mapping[str, Any], decimal: Decimal | None) -> Cells:
    variants = [one for one in _list(product.get("variants")) if isinstance(one, Mapping)]
    images = sorted(
        (one for one in _list(product.get("images")) if isinstance(one, Mapping)),
        key=lambda image: _number(image.get("position")),
    )
    cells: Cells = {
        PRODUCT: product.get("handle"),
        ID: product.get("handle"),
        IMAGE: [image.get("src") for image in images],
        "title": product.get("title"),
        "brand": product.get("vendor"),
        "product_type": product.get("product_type"),
        "tags": product.get("tags"),
        "sku": [one.get("sku") for one in variants],
        "price": _least([one.get("price") for one in variants], decimal),
        "compare_at_price": _least([one.get("compare_at_price") for one in variants], decimal),
    }
    stock = [one["available"] for one in variants if isinstance(one.get("available"), bool)]
    if stock:
        cells["availability"] = "in_stock" if any(stock) else "out_of_stock"
    for option in _list(product.get("options")):
        if isinstance(option, Mapping):
            name = _OPTIONS.get(word_of(str(option.get("name"))))
            if name:
                cells[name] = _list(option.get("values"))
    return finished(cells, decimal)


def finished(cells: Cells, decimal: Decimal | None) -> Cells:
    """A row whose prices are numbers with their currency aside, whose availability is one of few
    words with a boolean beside it, and whose pictures are a list of full addresses."""
    row: Cells = {name: value for name, value in cells.items() if value not in (None, "", [])}
    row[IMAGE] = list(dict.fromkeys(_addresses(row.get(IMAGE))))
    if PRODUCT not in row and ID in row:
        row[PRODUCT] = row[ID]  # a product without variants is its own group
    for name in _AMOUNTS:
        if isinstance(row.get(name), str):
            row[name], currency = _amount(row[name], decimal)
            if currency:
                row.setdefault("currency", currency)
    if isinstance(row.get("tags"), str):
        row["tags"] = [tag.strip() for tag in row["tags"].split(",") if tag.strip()]
    if "availability" in row:
        row["availability"], in_stock = _availability(str(row["availability"]))
        if in_stock is not None:
            row["in_stock"] = in_stock
    for name in ("color", "size", "material", "sku"):
        if isinstance(row.get(name), list):
            row[name] = list(dict.fromkeys(str(value) for value in row[name] if value))
    return row


def _known(cells: Cells, dialect: Dialect) -> Cells:
    """The cells of the dialect's columns, by field; a column with a namespace comes first."""
    row: Cells = {}
    pictures: list[Any] = []
    for name, field in _fields(tuple(cells), dialect.name):
        value = cells[name]
        if value is None or value == "":
            continue
        if field == IMAGE:
            first = word_of(name) in dialect.needs[1]
            pictures.insert(0, value) if first else pictures.append(value)
        else:
            row.setdefault(field, value[0] if isinstance(value, list) and value else value)
    row[IMAGE] = [part for value in pictures for part in _list(value)]
    return row


@lru_cache(maxsize=1024)
def _fields(columns: Sequence[str], dialect: str) -> Sequence[tuple[str, str]]:
    """The columns of a dialect's fields, with these; those with a namespace come first."""
    fields = next(one.fields for one in _DIALECTS if one.name == dialect)
    ordered = sorted(columns, key=lambda column: ":" not in column)
    named = ((column, fields.get(word_of(column))) for column in ordered)
    return [(column, field) for column, field in named if field is not None]


# --- Shopify's tables -----------------------------------------------------------------------


def _handle(entry: Entry) -> Any:
    return None if isinstance(entry, MetadataWarning) else entry[1].get(PRODUCT)


def _merged(rows: Sequence[Cells], decimal: Decimal | None) -> Cells:
    """The product that several rows of Shopify's tables describe: its variants and pictures."""
    pictures = sorted((row for row in rows if row[IMAGE]), key=lambda row: _position(row))
    variants = [row for row in rows if row.get("price")]
    merged = {name: value for row in reversed(rows) for name, value in row.items()}
    merged[ID] = merged.get(PRODUCT)
    merged[IMAGE] = [
        *(part for row in pictures for part in row[IMAGE]),
        *(row["variant_image"] for row in rows if row.get("variant_image")),
    ]
    merged["sku"] = [row["sku"] for row in rows if row.get("sku")]
    for name in ("price", "compare_at_price"):
        merged[name] = _least([row.get(name) for row in variants], decimal)
    if any("quantity" in row for row in variants):
        merged["availability"] = "in_stock" if any(map(_sells, variants)) else "out_of_stock"
    for n in (1, 2, 3):
        option = _OPTIONS.get(word_of(str(rows[0].get(f"option{n}name", ""))))
        if option:
            merged[option] = [row[f"option{n}value"] for row in rows if row.get(f"option{n}value")]
    internal = {"variant_image", "position", "tracker", "quantity", "policy"}
    return {
        name: value
        for name, value in merged.items()
        if name not in internal and not name.startswith("option")
    }


def _position(row: Cells) -> float:
    return _number(row.get("position"))


def _sells(variant: Cells) -> bool:
    """True if a variant can be bought: stock is not counted, is left, or may run out."""
    untracked = not variant.get("tracker")
    oversold = str(variant.get("policy", "")).casefold() in ("continue", "true", "yes")
    return untracked or oversold or _number(variant.get("quantity"), 0) > 0


# --- values ---------------------------------------------------------------------------------


def _addresses(value: Any) -> Iterator[str]:
    """The addresses in a value; those without a scheme, as Shopify writes them, get one."""
    for text in _list(value):
        for part in _BETWEEN_ADDRESSES.split(str(text).strip()) if text else ():
            if part:
                yield f"https:{part}" if part.startswith("//") else part


@lru_cache(maxsize=4096)  # many products share a price
def _amount(text: str, decimal: Decimal | None) -> tuple[float | str, str]:
    """A price and its currency; the text itself if it is no price."""
    match = _CURRENCY.fullmatch(text.strip())
    number = match["number"] if match else text
    amount = amount_of(number)
    if match is None or amount is None:
        return text, ""
    wanted = decimal or Decimal.POINT
    reading = amount.by_decimal.get(wanted) or next(iter(amount.by_decimal.values()))
    return float(reading), match["before"] or match["after"] or amount.currency


def _least(prices: Iterable[Any], decimal: Decimal | None) -> Any:
    """The lowest of some prices; without one that is a number, the first text."""
    texts = [str(price) for price in prices if price not in (None, "")]
    numbers = [number for text in texts if isinstance(number := _amount(text, decimal)[0], float)]
    return min(numbers) if numbers else next(iter(texts), None)


@lru_cache(maxsize=1024)
def _availability(text: str) -> tuple[str, bool | None]:
    """A word for the availability of a product, and whether it is in stock, where that is known."""
    word = text.strip().rpartition("/")[2].casefold()  # schema.org writes an address
    word = re.sub(r"[\s-]+", "_", word)
    word = _SPELLINGS.get(word, word)
    is_known = word in _AVAILABLE or word in _UNAVAILABLE
    return word, word in _AVAILABLE if is_known else None


def _number(value: Any, default: float = float("inf")) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
