"""Metadata tables: types, warnings, and real sizes."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from lookalike.metadata.table import Row, read_metadata
from lookalike.types import FieldType
from tests.support.metadata import error_message, one_row, open_table, ref, rows_of

INTEGER, FLOAT, BOOLEAN = FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOLEAN
DATETIME, KEYWORD, KEYWORDS = FieldType.DATETIME, FieldType.KEYWORD, FieldType.KEYWORDS


TYPED = """\
id,file,category,kids,price,n,uploaded_at,tags,sku,empty
1,a.jpg,dress,false,19.99,3,2024-05-01,red|blue,00123,
2,b.jpg,skirt,TRUE,20,4,2024-05-02T10:00:00+02:00,red,00124,
"""


def test_types_are_inferred_and_values_follow_them(tmp_path: Path) -> None:
    with open_table(tmp_path / "m.csv", TYPED) as table:
        assert table.fields == {
            "category": KEYWORD,
            "kids": BOOLEAN,
            "price": FLOAT,
            "n": INTEGER,
            "uploaded_at": DATETIME,
            "tags": KEYWORDS,
            "sku": KEYWORD,
        }
        assert table.id_field == "id"
        assert list(table.warnings) == []
        assert rows_of(table, tmp_path, "b.jpg")["b.jpg"] == [
            Row(
                "2",
                {
                    "category": "skirt",
                    "kids": True,
                    "price": 20.0,
                    "n": 4,
                    "uploaded_at": "2024-05-02T08:00:00Z",
                    "tags": ["red"],
                    "sku": "00124",
                },
            )
        ]


def test_a_misfit_is_reported_and_the_rest_of_its_row_stays(tmp_path: Path) -> None:
    prices = "".join(f"{i},i{i}.jpg,{i}.5,x\n" for i in range(19))
    with open_table(tmp_path / "m.csv", f"id,file,price,brand\n{prices}19,a.jpg,dear,y\n") as table:
        assert table.fields["price"] is FLOAT
        assert one_row(table, tmp_path) == {"brand": "y"}
        (warning,) = table.warnings
        assert (warning.line, warning.row, warning.column) == (21, "a.jpg", "price")
        assert str(warning) == 'line 21 (a.jpg): price: "dear" is not a number (float); left out'


def test_known_types_win_over_inference_and_declared_ones_over_both(tmp_path: Path) -> None:
    known = {"n": FLOAT, "price": FLOAT}
    declared = {"price": KEYWORD, "category": KEYWORDS, "empty": INTEGER}
    with open_table(tmp_path / "m.csv", TYPED, known=known, declared=declared) as table:
        assert (table.fields["n"], table.fields["price"]) == (FLOAT, KEYWORD)
        found = one_row(table, tmp_path)
        assert (found["n"], found["price"], found["category"]) == (3.0, "19.99", ["dress"])


def test_declaring_a_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    message = error_message(tmp_path / "m.csv", TYPED, declared={"prise": FLOAT})
    assert 'no column "prise"; did you mean "price"?' in message


def test_real_catalog(data: Path) -> None:
    folder = data / "catalog"
    with read_metadata(folder / "catalog.csv") as table:
        assert table.fields == {
            "category": KEYWORD,
            "kids": BOOLEAN,
            "brand": KEYWORD,
            "price": FLOAT,
            "in_stock": BOOLEAN,
            "uploaded_at": DATETIME,
            "width": INTEGER,
            "height": INTEGER,
        }
        files = sorted((folder / "images").rglob("*.jpg"))
        summary = table.match(map(ref, files), lambda _: str(folder / "images"))
        assert summary.matched == summary.images == summary.rows == len(files) > 0
        assert list(table.warnings) == []
        for found, (row,) in table.matched():
            assert Path(found.uri).parent.name == row.fields["category"]
            assert Path(found.uri).stem == row.id


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        with path.open("w") as file:
            file.write("id,file,brand,price\n")
            file.writelines(f"p{i},i/{i}.jpg,B{i % 9},{i % 100}.5\n" for i in range(count))
        tracemalloc.start()
        with read_metadata(path) as table:
            table.match((ref(f"{tmp_path}/i/{i}.jpg") for i in range(count)), lambda _: "/")
            assert sum(len(rows) for _, rows in table.matched()) == count
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    small, large = peak(2_000), peak(20_000)
    assert large < small + 200_000  # bytes; a list of the rows would take ten times that


@pytest.mark.slow
def test_a_hundred_thousand_rows_and_images_take_seconds(tmp_path: Path) -> None:
    count = 100_000
    path = tmp_path / "m.csv"
    with path.open("w") as file:
        file.write("id,file,category,brand,price,in_stock,uploaded_at,width,height\n")
        for i in range(count):
            file.write(f"p{i},i/{i}.jpg,c{i % 17},B{i % 9},{i}.5,true,2024-05-01,{i % 400},300\n")
    start = time.perf_counter()
    with read_metadata(path) as table:
        refs = (ref(tmp_path / f"i/{i}.jpg") for i in range(count))
        assert table.match(refs, lambda _: str(tmp_path)).matched == count
        assert sum(1 for _ in table.matched()) == count
    assert time.perf_counter() - start < 60  # some 7 s on two busy cores
