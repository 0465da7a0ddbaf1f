"""The whole product on the pictures in tests/data, which every clone has."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike import Index, Verdict
from tests.support.paths import PICTURES

SHOP = PICTURES / "shop"
FORMATS = sorted((PICTURES / "formats").iterdir())


def table() -> dict[str, dict[str, str]]:
    with (SHOP / "catalog.csv").open(newline="", encoding="utf-8") as lines:
        return {row["id"]: row for row in csv.DictReader(lines)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("shop") / "index", model="built-in") as index:
        report = index.add(SHOP, metadata=SHOP / "catalog.csv")
        assert (report.added, report.rejects, report.warnings) == (36, (), ())
        yield index


def test_neighbors_are_of_the_same_category(shop: Index) -> None:
    rows = table()
    same = [
        rows[hit.id]["category"] == row["category"]
        for id, row in rows.items()
        for hit in shop.search(id=id, limit=3)
    ]
    assert sum(same) / len(same) >= 0.65  # five of 35 are: 0.14 by chance


@pytest.mark.parametrize("color", ["blue", "orange", "pink", "purple", "red", "white", "yellow"])
def test_a_color_term_finds_things_of_that_color(shop: Index, color: str) -> None:
    rows = table()
    assert {rows[hit.id]["color"] for hit in shop.search(color=color, limit=3)} == {color}


def test_a_shirt_in_blue_is_the_blue_shirt(shop: Index) -> None:
    hits = shop.search(id="shirt-001", color="blue", weights="color", where='category = "shirt"')
    assert hits[0].id == "shirt-005"


def test_filters_count_as_the_table_does(shop: Index) -> None:
    cheap = {id for id, row in table().items() if float(row["price"]) < 50}
    in_stock = {id for id, row in table().items() if row["in_stock"] == "true"}
    assert {image.id for image in shop.scroll("price < 50")} == cheap
    assert shop.count("in_stock and not price < 50") == len(in_stock - cheap)


@pytest.mark.parametrize("file", FORMATS, ids=lambda file: file.name)
def test_every_format_shows_the_same_shirt(shop: Index, file: Path) -> None:
    assert shop.search(image=file, limit=1)[0].id == "shirt-001"
    (copy,) = shop.duplicates_of(file)
    assert (copy.id, copy.verdict) == ("shirt-001", Verdict.SAME_PICTURE)


def test_copies_are_grouped_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for file in [*SHOP.glob("mug-*.jpg"), *SHOP.glob("shirt-*.jpg")]:
        shutil.copy(file, tmp_path / "shop")
    shutil.copy(SHOP / "mug-003.jpg", tmp_path / "shop" / "mug again.jpg")
    shutil.copy(PICTURES / "formats" / "cmyk.jpg", tmp_path / "shop" / "shirt for print.jpg")
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(tmp_path / "shop")
        groups = {
            frozenset(Path(member.uri).name for member in group.members)
            for group in index.duplicates()
        }
    assert groups == {
        frozenset({"mug-003.jpg", "mug again.jpg"}),
        frozenset({"shirt-001.jpg", "shirt for print.jpg"}),
    }
