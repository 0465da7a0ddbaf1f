"""Uploads: `Index.put` adds them, and the next search finds them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import InputError
from lookalike.index import Index
from lookalike.ingest.report import Canceled, IngestCounts
from lookalike.ingest.uploads import Upload
from tests.support.pictures import draw, folder_of


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder_of(tmp_path / "photos", 5))
        yield index


def upload(seed: int, folder: Path, **named: object) -> Upload:
    buffer = BytesIO()
    draw(seed).save(buffer, "PNG")
    name = hashlib.sha256(buffer.getvalue()).hexdigest()
    (folder / name).write_bytes(buffer.getvalue())
    return Upload(buffer.getvalue(), str(folder / name), **named)  # type: ignore[arg-type]


def test_the_next_search_finds_it(index: Index, tmp_path: Path) -> None:
    one = upload(20, tmp_path, id="sku-1", fields={"price": 9.5, "tags": ["a", "b"], "new": True})
    report = index.put([one, upload(21, tmp_path)])
    assert (report.added, report.rejected) == (2, 0)
    assert index.search(image=one.data)[0].id == "sku-1"
    found = index.search(image=one.data, where='price < 10 and tags has "b" and new')
    assert [hit.id for hit in found] == ["sku-1"]
    assert index.get(upload(21, tmp_path).sha256).payload["image"]["width"] == 120
    assert index.thumbnail("sku-1")


def test_the_same_id_is_replaced_and_keeps_fields_that_are_not_named(
    index: Index, tmp_path: Path
) -> None:
    index.put([upload(20, tmp_path, id="sku-1", fields={"price": 9.5, "brand": "Acme"})])
    report = index.put([upload(22, tmp_path, id="sku-1", fields={"price": 8})])
    assert (report.added, report.updated) == (0, 1)
    payload = index.get("sku-1").payload
    assert (payload["price"], payload["brand"]) == (8.0, "Acme")
    assert payload["image"]["sha256"] == upload(22, tmp_path).sha256
    again = index.put([upload(22, tmp_path, id="sku-1", fields={"price": 8})])
    assert (again.updated, again.unchanged) == (0, 1)
    assert len(index) == 6


def test_equal_images_are_added_once_and_reported_as_copies(index: Index, tmp_path: Path) -> None:
    one, other = upload(20, tmp_path), upload(21, tmp_path, id="b", fields={"price": 1})
    bad = Upload(b"no picture", str(tmp_path / "bad"))
    report = index.put([one, other, one, other, bad, bad, one])
    assert (report.added, report.skipped, report.rejected, report.done) == (2, 3, 2, 7)
    assert [(copy.of, copy.verdict) for copy in report.copies] == [
        (one.sha256, "identical"), ("b", "identical"), (one.sha256, "identical")
    ]  # fmt: skip
    assert len(index) == 7
    for changed in (
        upload(22, tmp_path, id="b", fields={"price": 1}),
        upload(21, tmp_path, id="b"),
    ):
        with pytest.raises(InputError, match="Two images have the id 'b'"):
            index.put([other, changed])


def test_one_content_under_two_ids(index: Index, tmp_path: Path) -> None:
    report = index.put([upload(20, tmp_path, id=id) for id in ("a", "b")])
    assert report.added == 2
    index.delete(["a"])
    assert index.get("b").id == "b"


def test_what_is_no_picture_is_rejected_with_its_reason(index: Index, tmp_path: Path) -> None:
    report = index.put([Upload(b"no picture", "there", id="x"), upload(20, tmp_path, id="y")])
    assert [(reject.uri, reject.reason) for reject in report.rejects] == [
        ("there", "unsupported_format")
    ]
    assert report.added == 1


def test_what_does_not_fit_is_refused_whole(index: Index, tmp_path: Path) -> None:
    good = upload(20, tmp_path, id="good", fields={"price": 1.5})
    with pytest.raises(InputError, match="price is a float in this index"):
        index.put([good, upload(21, tmp_path, id="bad", fields={"price": "cheap"})])
    with pytest.raises(InputError, match=r"size cannot be \{\}"):
        index.put([good, upload(21, tmp_path, id="bad", fields={"size": {}})])
    with pytest.raises(InputError, match="reserved"):
        index.put([good, upload(21, tmp_path, id="bad", fields={"image": None})])
    with pytest.raises(InputError, match="reserved"):
        index.put([good, upload(21, tmp_path, id="bad", fields={"image.width": 1})])
    with pytest.raises(InputError, match="Two images have the id 'good'"):
        index.put([good, upload(21, tmp_path, id="good")])
    assert len(index) == 5


def test_a_run_is_stopped_in_good_order_and_goes_on(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "photos", 200)

    def enough(counts: IngestCounts, total: int | None) -> None:
        if counts.done >= 8:
            raise Canceled

    with Index.open(tmp_path / "index", model="built-in") as index:
        report = index.add(folder, progress=enough)
        assert report.interrupted
        assert 8 <= report.added == len(index) < 200
        again = index.add(folder)
        assert (again.added, again.unchanged) == (200 - report.added, report.added)


def test_vectors_made_elsewhere_are_stored(index: Index, tmp_path: Path) -> None:
    vector: Any = np.random.default_rng(1).normal(size=512).astype(np.float32)
    one = upload(20, tmp_path, id="a", vector=vector)
    assert index.put([one, upload(20, tmp_path, id="b"), upload(21, tmp_path, id="c")]).added == 3
    hits = index.search(vector=vector, limit=3)
    assert hits[0].id == "a"
    assert hits[0].scores["semantic"] == pytest.approx(1, abs=1e-3)
    assert index.search(id="b", limit=9)[0].id != "a"  # whose vector is the model's
    assert index.search(id="a", weights={"color": 1})[0].id == "b"
    color = index.get("c", vectors=True).vectors["color"]
    again = upload(20, tmp_path, id="a", vector={"semantic": -vector, "color": color})
    assert index.put([again]).updated == 1
    assert index.search(vector=-vector)[0].id == "a"
    assert index.search(id="c", weights={"color": 1})[0].id == "a"


@pytest.mark.parametrize(
    ("vector", "message"),
    [([1.0], "has 512 numbers"), (np.zeros(512), "zero"), ({"shape": [1]}, "no aspect 'shape'"),
     (np.full(512, np.nan), "NaN"), ("text", "not a list of numbers")],
)  # fmt: skip
def test_vectors_that_do_not_fit_are_refused_whole(
    index: Index, tmp_path: Path, vector: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        index.put([upload(20, tmp_path), upload(21, tmp_path, vector=vector)])
    assert len(index) == 5
