"""A real Chromium for tests of the page, and what every page that it opens is held to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.support.paths import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

WIDE = (1440, 900)
NARROW = (390, 844)

_SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium; skips where there is none."""
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if path is None:
        pytest.skip("needs Chromium, which is not installed")
    with sync_playwright() as driver:
        # As root, as which containers run, Chromium starts without its sandbox only.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and what it did that none of ours may do.

    Attributes:
        page: the page.
        errors: what it wrote to the console as an error, and what it threw.
        strangers: requests to other hosts.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.expected: list[int] = []
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self._host = urlsplit(address).netloc
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        # A status that a test asks for is reported by the browser as an error too.
        wanted = any(f"status of {status}" in message.text for status in self.expected)
        if message.type == "error" and not wanted:
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.netloc != self._host:
            self.strangers.append(request.url)

    def shifted(self) -> float:
        """How much things moved by themselves (cumulative layout shift)."""
        return float(self.page.evaluate("window.shifted"))


@contextmanager
def watched(
    browser: Browser,
    address: str,
    *,
    size: tuple[int, int] = WIDE,
    dark: bool = False,
    touch: bool = False,
) -> Iterator[Watched]:
    """A new page of a window of this size; fails at its end if it did what it must not."""
    context = browser.new_context(
        base_url=address,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        has_touch=touch,
        is_mobile=touch,
        reduced_motion="reduce",
    )
    context.add_init_script(_SHIFTS)
    page = context.new_page()
    page.set_default_timeout(20_000)
    seen = Watched(page, address)
    try:
        yield seen
        assert not seen.errors, seen.errors
        assert not seen.strangers, seen.strangers
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it stands, by WCAG and by good practice."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: npm ci in web/")
    # Not as a script of the page, which its own policy forbids.
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{broken['id']}: {node['html'][:160]} {node['failureSummary']}"
        for broken in found["violations"]
        for node in broken["nodes"]
    ]


def keep(page: Page, name: str, folder: Path) -> None:
    """A screenshot, in the folder that LOOKALIKE_SCREENSHOTS names or else in `folder`."""
    target = Path(os.environ.get("LOOKALIKE_SCREENSHOTS", folder))
    target.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=target / f"{name}.png")
