"""The join of metadata rows and images."""

from __future__ import annotations

import threading
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import MetadataError
from lookalike.metadata.join import MatchSummary
from lookalike.metadata.table import Row
from tests.support.metadata import error_message, one_row, open_table, ref, rows_of


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
        with open_table(folder / "m.csv", content) as table:
            found = rows_of(table, tmp_path, "sub/a.jpg", "b.jpg")
            assert found == {"sub/a.jpg": [Row(None, {"brand": "Acme"})], "b.jpg": []}


def test_a_path_from_the_files_own_folder(tmp_path: Path) -> None:
    with open_table(tmp_path / "meta" / "m.csv", "file,n\n../photos/x/a.jpg,1\n") as table:
        assert rows_of(table, tmp_path / "photos", "x/a.jpg", "y/a.jpg") == {
            "x/a.jpg": [Row(None, {"n": 1})],
            "y/a.jpg": [],
        }


def test_the_file_may_lie_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for here, there in (("link", "real"), ("link", "link")):
        with open_table(tmp_path / here / "m.csv", "file,n\na.jpg,1\n") as table:
            refs = [ref(tmp_path / there / "a.jpg"), ref(tmp_path / "other" / "a.jpg")]
            assert table.match(refs, lambda _: "/nowhere").matched == 1


def test_accents_match_however_they_are_open_table(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFC", "café.jpg")
    with open_table(tmp_path / "m.csv", f"file,n\n{name},1\n") as table:
        listed = unicodedata.normalize("NFD", name)
        assert rows_of(table, tmp_path, listed)[listed] == [Row(None, {"n": 1})]


def test_addresses_and_names_that_are_no_unicode(tmp_path: Path) -> None:
    refs = [
        ref("https://shop.example/i/a.jpg?v=2"),
        ref("s3://bucket/x//b.jpg"),
        ref("/x/\udcff.jpg"),
        ref("s3://bucket/y/b.jpg"),
    ]
    content = "uri,n\nhttps://shop.example/i/a.jpg?v=2,1\nx//b.jpg,2\n"
    with open_table(tmp_path / "m.csv", content) as table:
        summary = table.match(refs, lambda ref: "s3://bucket" if "s3" in ref.uri else "/x")
        assert summary.matched == 1
        # In a store, x//b.jpg is another name than x/b.jpg.
        assert [(found, len(rows)) for found, rows in table.matched()] == [
            (refs[0], 1),
            (refs[1], 0),
            (refs[2], 0),
            (refs[3], 0),
        ]


def test_the_first_of_file_path_and_uri_names_the_image(tmp_path: Path) -> None:
    with open_table(tmp_path / "m.csv", "uri,File,path\nhttp://x/1,a.jpg,b.jpg\n") as table:
        assert one_row(table, tmp_path) == {"uri": "http://x/1", "path": "b.jpg"}


@pytest.mark.parametrize("id", ["sub/a.jpg", "a.jpg", "a"])
def test_an_id_alone_names_the_image(tmp_path: Path, id: str) -> None:
    with open_table(tmp_path / "m.csv", f"id,brand\n{id},Acme\n") as table:
        expected = {"sub/a.jpg": [Row(id, {"brand": "Acme"})], "b.jpg": []}
        assert rows_of(table, tmp_path, "sub/a.jpg", "b.jpg") == expected


def test_another_column_may_hold_the_ids(tmp_path: Path) -> None:
    content = "sku,id,file\n00123,5,a.jpg\n"
    with open_table(tmp_path / "m.csv", content, id_field="sku") as table:
        assert rows_of(table, tmp_path, "a.jpg")["a.jpg"] == [Row("00123", {"id": 5})]
    assert 'did you mean "sku"?' in error_message(tmp_path / "m.csv", content, id_field="skus")


def test_variants_share_an_image_and_keep_their_ids(tmp_path: Path) -> None:
    content = "id,file,size\n1,a.jpg,S\n2,a.jpg,M\n,a.jpg,L\n,./a.jpg,XL\n"
    with open_table(tmp_path / "m.csv", content) as table:
        found = rows_of(table, tmp_path, "a.jpg")["a.jpg"]
        assert [row.id for row in found] == ["1", "2", None]
        *_, last = (str(warning) for warning in table.warnings)
        assert last.startswith("line 5 (a.jpg): names the image of line 4 and has no id")


def test_an_ambiguous_name_is_reported_and_not_applied(tmp_path: Path) -> None:
    with open_table(tmp_path / "meta" / "m.csv", "file,n\na.jpg,1\nb.jpg,2\nc.jpg,3\n") as table:
        refs = [ref(tmp_path / name) for name in ("x/b.jpg", "x/a.jpg", "y/a.jpg", "x/b.jpg")]
        assert table.match(refs, lambda _: str(tmp_path)) == MatchSummary(
            images=3,
            matched=1,
            rows=3,
            unmatched=1,
            unmatched_examples=("c.jpg",),
            partly_matched=0,
            partly_matched_examples=(),
            ambiguous=1,
            ambiguous_examples=("a.jpg",),
            without_row=0,
        )
        assert [str(warning) for warning in table.warnings] == [
            f"line 2 (a.jpg): fits several images, such as {tmp_path}/x/a.jpg and "
            f"{tmp_path}/y/a.jpg; left out: write its path"
        ]
        assert [len(rows) for _, rows in table.matched()] == [1, 0, 0]


def test_matching_nothing_shows_both_sides(tmp_path: Path) -> None:
    with (
        open_table(tmp_path / "m.csv", "file,n\nimgs/b.jpg,1\n") as table,
        pytest.raises(MetadataError, match=r"m\.csv matches none of the 1 .*imgs/b.*images/a"),
    ):
        rows_of(table, tmp_path, "images/a.jpg")
    with open_table(tmp_path / "m.csv", "file,n\nimgs/a.jpg,1\n") as table:
        assert rows_of(table, tmp_path) == {}  # no images: that is for the caller to say


def test_another_thread_may_read_on(tmp_path: Path) -> None:
    found: list[Any] = []
    with open_table(tmp_path / "m.csv", "file,n\na.jpg,1\n") as table:
        thread = threading.Thread(target=lambda: found.append(one_row(table, tmp_path)))
        thread.start()
        thread.join()
    assert found == [{"n": 1}]
