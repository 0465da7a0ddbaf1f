"""Rows of tables and data sets: `Index.put` takes them as they are."""

from __future__ import annotations

import hashlib
import io
import json
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
from tests.support.command_line import documents, error
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
        ("photos/", {}, "with `add`"),
        (7, {}, "got an int"),
    ],
)
def test_what_cannot_be_put_is_refused(
    index: Index, images: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        index.put(images, **options)
    assert len(index) == 0


def _with_vectors(index: Index, folder: Path, name: str) -> list[dict[str, Any]]:
    """Rows of `rows` with a vector each, the last without."""
    size = index.embed(draw(0)).shape[1]
    vectors = np.random.default_rng(3).normal(size=(COUNT, size)).astype(np.float32)
    entries: list[dict[str, Any]] = [
        {**row, "path": Path(row["path"]).name, name: vector.tolist()}
        for row, vector in zip(rows(folder), vectors, strict=True)
    ]
    entries[-1][name] = None
    return entries


@pytest.mark.parametrize("name", ["vector.semantic", "vector", "embedding"])
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_files_with_vectors(index: Index, tmp_path: Path, kind: str, name: str) -> None:
    entries = _with_vectors(index, tmp_path / "photos", name)
    file = tmp_path / "photos" / f"vectors.{kind}"
    if kind == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(table("arrow", entries), file)
    else:
        file.write_text("\n".join(json.dumps(row, default=str) for row in entries))
    assert index.put(file).added == COUNT
    for row in entries[:-1]:
        point = index.get(row["id"], vectors=True)
        expected = np.array(row[name]) / np.linalg.norm(row[name])
        np.testing.assert_allclose(
            point.vectors[index._manifest.semantic.name], expected, atol=1e-5
        )
        assert point.payload["brand"] == "Acme"
        assert name not in point.payload
    path = tmp_path / "photos" / f"{COUNT - 1:03}.jpg"  # which has the model's
    hits = index.search(image=path, limit=1)
    assert hits[0].id == str(entries[-1]["id"])
    assert hits[0].score == pytest.approx(1, abs=1e-3)
    assert index.search(vector=entries[1][name])[0].id == "101"


def test_an_export_with_vectors_comes_back(index: Index, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    index.put(rows(tmp_path / "photos"))
    file = tmp_path / "export.parquet"
    index.export(file, vectors=True)
    with Index.open(tmp_path / "again", model="built-in") as again:
        assert again.put(file).added == COUNT
        assert again.put(index.to_arrow(vectors=True)).rejected == 0
        for point in index.scroll(vectors=True):
            other = again.get(point.id, vectors=True)
            users = {name: value for name, value in point.payload.items() if name != "image"}
            assert {name: other.payload[name] for name in users} == users
            assert set(other.payload) == set(point.payload)
            for name, vector in point.vectors.items():
                np.testing.assert_allclose(other.vectors[name], vector, atol=1e-5)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0], "102: A vector of semantic has 512 numbers"),
        ([0.0] * 512, "102: .* is zero"),
        ([float("nan")] * 512, "102: .*NaN"),
        (["x"] * 512, "102: .*not a list of numbers"),
        ({"a": 1}, "102: .*not a list of numbers"),
    ],
)
def test_a_row_whose_vector_does_not_fit_is_named(
    index: Index, tmp_path: Path, vector: Any, message: str
) -> None:
    entries = _with_vectors(index, tmp_path / "photos", "vector")
    entries[2]["vector"] = vector
    file = tmp_path / "photos" / "vectors.jsonl"
    file.write_text("\n".join(json.dumps(row, default=str) for row in entries))
    with pytest.raises(InputError, match=message):
        index.put(file)
    assert len(index) == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "file\na.jpg\n", "is not a Parquet or JSON Lines file"),
        ("a.jsonl", "{\n", "not a JSON object"),
        ("a.parquet", "text", "not a valid Parquet file"),
        ("b.jsonl", None, "cannot be read"),
        ("c.jsonl", '{"price": 1}', "No column holds images: name one of price"),
    ],
)
def test_files_of_rows_that_cannot_be_used(
    index: Index, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        index.put(tmp_path / name)


def test_the_command_indexes_vectors_made_elsewhere(index: Index, tmp_path: Path) -> None:
    entries = _with_vectors(index, tmp_path / "photos", "vector")
    file = tmp_path / "photos" / "vectors.jsonl"
    file.write_text("\n".join(json.dumps(row, default=str) for row in entries))
    at = ("--index", tmp_path / "made", "--vectors-from", file)
    report = documents("index", *at, "--model", "built-in")
    assert report["added"] == COUNT
    with Index.open(tmp_path / "made", create=False) as made:
        assert made.search(vector=entries[3]["vector"])[0].id == "103"
    assert "leave out PATH" in error("index", tmp_path / "photos", *at)
    assert "leave out --metadata" in error("index", *at, "--metadata", file)
    assert "--vectors-from FILE" in error("index", "--index", tmp_path / "made")
