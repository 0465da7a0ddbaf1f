"""Real Chromium for tests of the web page, and checks that every page must pass."""

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
window.layoutShift = 0;
new PerformanceObserver((list) => {
  const shifts = list.getEntries().filter((entry) => !entry.hadRecentInput);
  for (const { value } of shifts) window.layoutShift += value;
}).observe({ type: "layout-shift", buffered: true });
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium. Skips the test if it is not installed."""
    path = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if path is None:
        pytest.skip("needs Chromium")
    with sync_playwright() as driver:
        # Containers run as root, and as root Chromium only starts without its sandbox.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page with the errors and the foreign requests that it must not have.

    Attributes:
        page: the page.
        expected: HTTP statuses that the test provokes; they are not errors.
        errors: errors in the console and uncaught exceptions.
        foreign: requests to other hosts.
    """

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.expected: list[int] = []
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self._host = urlsplit(address).netloc
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser reports an HTTP error status as an error, even if the test expects it.
        expected = any(f"status of {status}" in message.text for status in self.expected)
        if message.type == "error" and not expected:
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.netloc != self._host:
            self.foreign.append(request.url)

    def layout_shift(self) -> float:
        """The cumulative layout shift."""
        return float(self.page.evaluate("window.layoutShift"))


@contextmanager
def watched(
    browser: Browser,
    address: str,
    *,
    size: tuple[int, int] = WIDE,
    dark: bool = False,
    touch: bool = False,
) -> Iterator[Watched]:
    """A new page in a window of this size. Fails at the end on errors and foreign requests."""
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
    watched = Watched(page, address)
    try:
        yield watched
        assert not watched.errors, watched.errors
        assert not watched.foreign, watched.foreign
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """Violations of WCAG and of good practice that axe finds on the page."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: npm ci --prefix web")
    # Not as a script element, which the content security policy forbids.
    page.evaluate(AXE.read_text())
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


def screenshot(page: Page, name: str, folder: Path) -> None:
    """Saves a screenshot to LOOKALIKE_SCREENSHOTS if that is set, else to `folder`."""
    target = Path(os.environ.get("LOOKALIKE_SCREENSHOTS", folder))
    target.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=target / f"{name}.png")
