"""Rows of tables and data sets: `Index.put` takes them as they are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import InputError
from lookalike.index import Index
from lookalike.ingest.report import IngestCounts
from lookalike.ingest.uploads import Upload
from tests.support.pictures import draw, folder_of

COUNT = 5


def rows(folder: Path) -> list[dict[str, Any]]:
    """Rows with paths, as a shop has them."""
    folder_of(folder, COUNT)
    return [
        {
            "path": str(folder / f"{i:03}.jpg"),
            "id": 100 + i,
            "price": None if i == 2 else 9.5 + i,
            "new": i % 2 == 0,
            "brand": "Acme",
            "added": datetime(2026, 1, 1 + i, tzinfo=UTC),
        }
        for i in range(COUNT)
    ]


def table(kind: str, entries: list[dict[str, Any]]) -> Any:
    if kind == "pandas":
        return pytest.importorskip("pandas").DataFrame(entries)
    if kind == "polars":
        return pytest.importorskip("polars").DataFrame(entries)
    if kind == "arrow":
        return pytest.importorskip("pyarrow").Table.from_pylist(entries)
    if kind == "datasets":
        return pytest.importorskip("datasets").Dataset.from_list(entries)
    return entries if kind == "list" else iter(entries)


@pytest.mark.parametrize("kind", ["list", "generator", "pandas", "polars", "arrow", "datasets"])
def test_tables_of_every_library(index: Index, tmp_path: Path, kind: str) -> None:
    entries = rows(tmp_path / "photos")
    report = index.put(table(kind, entries))
    assert (report.added, report.rejected) == (COUNT, 0)
    points = {point.id: point.payload for point in index.scroll()}
    assert set(points) == {str(100 + i) for i in range(COUNT)}
    one = points["101"]
    assert (one["price"], one["new"], one["brand"]) == (10.5, False, "Acme")
    assert one["added"].startswith("2026-01-02T00:00:00")
    assert "price" not in points["102"]
    assert one["image"]["uri"] == entries[1]["path"]
    assert index.put(table(kind, entries)).unchanged == COUNT


def test_rows_name_files_as_add_does(index: Index, tmp_path: Path) -> None:
    entries = [{"file": str(tmp_path / "photos" / "000.jpg")}, {"file": str(tmp_path / "no.jpg")}]
    folder_of(tmp_path / "photos", 2)
    report = index.put(entries)
    assert (report.added, report.rejected) == (1, 1)
    assert (report.rejects[0].uri, report.rejects[0].reason) == (entries[1]["file"], "unreadable")
    added = index.add(tmp_path / "photos")
    assert (added.added, added.unchanged) == (1, 1)


def test_pictures_in_memory_and_data_sets(index: Index) -> None:
    buffer = io.BytesIO()
    draw(2).save(buffer, "PNG")
    entries = [
        {"image": draw(0), "label": 1},
        {"image": np.asarray(draw(1)), "label": 0},
        {"image": {"bytes": buffer.getvalue(), "path": None}, "label": 1},
    ]
    assert index.put(entries).added == 3
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    assert index.get(sha256).payload["label"] == 1
    assert index.thumbnail(sha256)


class Labeled:
    """A data set as torchvision's are: pairs by number, with the names of the labels."""

    classes = ("shoe", "shirt")

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return draw(i), i % 2


def test_labels_have_their_names(index: Index) -> None:
    assert index.put(Labeled()).added == 4
    assert dict(index.facets("label")) == {"shoe": 2, "shirt": 2}
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        image=datasets.Image(), kind=datasets.ClassLabel(names=["shoe", "shirt"])
    )
    data = datasets.Dataset.from_list(
        [{"image": draw(10 + i), "kind": i % 2} for i in range(3)], features=features
    )
    assert index.put(data).added == 3
    assert dict(index.facets("kind")) == {"shoe": 2, "shirt": 1}


def test_generators_stream(index: Index) -> None:
    """A batch is stored before the next one is read."""
    seen, stored = [], []

    def images() -> Iterator[dict[str, Any]]:
        for i in range(150):
            seen.append(len(index))
            yield {"image": np.full((32, 32, 3), i, np.uint8)}

    def progress(counts: IngestCounts, total: int | None) -> None:
        stored.append((counts.done, total))

    report = index.put(images(), progress=progress)
    assert report.added == 150
    assert seen[-1] >= 64
    assert [done for done, _ in stored] == sorted(done for done, _ in stored)
    assert stored[-1] == (150, None)


def test_columns_are_chosen(index: Index, tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", 2)
    entries = [
        {"front": str(tmp_path / "photos" / f"{i:03}.jpg"), "sku": i, "price": 1, "odd": {"a": 1}}
        for i in range(2)
    ]
    index.put(entries, image_field="front", id_field="sku", fields=["price"])
    assert index.get(1).payload["price"] == 1
    assert "odd" not in index.get(1).payload


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ([{"a": 1}], {}, "image_field"),
        ([{"image": b"x", "a": 1}], {"id_field": "b"}, "no column 'b'"),
        ([{"image": b"x", "a": 1}], {"fields": ["b"]}, "no column 'b'"),
        ([{"image": b"x", "a": {"b": 1}}], {}, "a cannot be"),
        ([{"image": 7}], {}, "An image is a path"),
        (Upload(b"x"), {}, "give a list"),
        ("photos/", {}, "give a list"),
        (7, {}, "got an int"),
    ],
)
def test_what_cannot_be_put_is_refused(
    index: Index, images: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        index.put(images, **options)
    assert len(index) == 0
