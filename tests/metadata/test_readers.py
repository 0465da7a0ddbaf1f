"""The readers of CSV, JSON Lines and Parquet."""

from __future__ import annotations

import csv
import gzip
import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import MetadataError
from lookalike.metadata.table import Row, read_metadata
from lookalike.types import FieldType
from tests.support.metadata import error_message, one_row, open_table, rows_of


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
        b"file|brand\na.jpg|Acme\n",
        b"sep=;\r\nfile;brand\r\na.jpg;Acme\r\n",
        b'"sep=|"\nfile|brand\na.jpg|Acme\n',
        b'file;"brand"\na.jpg;Acme\n',
        "file,brand\na.jpg,Acme\n".encode("utf-16"),
        "file,brand\na.jpg,Acme\n".encode("utf-32"),
        b"file,brand\0\na.jpg,Acme\0\0\n",
        b'\xef\xbb\xbf"file","brand"\r\n"a.jpg","Acme"\r\n',
        b"file,brand\ra.jpg,Acme\r",
        "file\tbrand\na.jpg\tAcme\n".encode("utf-16-be"),
        "file\tbrand\na.jpg\tAcme\n".encode("utf-16-le"),
        b"\xfe\xff" + "file\tbrand\na.jpg\tAcme\n".encode("utf-16-be"),
    ],
)
def test_csv_as_programs_write_it(tmp_path: Path, content: bytes) -> None:
    with open_table(tmp_path / "m.csv", content) as table:
        assert one_row(table, tmp_path) == {"brand": "Acme"}
        assert list(table.warnings) == []


def test_odd_cells(tmp_path: Path) -> None:
    csv.field_size_limit(limit := 131_072)
    long = "x" * 300_000
    content = f'file,text,nul,long\na.jpg,"two\nlines, ""quoted""",a\0b,{long}\nb.jpg,2,3\n'
    with open_table(tmp_path / "m.csv", content) as table:
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
    with open_table(tmp_path / "m.csv", content) as table:
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
        ("m.csv", b"file,brand\na.jpg\n", "line 2: has 1 cell under"),
        ("m.csv", b"file,brand,brand\na.jpg,1,2\n", 'two columns "brand"'),
        ("m.csv", b"file,image\na.jpg,x\n", '"image" is reserved .* rename it'),
        ("m.csv", b"file,image.width\na.jpg,5\n", '"image.width" is reserved'),
        ("m.csv", b'file,"a ""b"""\na.jpg,5\n', "cannot be used: rename it"),
        ("m.csv", b"name,brand\na.jpg,Acme\n", "no column that names an image.*name, brand"),
        ("m.csv", b'file,brand\na.jpg,Acme\nb.jpg,"Acme\n', "line 3: .*quotes"),
        ("m.csv", b"file,brand\na.jpg,Acme\nb.jpg,Caf\xe9\n", r"byte 31 \(line 3\) is 0xe9; save"),
        ("m.csv", "\ufefffile,brand\n".encode("utf-16-le") + b"\x00\xd8", "not UTF-16: save it"),
        ("m.csv", b"file,br\0and\na.jpg,x\n", "NUL bytes in its header: save it as UTF-8"),
        ("m.csv", b"id,file\n7,a.jpg\n8,b.jpg\n7,c.jpg\n", '"7" on line 2 and on line 4'),
        ("m.jsonl", b"[1]\nnot json\n", "line 1: is not a JSON object"),
        ("m.jsonl", b'{"file": "a.jpg", "t": "\xe9"}\n', r"byte 24 \(line 1\) is 0xe9"),
        ("m.parquet", b"PAR1 not", "not a valid Parquet file"),
        ("m.xlsx", b"", "use .csv"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    found = error_message(tmp_path / name, content)
    assert str(tmp_path / name) in found
    assert re.search(message, found)


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    content = "file;brand\na.jpg;Café\n".encode("cp1252")
    with open_table(tmp_path / "m.csv", content, encoding="cp1252") as table:
        assert one_row(table, tmp_path) == {"brand": "Café"}
    assert "--encoding" in error_message(tmp_path / "m.csv", content)
    assert "not ASCII" in error_message(tmp_path / "m.csv", content, encoding="ascii")
    for name in ("utf-9", "base64"):
        assert "is not an encoding" in error_message(tmp_path / "m.csv", content, encoding=name)


def test_lines_are_counted_with_the_one_that_declares_the_delimiter(tmp_path: Path) -> None:
    with open_table(tmp_path / "m.csv", "sep=;\nfile;n\na.jpg;1\nb.jpg\n") as table:
        assert [str(warning) for warning in table.warnings] == [
            "line 4: has 1 cell under 2 columns; left out"
        ]


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="cannot be read: No such file"):
        read_metadata(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MetadataError, match="cannot be read: Is a directory"):
        read_metadata(tmp_path / "folder.csv")


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"id": 5, "file": "a.jpg", "n": 3, "code": "00123", "at": "2024-05-01", "tags": ["x"]},
        {"file": "b.jpg", "ok": True, "f": 2, "n": None, "tags": [], "nested": {"a": 1}},
        {"id": 7.0, "file": "c.jpg", "f": 2.5, "code": "7", "bad": "\ud800"},
        "no object",
    ]
    content = "\n\n".join(map(json.dumps, rows)) + '\n{"file": "d.jpg", "f": NaN}\n'
    with open_table(tmp_path / "m.jsonl", content) as table:
        found = rows_of(table, tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
        assert found == {
            "a.jpg": [
                Row("5", {"n": 3, "code": "00123", "at": "2024-05-01T00:00:00Z", "tags": ["x"]})
            ],
            "b.jpg": [Row(None, {"ok": True, "f": 2.0}, ("nested",))],
            "c.jpg": [Row("7", {"f": 2.5, "code": "7"}, ("bad",))],
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
        assert table.fields["n"] is FieldType.INTEGER
        assert table.fields["price"] is FieldType.FLOAT
        assert [warning.column for warning in table.warnings] == ["blob", "point"]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
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


def test_a_compressed_table(tmp_path: Path) -> None:
    for name, content in (
        ("m.csv.gz", b"file,price\na.jpg,1.5\n"),
        ("m.jsonl.gz", b'{"file": "a.jpg", "price": 1.5}\n'),
        ("m.csv", b"file;price\na.jpg;1.5\n"),
    ):
        path = tmp_path / name
        path.write_bytes(gzip.compress(content))
        with read_metadata(path) as table:
            assert table.fields == {"price": FieldType.FLOAT}
    (tmp_path / "m.txt.gz").write_bytes(gzip.compress(b"file\n"))
    with pytest.raises(MetadataError, match=r"m\.txt\.gz is not a metadata file: use"):
        read_metadata(tmp_path / "m.txt.gz")
