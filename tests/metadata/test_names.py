"""Names of images: the columns that hold them, several in a cell, and names from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import MetadataError
from lookalike.metadata.names import image_columns, split_names
from tests.support.metadata import open_table, ref, rows_of


def lines_of(table_path: Path, content: str, root: Path, *names: str) -> dict[str, list[int]]:
    """The values of the field n of each image's rows."""
    with open_table(table_path, content) as table:
        found = rows_of(table, root, *names)
    return {name: [row.fields["n"] for row in rows] for name, rows in found.items() if rows}


@pytest.mark.parametrize(
    "header",
    [
        "image", "Image", "image_link", "IMAGE LINK", "image-url", "imageUrl", "Image Src",
        "filename", "File Name", "file_path", "picture", "Photo", "img", "image_id", "Images",
        "url",
    ],
)  # fmt: skip
def test_a_column_is_recognized_by_its_name(tmp_path: Path, header: str) -> None:
    content = f"id,{header},n\nx,sub/a.jpg,1\n"
    found = lines_of(tmp_path / "m.csv", content, tmp_path, "sub/a.jpg", "x.jpg")
    assert found == {"sub/a.jpg": [1]}


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("photo", "yes"),
        ("url", "https://shop.example/p/1"),
        ("image_count", "2"),
        ("link", "a.jpg"),
    ],
)
def test_other_columns_stay_fields(tmp_path: Path, header: str, value: str) -> None:
    content = f"id,{header},n\na,{value},1\n"
    with open_table(tmp_path / "m.csv", content) as table:
        assert list(table.fields) == [header, "n"]
        assert rows_of(table, tmp_path, "a.jpg")["a.jpg"][0].id == "a"


def test_the_best_column_names_the_image() -> None:
    row = {"photo": "a.jpg", "image_link": "https://x/a.jpg", "filename": "a.jpg", "path": ""}
    assert image_columns(list(row), [row]) == ("filename",)
    assert image_columns(["photo", "image_link"], [row]) == ("image_link",)
    assert image_columns(["photo", "path"], [row]) == ("photo",)
    numbered = {"Image 2": "b.jpg", "Image 1": "a.jpg", "image_alt": "A", "more images": "c.jpg"}
    assert image_columns(list(numbered), [numbered]) == ("Image 2", "Image 1", "more images")


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("a.jpg|b.jpg", 2),
        ("a.jpg; b.jpg ;", 2),
        ("https://x/w_1,h_2/a.jpg", 1),
        ("https://x/w_1,h_2/a.jpg https://x/w_1,h_2/b.jpg", 2),
        ("https://x/1,https://x/2", 2),
        ("a.jpg b.jpg", 2),
        ("my photo.jpg", 1),
        ("Müller, Anna.jpg", 1),
        ("red|blue", 1),
    ],
)
def test_several_names_in_a_text(cell: str, parts: int) -> None:
    assert len(split_names(cell)) == parts


CELLS = ["a.jpg,b.jpg", "a.jpg|b.jpg", "a.jpg b.jpg", json.dumps(["a.jpg", "b.jpg"]),
         "https://x/1/a.jpg,https://x/1/b.jpg?v=3", "C:\\p\\A.JPG;C:\\p\\B.JPG"]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_each_image_of_a_cell_gets_the_row(tmp_path: Path, cell: str) -> None:
    quoted = cell.replace('"', '""')
    content = f'id,image_link,n\np,"{quoted}",1\nq,"c.jpg, d.jpg.jpg",2\n'
    with open_table(tmp_path / "m.csv", content) as table:
        found = rows_of(table, tmp_path, "s/b.jpg", "s/a.jpg", "s/c.jpg", "c.jpg, d.jpg.jpg")
        ids = {name: [row.id for row in rows] for name, rows in found.items()}
    # A name that is in the folder as it stands is not split.
    assert ids == {"s/a.jpg": ["p"], "s/b.jpg": ["p#2"], "s/c.jpg": [], "c.jpg, d.jpg.jpg": ["q"]}


@pytest.mark.parametrize(
    "image",
    ["a.jpg", {"src": "a.jpg"}, [{"position": 1, "url": "https://x/a.jpg"}], {"file": "a.jpg"}],
)
def test_images_as_objects(tmp_path: Path, image: Any) -> None:
    with open_table(tmp_path / "m.jsonl", json.dumps({"id": 7, "images": image})) as table:
        assert [row.id for row in rows_of(table, tmp_path, "a.jpg")["a.jpg"]] == ["7"]


