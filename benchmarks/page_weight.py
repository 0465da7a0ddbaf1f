"""What the page transfers when it is opened for the first time, as real Chromium counts it."""

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


def transferred(address: str, path: str) -> dict[str, int]:
    """Bytes on the wire by kind, heads and all, into an empty cache."""
    with chromium() as browser:
        width, height = WIDE
        page = browser.new_page(viewport={"width": width, "height": height})
        wire = page.context.new_cdp_session(page)
        kinds: dict[str, str] = {}
        found: dict[str, int] = {}

        def starts(event: dict[str, Any]) -> None:
            kinds[event["requestId"]] = KINDS.get(event["type"], "data")

        def ends(event: dict[str, Any]) -> None:
            kind = kinds.get(event["requestId"], "data")
            found[kind] = found.get(kind, 0) + int(event["encodedDataLength"])

        wire.on("Network.requestWillBeSent", starts)
        wire.on("Network.loadingFinished", ends)
        wire.send("Network.enable")
        page.goto(address + path)
        page.wait_for_load_state("networkidle")
        return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = draw_catalog(folder / "catalog", count=120)
        with Index.open(folder / "index", model="built-in", threads=1) as index:
            index.add(table.parent, metadata=table)
            with running(index, options(folder / "state")) as (_, address):
                for path in VIEWS:
                    found = transferred(address, path)
                    told = ", ".join(f"{kind} {size / 1000:.0f}" for kind, size in found.items())
                    print(f"{path}: {told} kB")
                    bound(f"first load of {path}, kB", sum(found.values()) / 1000, most=300)
    finish()


if __name__ == "__main__":
    main()
