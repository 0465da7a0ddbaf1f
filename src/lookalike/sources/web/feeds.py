"""Downloads of catalog feeds, to files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path, PurePath
from posixpath import basename
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from lookalike.errors import ImageRejected, InputError, MetadataError
from lookalike.sources.web.hosts import Hosts
from lookalike.sources.web.source import browser_url
from lookalike.types import DecodeLimits

LIMITS = DecodeLimits(bytes=2**32)
"""Feeds of more bytes are refused."""
TIMEOUT = 900.0
"""Seconds for the download of a feed, or of one page of it."""
PAGE = 250
"""Products on a page, the most that Shopify sends."""
_HEADERS = {"Accept": "*/*"}
_PAGED = "products.json"


def feed_name(address: str) -> str:
    """The address of a feed as images are stored with it: a query may hold a secret, so only a
    digest tells it from others."""
    parts = urlsplit(address)
    digest = f"?{sha256(parts.query.encode()).hexdigest()[:8]}" if parts.query else ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")) + digest


def download(address: str, folder: Path, hosts: Hosts) -> Path:
    """Downloads a feed; of Shopify's `products.json`, all pages as JSON Lines.

    Raises:
        MetadataError: it cannot be downloaded whole.
    """
    name = basename(urlsplit(address).path) or "feed"
    try:
        if name == _PAGED:
            path = folder / "products.jsonl"
            with path.open("w", encoding="utf-8") as lines:
                for product in _pages(address, folder / name, hosts):
                    lines.write(json.dumps(product) + "\n")
            return path
        path = folder / f"feed{''.join(PurePath(name).suffixes[-2:])[:20]}"
        with path.open("wb") as file:
            _get(address, file, hosts)
    except ImageRejected as error:
        raise MetadataError(f"{feed_name(address)} cannot be used: {error.detail}.") from error
    except MetadataError:
        raise
    except InputError as error:
        raise MetadataError(f"{feed_name(address)} cannot be downloaded: {error}") from error
    return path


def _get(address: str, into: IO[bytes], hosts: Hosts) -> None:
    response = hosts.request(browser_url(address), _HEADERS, into)
    if response.status != 200:
        raise MetadataError(
            f"{feed_name(address)} cannot be downloaded: {response.host} answers "
            f"{response.status}; check the address."
        )


def _pages(address: str, scratch: Path, hosts: Hosts) -> Iterator[Any]:
    """The products of all pages; some servers repeat the last page, or know one alone."""
    parts, first, number = urlsplit(address), None, 1
    while True:
        query = f"limit={PAGE}&page={number}"
        query = f"{parts.query}&{query}" if parts.query else query
        with scratch.open("wb") as file:
            _get(urlunsplit((*parts[:3], query, "")), file, hosts)
        products = _products(address, scratch)
        if not products or products[0] == first:
            return
        yield from products
        first, number = products[0], number + 1


def _products(address: str, page: Path) -> list[Any]:
    try:
        products = json.loads(page.read_bytes())["products"]
        if isinstance(products, list):
            return products
    except (ValueError, RecursionError, KeyError, TypeError):
        pass
    raise MetadataError(
        f"{feed_name(address)} is not a list of Shopify products: open it in a browser to see "
        "whether it asks for a password."
    )