def test_lists_and_further_columns(tmp_path: Path) -> None:
    row = {"id": 7, "image_link": "a.jpg", "additional_image_link": ["b.jpg", "c.jpg"], "n": 1}
    content = json.dumps(row)
    with open_table(tmp_path / "m.jsonl", content) as table:
        assert list(table.fields) == ["n"]
        found = rows_of(table, tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
        assert [[row.id for row in rows] for rows in found.values()] == [
            ["7"],
            ["7#2"],
            ["7#3"],
            [],
        ]
        assert table.named(["7#2", "7#4"]) == {"7#2"}
        points = [("7", f"{tmp_path}/a.jpg"), ("7#3", f"{tmp_path}/c.jpg")]
        assert table.without_row([*points, ("7#4", f"{tmp_path}/d.jpg")]) == {"7#4"}


def test_images_that_are_not_listed_are_counted(tmp_path: Path) -> None:
    with open_table(tmp_path / "m.csv", "id,image\n1,a.jpg|x.jpg\n2,b.jpg\n3,y.jpg\n") as table:
        summary = table.match([ref(tmp_path / "a.jpg"), ref(tmp_path / "b.jpg")], lambda _: "/")
    assert (summary.matched, summary.unmatched, summary.partly_matched) == (2, 1, 1)
    assert summary.partly_matched_examples == ("x.jpg",)


def test_an_id_made_for_a_further_image_is_no_other_row_s(tmp_path: Path) -> None:
    content = "id,image\n1,a.jpg|b.jpg\n1#2,c.jpg\n"
    with (
        open_table(tmp_path / "m.csv", content) as table,
        pytest.raises(MetadataError, match=r'the id "1#2" on line 3 is also that of .* line 2'),
    ):
        rows_of(table, tmp_path, "a.jpg", "b.jpg", "c.jpg")


@pytest.mark.parametrize(
    "name",
    [
        "C:\\pics\\shoes\\1.JPG",
        "\\\\server\\share\\Shoes\\1.jpg",
        "SHOES/1.jpg",
        "/mnt/old/shoes/1.jpg",
        "https://cdn.example/x/shoes/1.jpg?w=400",
        "old/shoes/1.jpg",
    ],
)
def test_names_from_elsewhere_fit_by_their_last_parts(tmp_path: Path, name: str) -> None:
    content = f"file,n\n{name},1\n{name.replace('1.', '2.')},2\n"
    names = ("photos/shoes/1.jpg", "photos/hats/1.jpg", "photos/2.jpg")
    found = lines_of(tmp_path / "m" / "m.csv", content, tmp_path, *names)
    expected = {"photos/shoes/1.jpg": [1], "photos/2.jpg": [2]}
    assert found == expected


def test_where_paths_fit_others_are_not_stretched(tmp_path: Path) -> None:
    """A row about a photo of 2022 that is not listed is not about that of 2023."""
    content = "file,n\n2022/1.jpg,22\n2022/2.jpg,2\n2023/1.jpg,23\n"
    found = lines_of(tmp_path / "m.csv", content, tmp_path, "2023/1.jpg", "2023/2.jpg")
    assert found == {"2023/1.jpg": [23]}


def test_case_counts_where_it_tells_images_apart(tmp_path: Path) -> None:
    content = "file,n\na.jpg,1\nA.jpg,2\nB.JPG,3\nc.JPG,4\nd.jpg,5\nD.JPG,6\n"
    listed = ("a.jpg", "A.jpg", "b.jpg", "C.jpg", "c.jpg", "d.jpg")
    with open_table(tmp_path / "m.csv", content) as table:
        found = rows_of(table, tmp_path, *listed)
        warnings = [str(warning) for warning in table.warnings]
    numbers = {name: [row.fields["n"] for row in rows] for name, rows in found.items()}
    assert numbers == {"a.jpg": [1], "A.jpg": [2], "b.jpg": [3], "C.jpg": [], "c.jpg": [],
                       "d.jpg": [5]}  # fmt: skip
    (warning,) = warnings
    assert warning.startswith("line 5 (c.JPG): fits several images, such as ")
    assert f"{tmp_path}/C.jpg and {tmp_path}/c.jpg" in warning


def test_paths_that_end_alike_are_not_used(tmp_path: Path) -> None:
    content = "id,file,n\n1,X:\\a\\1.jpg,1\n2,X:\\b\\1.jpg,2\n3,X:\\b\\2.jpg,3\n4,X:\\b\\2.jpg,4\n"
    with open_table(tmp_path / "m.csv", content) as table:
        found = rows_of(table, tmp_path, "1.jpg", "2.jpg")
        warnings = [str(warning) for warning in table.warnings]
    assert [len(rows) for rows in found.values()] == [0, 2]
    assert warnings == [
        f"line {line} (X:\\{folder}\\1.jpg): fits {tmp_path}/1.jpg, as other rows do; left out: "
        "write its path"
        for line, folder in ((2, "a"), (3, "b"))
    ]


def test_file_names_may_lack_the_extension(tmp_path: Path) -> None:
    content = "image_name,n\nISIC_1,1\nb.jpg,2\n"
    found = lines_of(tmp_path / "m.csv", content, tmp_path, "ISIC_1.jpg", "b.jpg.png")
    assert found == {"ISIC_1.jpg": [1]}
