"""Metadata files: what is read, what is reported, and which row finds which image."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import threading
import time
import tracemalloc
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import MetadataError
from lookalike.metadata.join import MatchSummary
from lookalike.metadata.table import MetadataTable, Row, read_metadata
from lookalike.types import FieldType, ImageRef

INTEGER, FLOAT, BOOLEAN = FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOLEAN
DATETIME, KEYWORD, KEYWORDS = FieldType.DATETIME, FieldType.KEYWORD, FieldType.KEYWORDS


@contextmanager
def written(path: Path, content: str | bytes, **options: Any) -> Iterator[MetadataTable]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with read_metadata(path, **options) as table:
        yield table


def ref(uri: Path | str) -> ImageRef:
    return ImageRef(str(uri), "etag", 1)


def rows_of(table: MetadataTable, root: Path, *names: str) -> dict[str, list[Row]]:
    """The rows of images below `root`, by name."""
    table.match((ref(root / name) for name in names), lambda _: str(root))
    return {Path(found.uri).relative_to(root).as_posix(): rows for found, rows in table.matched()}


def one_row(table: MetadataTable, root: Path, name: str = "a.jpg") -> Mapping[str, Any]:
    (row,) = rows_of(table, root, name)[name]
    return row.fields


def refused(path: Path, content: str | bytes, **options: Any) -> str:
    with pytest.raises(MetadataError) as caught, written(path, content, **options):
        pass
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


# --- types ---

TYPED = """\
id,file,category,kids,price,n,uploaded_at,tags,sku,empty
1,a.jpg,dress,false,19.99,3,2024-05-01,red|blue,00123,
2,b.jpg,skirt,TRUE,20,4,2024-05-02T10:00:00+02:00,red,00124,
"""


def test_types_are_inferred_and_values_follow_them(tmp_path: Path) -> None:
    with written(tmp_path / "m.csv", TYPED) as table:
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
    with written(tmp_path / "m.csv", f"id,file,price,brand\n{prices}19,a.jpg,N/A,y\n") as table:
        assert table.fields["price"] is FLOAT
        assert one_row(table, tmp_path) == {"brand": "y"}
        (warning,) = table.warnings
        assert (warning.line, warning.row, warning.column) == (21, "a.jpg", "price")
        assert str(warning) == 'line 21 (a.jpg): price: "N/A" is not a number (float); left out'


def test_known_types_win_over_inference_and_declared_ones_over_both(tmp_path: Path) -> None:
    known = {"n": FLOAT, "price": FLOAT}
    declared = {"price": KEYWORD, "category": KEYWORDS, "empty": INTEGER}
    with written(tmp_path / "m.csv", TYPED, known=known, declared=declared) as table:
        assert (table.fields["n"], table.fields["price"]) == (FLOAT, KEYWORD)
        found = one_row(table, tmp_path)
        assert (found["n"], found["price"], found["category"]) == (3.0, "19.99", ["dress"])


def test_declaring_a_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    message = refused(tmp_path / "m.csv", TYPED, declared={"prise": FLOAT})
    assert 'no column "prise"; did you mean "price"?' in message


# --- CSV ---


@pytest.mark.parametrize(
    "content",
    [
        "\ufefffile,brand\na.jpg,Acme\n".encode(),
        b"file,brand\r\na.jpg,Acme\r\n\r\n",
        b"file,brand\ra.jpg,Acme",
        b"file;brand\na.jpg;Acme\n",
        b"file\tbrand\na.jpg\tAcme\n",
        b"file, brand\na.jpg , Acme\n",
        b'"file","brand"\n"a.jpg","Acme"\n',
        b"file,brand,,\na.jpg,Acme,,\n,,,\n",
        b"file,brand\na.jpg,Acme,,\n",
        b"FILE,brand\na.jpg,Acme\n",
    ],
)
def test_csv_as_programs_write_it(tmp_path: Path, content: bytes) -> None:
    with written(tmp_path / "m.csv", content) as table:
        assert one_row(table, tmp_path) == {"brand": "Acme"}
        assert list(table.warnings) == []


def test_odd_cells(tmp_path: Path) -> None:
    csv.field_size_limit(limit := 131_072)
    long = "x" * 300_000
    content = f'file,text,nul,long\na.jpg,"two\nlines, ""quoted""",a\0b,{long}\nb.jpg,2,3\n'
    with written(tmp_path / "m.csv", content) as table:
        assert one_row(table, tmp_path) == {
            "text": 'two\nlines, "quoted"',
            "nul": "a\0b",
            "long": long,
        }
        (warning,) = table.warnings
        assert str(warning) == "line 4: has 3 cells under 4 columns; left out"
    assert csv.field_size_limit() == limit  # it belongs to the whole process


