"""The HTML pages in a real browser: readable for everyone, and on a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lookalike.index import Index
from lookalike.output.contact_sheet import Panel, contact_sheet
from lookalike.output.duplicate_report import duplicate_report
from lookalike.output.migration_report import migration_report
from lookalike.search.gates import Evidence, Gates
from lookalike.search.shadow import compare_models
from tests.support.api_server import small_index
from tests.support.browser import NARROW, WIDE, chromium, screenshot, violations, watched
from tests.support.pictures import draw

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every page, made of real images."""
    folder = tmp_path_factory.mktemp("pages")
    with small_index(folder, 24) as index:
        draw(3).save(folder / "photos" / "copy.png")
        index.add(folder / "photos")
        files = {
            "contact-sheet": contact_sheet(
                [Panel("like 1", index.search(id="1"))], index.thumbnail
            ),
            "duplicates": duplicate_report(
                list(index.duplicates()), index.thumbnail, index.difference
            ),
            "migration": migration(index),
        }
    for name, html in files.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return folder


def migration(index: Index) -> str:
    """Texture in place of the semantic model, for want of another."""
    vectors = index._manifest.vectors
    both = index._manifest.semantic, vectors[index._manifest.aspects["texture"]]
    found = compare_models(index._engine, index._manifest, *both, {"by": "kind"})
    gates = Gates.parse("overlap=0.99").check(Evidence(24, 24, 0, found))
    return migration_report(found, gates, index.thumbnail)


@pytest.mark.parametrize("name", ["contact-sheet", "duplicates", "migration"])
@pytest.mark.parametrize(("size", "dark"), [(WIDE, False), (WIDE, True), (NARROW, False)])
def test_pages_are_readable(
    browser: Browser, pages: Path, name: str, size: tuple[int, int], dark: bool
) -> None:
    with watched(browser, "http://nowhere.invalid", size=size, dark=dark) as window:
        window.page.goto((pages / f"{name}.html").as_uri())
        assert window.page.locator("img").count() > 2
        assert window.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert violations(window.page) == []
        screenshot(window.page, f"{name}-{size[0]}-{dark}", pages)
