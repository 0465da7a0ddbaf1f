"""Changes of many images, and tables of an index."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.index import Index
from tests.support.command_line import error, lookalike
from tests.support.pictures import folder_of


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An index of four images with ids, prices and tags."""
    folder = folder_of(tmp_path / "photos", 4)
    table = tmp_path / "catalog.csv"
    rows = ["file,id,price,tags,new,added"] + [
        f"photos/{i:03}.jpg,sku-{i},{i}.5,a|b,{'true' if i else 'false'},2026-01-0{i + 1}"
        for i in range(4)
    ]
    table.write_text("\n".join(rows))
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder, metadata=table)
    return tmp_path


def prices(shop: Path) -> dict[str, Any]:
    with Index.open(shop / "index") as index:
        return {point.id: point.payload.get("price") for point in index.scroll()}


def test_a_file_updates_fields_alone(shop: Path) -> None:
    at = ("--index", shop / "index")
    (shop / "prices.csv").write_text("id,price,stock\nsku-1,9,\nsku-2,,7\nsku-9,1,1\nsku-3,3.5,\n")
    before = prices(shop)
    told = lookalike("update", "--from", shop / "prices.csv", *at)
    assert told.stdout == "would update 2 images, 1 unchanged; nothing was changed; add --yes\n"
    assert "sku-9" in told.stderr
    assert prices(shop) == before
    told = lookalike("update", "--from", shop / "prices.csv", "--yes", *at)
    assert told.stdout == "updated 2 images, 1 unchanged\n"
    assert prices(shop) == {**before, "sku-1": 9.0}
    with Index.open(shop / "index") as index:
        assert index.get("sku-2").payload["stock"] == 7
        assert index.get("sku-1").payload["tags"] == ["a", "b"]
        assert index.update_from(shop / "prices.csv").updated == 0
        assert index.update_many([("sku-1", {"price": None})]).updated == 1
        assert "price" not in index.get("sku-1").payload


def test_a_file_updates_all_images_of_a_product(shop: Path) -> None:
    at = ("--index", shop / "index")
    for i, (sku, number) in enumerate([("A", 7), ("A", 7), ("B", 8), ("c d", 9)]):
        lookalike("update", f"sku-{i}", "--set", f"sku={sku}", "--set", f"n={number}", *at)
    (shop / "prices.csv").write_text("sku,price\nA,10\nB,2.5\nnone,1\nc d,30\n,5\n")
    by = ("update", "--from", shop / "prices.csv", "--by", "sku", *at)
    told = lookalike(*by)
    assert told.stdout.startswith("would update 3 images, 1 unchanged")
    assert "1 row of the file changed nothing, as no image has this sku: none" in told.stderr
    assert lookalike(*by, "--yes").stdout == "updated 3 images, 1 unchanged\n"
    assert prices(shop) == {"sku-0": 10, "sku-1": 10, "sku-2": 2.5, "sku-3": 30}
    (shop / "prices.jsonl").write_text('{"Number": 7, "price": 1}\n{"Number": 7.5, "price": 2}\n')
    with Index.open(shop / "index") as index:
        report = index.update_from(shop / "prices.jsonl", by="n", id_field="Number")
        assert (report.updated, report.unknown, report.examples) == (2, 1, ("7.5",))
        assert index.get("sku-0").payload["sku"] == "A"
        assert "Number" not in index.fields
    for field in ("price", "tags", "nothing", "image.sha256"):
        assert "use a field of short texts" in error(*by[:-3], field, *at)
    assert "add --from" in error("update", "sku-1", "--set", "a=1", "--by", "sku", *at)


def test_a_filter_updates_and_deletes_after_a_dry_run(shop: Path) -> None:
    at = ("--index", shop / "index")
    some = ("--where", "price > 1")
    assert "would update 3 images" in lookalike("update", *some, "--set", "price=8", *at).stdout
    assert prices(shop)["sku-2"] == 2.5
    lookalike("update", *some, "--set", "price=8", "--yes", *at)
    assert sorted(prices(shop).values()) == [0.5, 8, 8, 8]
    assert lookalike("delete", *some, *at).stdout.startswith("would remove 3 images")
    assert len(prices(shop)) == 4
    assert lookalike("delete", *some, "--yes", *at).stdout == "removed 3 images\n"
    assert list(prices(shop)) == ["sku-0"]
    assert len(list((shop / "photos").iterdir())) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("update",),
        ("update", "sku-1"),
        ("update", "sku-1", "--where", "price > 1", "--set", "a=1"),
        ("update", "--from", "x.csv", "--set", "a=1"),
        ("delete",),
        ("delete", "sku-1", "--where", "price > 1"),
        ("export", "table.xlsx"),
        ("export", "table.csv", "--vectors"),
    ],
)
def test_misuse_is_refused(shop: Path, arguments: tuple[str, ...]) -> None:
    before = prices(shop)
    error(*arguments, "--index", shop / "index")
    assert prices(shop) == before


def test_tables_hold_all_and_come_back(shop: Path) -> None:
    at = ("--index", shop / "index")
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        assert "wrote 4 images" in lookalike("export", shop / name, *at).stderr
        assert "exists" in error("export", shop / name, *at)
        told = lookalike("update", "--from", shop / name, "--yes", *at)
        assert told.stdout == "updated 0 images, 4 unchanged\n", name
    rows = {row["id"]: row for row in csv.DictReader((shop / "t.csv").open(encoding="utf-8"))}
    assert rows["sku-2"]["price"] == "2.5"
    assert rows["sku-2"]["tags"] == "a|b"
    assert rows["sku-2"]["new"] == "true"
    assert rows["sku-2"]["image.width"] == "120"
    assert rows["sku-2"]["uri"] == str(shop / "photos" / "002.jpg")
    lines = lookalike("export", "-", "--vectors", "--where", "price > 3", *at).stdout.splitlines()
    (row,) = map(json.loads, lines)
    assert (row["id"], len(row["vector.color"]), len(row["vector.phash"])) == ("sku-3", 125, 64)


def test_an_arrow_table_has_types(shop: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    with Index.open(shop / "index") as index:
        table = index.to_arrow("price < 2", vectors=True)
    assert table.num_rows == 2
    assert table.schema.field("price").type == arrow.float64()
    assert table.schema.field("added").type == arrow.timestamp("us", tz="UTC")
    assert table.schema.field("vector.texture").type.list_size == 198