def test_ragged_rows_and_nameless_columns_are_reported(tmp_path: Path) -> None:
    content = ",file,brand\n0,a.jpg,Acme\n1,b.jpg,Acme,Inc\n2,c.jpg\n3,,Acme\n"
    with written(tmp_path / "m.csv", content) as table:
        found = rows_of(table, tmp_path, "a.jpg", "b.jpg", "c.jpg")
        assert found == {"a.jpg": [Row(None, {"brand": "Acme"})], "b.jpg": [], "c.jpg": []}
        assert [str(warning) for warning in table.warnings] == [
            "line 1: a column without a name is left out",
            "line 3: has 4 cells under 3 columns; left out",
            "line 4: has 2 cells under 3 columns; left out",
            "line 5: file: is empty; the row is left out",
        ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", b"", "it has no rows"),
        ("m.csv", b"file,brand\n", "it has no rows"),
        ("m.csv", b"file,brand\n,Acme\n", "line 2: file: is empty"),
        ("m.csv", b"file,brand\na.jpg\n", "line 2: has 1 cells"),
        ("m.csv", b"file,brand,brand\na.jpg,1,2\n", 'two columns "brand"'),
        ("m.csv", b"file,image\na.jpg,x\n", '"image" is reserved .* rename it'),
        ("m.csv", b"file,image.width\na.jpg,5\n", '"image.width" is reserved'),
        ("m.csv", b'file,"a ""b"""\na.jpg,5\n', "cannot be used: rename it"),
        ("m.csv", b"name,brand\na.jpg,Acme\n", "no column that names an image.*name, brand"),
        ("m.csv", b'file,brand\na.jpg,Acme\nb.jpg,"Acme\n', "line 3: .*quotes"),
        ("m.csv", b"file,brand\na.jpg,Acme\nb.jpg,Caf\xe9\n", r"byte 31 \(line 3\) is 0xe9; save"),
        ("m.csv", "file,brand\na.jpg,Acme\n".encode("utf-16"), r"byte 0 \(line 1\) is 0xff"),
        ("m.csv", b"id,file\n7,a.jpg\n8,b.jpg\n7,c.jpg\n", '"7" on line 2 and on line 4'),
        ("m.jsonl", b"[1]\nnot json\n", "line 1: is not a JSON object"),
        ("m.jsonl", b'{"file": "a.jpg", "t": "\xe9"}\n', r"byte 24 \(line 1\) is 0xe9"),
        ("m.parquet", b"PAR1 not", "not a valid Parquet file"),
        ("m.xlsx", b"", "use .csv"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    found = refused(tmp_path / name, content)
    assert str(tmp_path / name) in found
    assert re.search(message, found)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="cannot be read: No such file"):
        read_metadata(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MetadataError, match="cannot be read: Is a directory"):
        read_metadata(tmp_path / "folder.csv")


# --- JSON Lines and Parquet ---


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"id": 5, "file": "a.jpg", "n": 3, "code": "00123", "at": "2024-05-01", "tags": ["x"]},
        {"file": "b.jpg", "ok": True, "f": 2, "n": None, "tags": [], "nested": {"a": 1}},
        {"id": 7.0, "file": "c.jpg", "f": 2.5, "code": "7", "bad": "\ud800"},
        "no object",
    ]
    content = "\n\n".join(map(json.dumps, rows)) + '\n{"file": "d.jpg", "f": NaN}\n'
    with written(tmp_path / "m.jsonl", content) as table:
        found = rows_of(table, tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
        assert found == {
            "a.jpg": [
                Row("5", {"n": 3, "code": "00123", "at": "2024-05-01T00:00:00Z", "tags": ["x"]})
            ],
            "b.jpg": [Row(None, {"ok": True, "f": 2.0})],
            "c.jpg": [Row("7", {"f": 2.5, "code": "7"})],
            "d.jpg": [Row(None, {})],
        }
        assert [(warning.line, warning.column) for warning in table.warnings] == [
            (1, "nested"),
            (3, "id"),
            (5, "bad"),
            (7, None),
            (8, "id"),
        ]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install lookalike[parquet]")
    parquet = pytest.importorskip("pyarrow.parquet")
    moment = datetime(2024, 5, 1, 12, 0, 0, 5, tzinfo=UTC)
    columns = {
        "file": ["a.jpg", "b.jpg"],
        "n": arrow.array([1, None], arrow.int32()),
        "half": arrow.array([0.5, float("nan")], arrow.float32()),
        "price": [Decimal("19.99"), None],
        "ok": [True, False],
        "brand": arrow.array(["Acme", "Acme"]).dictionary_encode(),
        "tags": [["x", "y"], []],
        "day": [date(2024, 5, 1), None],
        "at": arrow.array([moment, None], arrow.timestamp("us", "UTC")),
        "nano": arrow.array([1714564800000000001, None], arrow.timestamp("ns")),
        "blob": [b"\x00", b"\x01"],
        "point": [{"x": 1}, {"x": 2}],
        "nothing": arrow.nulls(2),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "m.parquet")
    with read_metadata(tmp_path / "m.parquet") as table:
        assert one_row(table, tmp_path) == {
            "n": 1,
            "half": 0.5,
            "price": 19.99,
            "ok": True,
            "brand": "Acme",
            "tags": ["x", "y"],
            "day": "2024-05-01T00:00:00Z",
            "at": "2024-05-01T12:00:00.000005Z",
            "nano": "2024-05-01T12:00:00Z",
        }
        assert table.fields["n"] is INTEGER
        assert table.fields["price"] is FLOAT
        assert [warning.column for warning in table.warnings] == ["blob", "point"]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["pyarrow"] = None  # what an environment without it looks like to an import
from pathlib import Path
from lookalike.metadata.table import read_metadata
read_metadata(Path({str(tmp_path / "m.parquet")!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MetadataError" in done.stderr
    assert "pip install 'lookalike[parquet]'" in done.stderr


# --- which row belongs to which image ---


@pytest.mark.parametrize(
    "name",
    [
        "sub/a.jpg",  # from the file's folder, or from the source's root
        "./sub/../sub//a.jpg",
        "sub\\a.jpg",
        "a.jpg",  # bare, and unique
        "{root}/sub/a.jpg",
        "file://{root}/sub/a.jpg",
    ],
)
def test_ways_to_name_an_image(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path, tmp_path / "elsewhere"):
        content = f"file,brand\n{name.format(root=tmp_path)},Acme\n"
        with written(folder / "m.csv", content) as table:
            found = rows_of(table, tmp_path, "sub/a.jpg", "b.jpg")
            assert found == {"sub/a.jpg": [Row(None, {"brand": "Acme"})], "b.jpg": []}


def test_a_path_from_the_files_own_folder(tmp_path: Path) -> None:
    with written(tmp_path / "meta" / "m.csv", "file,n\n../photos/x/a.jpg,1\n") as table:
        assert rows_of(table, tmp_path / "photos", "x/a.jpg", "y/a.jpg") == {
            "x/a.jpg": [Row(None, {"n": 1})],
            "y/a.jpg": [],
        }


def test_the_file_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for here, there in (("link", "real"), ("link", "link")):
        with written(tmp_path / here / "m.csv", "file,n\na.jpg,1\n") as table:
            refs = [ref(tmp_path / there / "a.jpg"), ref(tmp_path / "other" / "a.jpg")]
            assert table.match(refs, lambda _: "/nowhere").matched == 1


def test_accents_match_however_they_are_written(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFC", "café.jpg")
    with written(tmp_path / "m.csv", f"file,n\n{name},1\n") as table:
        listed = unicodedata.normalize("NFD", name)
        assert rows_of(table, tmp_path, listed)[listed] == [Row(None, {"n": 1})]


def test_addresses_and_names_that_are_no_unicode(tmp_path: Path) -> None:
    refs = [
        ref("https://shop.example/i/a.jpg?v=2"),
        ref("s3://bucket/x//b.jpg"),
        ref("/x/\udcff.jpg"),
    ]
    content = "uri,n\nhttps://shop.example/i/a.jpg?v=2,1\nx//b.jpg,2\n"
    with written(tmp_path / "m.csv", content) as table:
        summary = table.match(refs, lambda ref: "s3://bucket" if "s3" in ref.uri else "/x")
        assert summary.matched == 1
        # In a store, x//b.jpg is another name than x/b.jpg.
        assert [(found, len(rows)) for found, rows in table.matched()] == [
            (refs[0], 1),
            (refs[1], 0),
            (refs[2], 0),
        ]


def test_the_first_of_file_path_and_uri_names_the_image(tmp_path: Path) -> None:
    with written(tmp_path / "m.csv", "uri,File,path\nhttp://x/1,a.jpg,b.jpg\n") as table:
        assert one_row(table, tmp_path) == {"uri": "http://x/1", "path": "b.jpg"}


@pytest.mark.parametrize("id", ["sub/a.jpg", "a.jpg", "a"])
def test_an_id_alone_names_the_image(tmp_path: Path, id: str) -> None:
    with written(tmp_path / "m.csv", f"id,brand\n{id},Acme\n") as table:
        expected = {"sub/a.jpg": [Row(id, {"brand": "Acme"})], "b.jpg": []}
        assert rows_of(table, tmp_path, "sub/a.jpg", "b.jpg") == expected


def test_another_column_may_hold_the_ids(tmp_path: Path) -> None:
    content = "sku,id,file\n00123,5,a.jpg\n"
    with written(tmp_path / "m.csv", content, id_field="sku") as table:
        assert rows_of(table, tmp_path, "a.jpg")["a.jpg"] == [Row("00123", {"id": 5})]
    assert 'did you mean "sku"?' in refused(tmp_path / "m.csv", content, id_field="skus")


def test_variants_share_an_image_and_keep_their_ids(tmp_path: Path) -> None:
    content = "id,file,size\n1,a.jpg,S\n2,a.jpg,M\n,a.jpg,L\n,./a.jpg,XL\n"
    with written(tmp_path / "m.csv", content) as table:
        found = rows_of(table, tmp_path, "a.jpg")["a.jpg"]
        assert [row.id for row in found] == ["1", "2", None]
        *_, last = (str(warning) for warning in table.warnings)
        assert last.startswith("line 5 (a.jpg): names the image of line 4 and has no id")


def test_an_ambiguous_name_is_reported_and_not_applied(tmp_path: Path) -> None:
    with written(tmp_path / "meta" / "m.csv", "file,n\na.jpg,1\nb.jpg,2\nc.jpg,3\n") as table:
        refs = [ref(tmp_path / name) for name in ("x/b.jpg", "x/a.jpg", "y/a.jpg", "x/b.jpg")]
        assert table.match(refs, lambda _: str(tmp_path)) == MatchSummary(
            images=3,
            matched=1,
            rows=3,
            unmatched=1,
            unmatched_examples=("c.jpg",),
            ambiguous=1,
            ambiguous_examples=("a.jpg",),
        )
        assert [str(warning) for warning in table.warnings] == [
            "line 2 (a.jpg): fits several images; left out: write its path"
        ]
        assert [len(rows) for _, rows in table.matched()] == [1, 0, 0]


def test_matching_nothing_shows_both_sides(tmp_path: Path) -> None:
    with (
        written(tmp_path / "m.csv", "file,n\nimgs/a.jpg,1\n") as table,
        pytest.raises(MetadataError, match=r"m\.csv matches none of the 1 .*imgs/a.*images/a"),
    ):
        rows_of(table, tmp_path, "images/a.jpg")
    with written(tmp_path / "m.csv", "file,n\nimgs/a.jpg,1\n") as table:
        assert rows_of(table, tmp_path) == {}  # no images: that is for the caller to say


def test_another_thread_may_read_on(tmp_path: Path) -> None:
    found: list[Any] = []
    with written(tmp_path / "m.csv", "file,n\na.jpg,1\n") as table:
        thread = threading.Thread(target=lambda: found.append(one_row(table, tmp_path)))
        thread.start()
        thread.join()
    assert found == [{"n": 1}]


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
