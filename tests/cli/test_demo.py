"""`demo` as a user sees it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tests.support.command_line import lookalike
from tests.support.pictures import folder_of


@pytest.mark.parametrize(
    "drawn", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["folder", "drawn"]
)
def test_the_demo_shows_three_searches_and_a_sheet(tmp_path: Path, drawn: bool) -> None:
    folder = [] if drawn else [str(folder_of(tmp_path / "photos", 12))]
    sheet = tmp_path / "sheet.html"
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    shown = lookalike("demo", *folder, "--model", "built-in", "--html", sheet, env=env).stdout
    assert f"added {640 if drawn else 12}" in shown
    assert shown.count(" images, ") == 3
    assert f"contact sheet: {sheet}" in shown
    html = sheet.read_text(encoding="utf-8")
    assert html.count("<section>") == 3
    assert html.count("data:image/jpeg;base64,") == 33
    if drawn:
        table = tmp_path / "data" / "lookalike" / "demo" / "catalog" / "catalog.csv"
        assert_blue_shirts_lead(shown, table)
    again = lookalike("demo", *folder, "--html", sheet, env=env).stdout
    assert f"unchanged {640 if drawn else 12}" in again


def assert_blue_shirts_lead(shown: str, table: Path) -> None:
    """Asserts that the first results for a T-shirt in blue are blue, shirts of both kinds first."""
    with table.open(newline="", encoding="utf-8") as lines:
        products = {row["id"]: row for row in csv.DictReader(lines)}
    results = shown.partition("but in blue")[2].partition(" images, ")[0]
    hits = [products[id] for id in re.findall(r"^ *\d+ +(\S+)", results, re.M) if id in products]
    assert [hit["color"] for hit in hits[:5]] == ["blue"] * 5
    assert {hit["category"] for hit in hits[:4]} == {"shirt", "t-shirt"}
