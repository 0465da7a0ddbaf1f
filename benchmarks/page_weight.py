"""Bytes that the web page transfers when it is opened for the first time, measured by Chromium."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tests.support.api_server import options, running
from tests.support.browser import WIDE, chromium

from benchmarks._figures import bound, finish
from lookalike.demo.catalog import draw_catalog
from lookalike.index import Index

VIEWS = ("/", "/duplicates", "/library")
KINDS = {"Document": "HTML", "Script": "scripts", "Stylesheet": "styles", "Image": "pictures"}


def transferred(url: str, path: str) -> dict[str, int]:
    """Returns bytes on the wire by kind, including headers, with an empty cache."""
    with chromium() as browser:
        width, height = WIDE
        page = browser.new_page(viewport={"width": width, "height": height})
        wire = page.context.new_cdp_session(page)
        kinds: dict[str, str] = {}
        sizes: dict[str, int] = {}

        def on_request(event: dict[str, Any]) -> None:
            kinds[event["requestId"]] = KINDS.get(event["type"], "data")

        def on_finished(event: dict[str, Any]) -> None:
            kind = kinds.get(event["requestId"], "data")
            sizes[kind] = sizes.get(kind, 0) + int(event["encodedDataLength"])

        wire.on("Network.requestWillBeSent", on_request)
        wire.on("Network.loadingFinished", on_finished)
        wire.send("Network.enable")
        page.goto(url + path)
        page.wait_for_load_state("networkidle")
        return sizes


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = draw_catalog(folder / "catalog", count=120)
        with Index.open(folder / "index", model="built-in", threads=1) as index:
            index.add(table.parent, metadata=table)
            with running(index, options(folder / "state")) as (_, url):
                for path in VIEWS:
                    sizes = transferred(url, path)
                    listed = ", ".join(f"{kind} {size / 1000:.0f}" for kind, size in sizes.items())
                    print(f"{path}: {listed} kB")
                    bound(f"first load of {path}, kB", sum(sizes.values()) / 1000, most=300)
    finish()


if __name__ == "__main__":
    main()
