"""A migration on the web page, in real Chromium with a real service and a real model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lookalike.index import Index
from tests.support.api_server import options, running
from tests.support.browser import NARROW, WIDE, chromium, screenshot, violations, watched
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import folder_of

pytestmark = pytest.mark.slow
COUNT = 12
WAIT = 240_000
"""Milliseconds for a job: processes start with low priority."""
expect.set_options(timeout=20_000)


def test_a_migration_is_followed_and_decided_on(tmp_path: Path) -> None:
    write_preprocessing(tmp_path / "other")
    write_vision(tmp_path / "other" / "model.onnx")
    folder_of(tmp_path / "photos", COUNT)
    served = options(tmp_path / "state", roots=(tmp_path,))
    at = tmp_path / "index"
    with (
        chromium() as browser,
        Index.open(at, model="built-in", subprocess=True, threads=1) as index,
    ):
        index.add(tmp_path / "photos", optimize=False)
        (tmp_path / "photos" / "003.jpg").unlink()
        with running(index, served) as (_, url), watched(browser, url) as seen:
            page = seen.page
            page.goto("/library")
            panel = page.get_by_role("region", name="New model")
            expect(page.get_by_role("heading", name="Models")).to_be_visible()
            expect(panel).to_have_count(0)
            page.request.post("/v1/jobs", data={"kind": "migrate", "model": "onnx:other"})
            page.reload()
            expect(panel).to_contain_text("11 of 12 images described", timeout=WAIT)
            expect(panel.locator(".state")).to_have_text("Ready", timeout=WAIT)
            expect(page.locator(".job").first).to_contain_text(
                "11 images described, 1 could not be"
            )
            panel.get_by_role("button", name="Check gates").click()
            expect(panel.locator(".gates [data-passed=false]")).to_contain_text("11 of 12")
            for size in (WIDE, NARROW):
                page.set_viewport_size({"width": size[0], "height": size[1]})
                for theme in ("Light theme", "Dark theme"):
                    assert violations(page) == []
                    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    assert wide <= 0, f"{wide} pixels too wide"
                    screenshot(page, f"migration-{size[0]}-{theme}", tmp_path)
                    page.get_by_role("button", name=re.compile("Light theme|Dark theme")).click()
            with page.expect_popup() as opened:
                panel.get_by_role("link", name="Report").click()
            expect(opened.value.locator("body")).to_contain_text("onnx:other")
            opened.value.close()
            panel.get_by_role("button", name="Keep").click()
            panel.get_by_role("button", name="Cut over").click()
            expect(panel.locator(".state")).to_have_text("Cut over")
            expect(page.locator("table").first).to_contain_text("onnx:other")
            panel.get_by_role("button", name="Roll back").click()
            expect(panel.locator(".state")).to_have_text("Ready")
            panel.get_by_role("button", name="Give up").click()
            page.get_by_role("dialog").get_by_role("button", name="Give up").click()
            expect(panel).to_have_count(0, timeout=WAIT)
            assert index.migration() is None
