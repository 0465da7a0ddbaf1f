"""Rows that are gone: with `prune`, the index has the images that the metadata names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lookalike.index import Index
from lookalike.types import Decision
from tests.support.command_line import documents, lookalike
from tests.support.pictures import draw, folder_of

COUNT = 10


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", COUNT)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as made:
        yield made


def csv(photos: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path = photos.parent / "catalog.csv"
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def catalog(id: str = "sku-{}", column: str = "id", count: int = COUNT) -> list[dict[str, Any]]:
    return [{column: id.format(i), "file": f"{i:03}.jpg", "price": i} for i in range(count)]


def ids(index: Index) -> set[str]:
    return {point.id for point in index.scroll()}


def skus(*numbers: int) -> set[str]:
    return {f"sku-{number}" for number in numbers}


# --- a row is gone ---


@pytest.mark.parametrize("column", ["id", "number"])
def test_an_image_goes_with_its_row_and_comes_back_with_it(
    index: Index, photos: Path, column: str
) -> None:
    rows = catalog(column=column)
    index.add(photos, metadata=csv(photos, rows))
    fewer = csv(photos, rows[1:])
    report = index.add(photos, metadata=fewer)
    assert (report.unchanged, report.removed, report.without_row) == (10, 0, 1)
    for removed in (1, 0):  # the second run finds it as it should be
        report = index.add(photos, metadata=fewer, prune=True)
        assert (report.unchanged, report.added, report.removed) == (9, 0, removed)
        assert (report.without_row, len(index), index.count("price = 0")) == (0, 9, 0)
        (warning,) = report.warnings
        assert str(warning) == "1 image has no row and is left out (--prune)"
    report = index.add(photos, metadata=csv(photos, rows), prune=True)
    assert (report.added, report.unchanged, report.warnings) == (1, 9, ())


def test_the_file_stays_and_without_metadata_its_image_too(index: Index, photos: Path) -> None:
    index.add(photos, metadata=csv(photos, catalog()))
    index.add(photos, metadata=csv(photos, catalog(count=9)), prune=True)
    assert (photos / "009.jpg").exists()
    report = index.add(photos, prune=True)
    assert (report.added, report.unchanged, report.removed) == (1, 9, 0)


def test_one_of_several_rows_of_a_picture(index: Index, photos: Path) -> None:
    rows = [*catalog(), {"id": "sku-0-L", "file": "000.jpg", "price": 50}]
    index.add(photos, metadata=csv(photos, rows))
    assert index.add(photos, metadata=csv(photos, rows[:-1])).without_row == 1
    report = index.add(photos, metadata=csv(photos, rows[:-1]), prune=True)
    assert (report.unchanged, report.removed) == (10, 1)
    assert ids(index) == skus(*range(10))


def test_an_image_of_another_folder_stays(index: Index, photos: Path, tmp_path: Path) -> None:
    other = folder_of(tmp_path / "other", 1, first=50)
    index.add(other)
    report = index.add(photos, metadata=csv(photos, catalog()), prune=True)
    assert (report.added, report.removed, report.without_row, len(index)) == (10, 0, 0, 11)


def test_each_part_removes_its_own(index: Index, photos: Path) -> None:
    index.add(photos, metadata=csv(photos, catalog()))
    fewer = csv(photos, catalog(count=8))
    options: dict[str, Any] = {"metadata": fewer, "prune": True, "yes": True}
    reports = [index.add(photos, partition=(number, 2), **options) for number in (1, 2)]
    assert sum(report.removed for report in reports) == 2
    assert ids(index) == skus(*range(8))


# --- another scheme of ids ---


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (catalog(column="number"), catalog()),  # ids added
        (catalog(), catalog("art-{}")),  # ids changed
        (catalog(), catalog("art-{}", column="ean")),  # the column renamed
    ],
    ids=["added", "changed", "renamed"],
)
def test_new_ids_replace_old_ones(
    index: Index,
    photos: Path,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index.add(photos, metadata=csv(photos, before))
    old = index.get(before[0]["id"] if "id" in before[0] else str(photos / "000.jpg"))
    other = index.get(before[1]["id"] if "id" in before[1] else str(photos / "001.jpg"))
    index.decide([old.id, other.id], Decision.NOT_DUPLICATES)
    column = next(iter(after[0]))
    described = index.get(old.id, vectors=True)
    report = index.add(photos, metadata=csv(photos, after), id_field=column, prune=True)
    assert (report.added, report.updated, report.removed) == (0, COUNT, 0)
    assert ids(index) == {row[column] for row in after}
    new = index.get(after[0][column], vectors=True)
    assert new.payload["image"]["not_duplicates"]
    assert all((new.vectors[name] == vector).all() for name, vector in described.vectors.items())
    again = index.add(photos, metadata=csv(photos, after), id_field=column, prune=True)
    assert (again.unchanged, again.removed) == (COUNT, 0)


def test_without_prune_old_ids_stay_beside_new_ones(index: Index, photos: Path) -> None:
    index.add(photos, metadata=csv(photos, catalog()))
    report = index.add(photos, metadata=csv(photos, catalog("art-{}")))
    assert (report.added, report.without_row, len(index)) == (COUNT, COUNT, 2 * COUNT)
    report = index.add(photos, metadata=csv(photos, catalog("art-{}")), prune=True)
    assert report.prune_refused is not None
    assert "10 have no row in the metadata" in report.prune_refused
    report = index.add(photos, metadata=csv(photos, catalog("art-{}")), prune=True, yes=True)
    assert (report.removed, len(index)) == (COUNT, COUNT)


def test_an_id_may_change_its_picture(index: Index, photos: Path) -> None:
    index.add(photos, metadata=csv(photos, catalog()))
    rows = catalog()
    rows[0]["id"], rows[1]["id"] = "new", "sku-0"  # sku-1 is gone, sku-0 has another picture
    report = index.add(photos, metadata=csv(photos, rows), prune=True)
    assert (report.added, report.updated, report.removed) == (1, 1, 1)
    assert ids(index) == {"new", *skus(0, *range(2, 10))}
    assert index.get("sku-0").payload["image"]["uri"] == str(photos / "001.jpg")


def test_an_image_that_cannot_be_read_keeps_its_old_id(index: Index, photos: Path) -> None:
    index.add(photos, metadata=csv(photos, catalog()))
    (photos / "000.jpg").write_bytes(b"")
    report = index.add(photos, metadata=csv(photos, catalog("art-{}")), prune=True)
    assert (report.rejected, report.updated, report.removed) == (1, 9, 0)
    assert "sku-0" in ids(index)
    draw(60).save(photos / "000.jpg")
    index.add(photos, metadata=csv(photos, catalog("art-{}")), prune=True)
    assert ids(index) == {row["id"] for row in catalog("art-{}")}


# --- nothing is lost ---


def test_more_than_a_fifth_goes_only_with_yes(photos: Path, tmp_path: Path) -> None:
    to = ("index", photos, "--index", tmp_path / "i", "--model", "built-in")
    documents(*to, "--metadata", csv(photos, catalog()))
    fewer = ("--metadata", csv(photos, catalog(count=7)))
    shown = lookalike(*to, *fewer)
    assert "3 images in the index without a row in the metadata: --prune removes" in shown.stdout
    (line,) = lookalike(*to, *fewer, "--prune", code=1).stderr.splitlines()
    assert line == (
        "lookalike: Nothing was pruned: 3 of the 10 images that the index has from these paths "
        "would go, and that is more than a fifth (3 have no row in the metadata); check the "
        "metadata file, and to remove them run the same command with --yes (in Python, yes=True)."
    )
    assert documents("stats", "--index", tmp_path / "i")["images"] == COUNT
    assert documents(*to, *fewer, "--prune", "--yes")["removed"] == 3


def test_a_row_that_cannot_be_read_may_be_of_any_image(index: Index, photos: Path) -> None:
    index.add(photos, metadata=csv(photos, catalog()))
    path = csv(photos, catalog(count=9))
    path.write_text(path.read_text() + "sku-9,009.jpg,5,6,7\n")
    report = index.add(photos, metadata=path, prune=True)
    assert (report.removed, len(index)) == (0, COUNT)
    assert "1 rows of the metadata that may be theirs could not be read" in (
        report.prune_refused or ""
    )


def test_an_image_that_an_ambiguous_row_may_name_stays(
    index: Index, photos: Path, tmp_path: Path
) -> None:
    for folder in ("S", "L"):
        folder_of(photos / folder, 1, first=20)
    rows = [{"id": "S", "file": "S/020.jpg"}, {"id": "L", "file": "L/020.jpg"}]
    kept = [{"id": row["id"], "file": row["file"]} for row in catalog()]
    index.add(photos, metadata=csv(photos, [*rows, *kept]))
    bare = csv(photos, [{"id": "S", "file": "020.jpg"}, *kept])
    report = index.add(photos, metadata=bare, prune=True, yes=True)
    assert (report.removed, len(index)) == (0, COUNT + 2)
    report = index.add(photos, metadata=csv(photos, [rows[0], *kept]), prune=True)
    assert (report.removed, "L" in ids(index)) == (1, False)
