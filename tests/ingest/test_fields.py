"""Fields in the index equal what was given: rows, null, new names, wider types."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import InputError, QueryError
from lookalike.index import Index
from lookalike.ingest.report import Canceled, IngestCounts
from lookalike.ingest.uploads import Upload
from tests.support.pictures import draw, folder_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", 6)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as made:
        yield made


def table(folder: Path, rows: Sequence[Mapping[str, Any]], kind: str = "csv") -> Path:
    """A metadata file; in CSV, a missing value is an empty cell."""
    path = folder.parent / f"catalog.{kind}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if kind == "jsonl":
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
    return path


def catalog(count: int = 6, **fields: Any) -> list[dict[str, Any]]:
    return [{"id": f"sku-{i}", "file": f"{i:03}.jpg", **fields} for i in range(count)]


def fields(index: Index, id: str) -> dict[str, Any]:
    return {name: value for name, value in index.get(id).payload.items() if name != "image"}


# --- the row is the whole truth ---


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_an_emptied_cell_clears_the_field(index: Index, photos: Path, kind: str) -> None:
    rows = catalog(price=20, sale=9.5, tags="a|b" if kind == "csv" else ["a", "b"])
    index.add(photos, metadata=table(photos, rows, kind))
    rows[2] |= {"sale": None, "tags": "" if kind == "csv" else []}
    report = index.add(photos, metadata=table(photos, rows, kind))
    assert (report.updated, report.unchanged, report.cleared) == (1, 5, 2)
    assert fields(index, "sku-2") == {"price": 20}
    assert index.count("sale < 10") == 5
    assert index.add(photos, metadata=table(photos, rows, kind)).cleared == 0


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_dropped_column_clears_its_field(index: Index, photos: Path, kind: str) -> None:
    index.add(photos, metadata=table(photos, catalog(price=20, sale=9.5), kind))
    report = index.add(photos, metadata=table(photos, catalog(price=20), kind))
    assert (report.updated, report.cleared) == (6, 6)
    assert fields(index, "sku-2") == {"price": 20}


def test_a_new_picture_takes_its_fields_from_the_row_alone(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos, catalog(price=20, sale=9.5)))
    draw(77).save(photos / "002.jpg")
    report = index.add(photos, metadata=table(photos, catalog(price=20)))
    assert (report.updated, report.cleared) == (6, 6)
    assert fields(index, "sku-2") == {"price": 20}


def test_without_metadata_or_a_row_fields_stay(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos, catalog(price=20)))
    index.update("sku-2", {"rating": 5})
    assert index.add(photos).unchanged == 6
    rest = [row for row in catalog(price=20) if row["id"] != "sku-2"]
    report = index.add(photos, metadata=table(photos, rest))
    assert (report.unchanged, report.cleared) == (6, 0)
    assert fields(index, "sku-2") == {"price": 20, "rating": 5}


def test_a_value_that_cannot_be_read_leaves_the_older_one_and_is_counted(
    index: Index, photos: Path
) -> None:
    rows = catalog(price=20.5)
    index.add(photos, metadata=table(photos, rows))
    rows[2]["price"] = "dear"
    report = index.add(photos, metadata=table(photos, rows))
    assert (report.outdated, report.cleared) == (1, 0)
    assert fields(index, "sku-2") == {"price": 20.5}
    objects = catalog(price={"amount": 5})
    assert index.add(photos, metadata=table(photos, objects, "jsonl")).outdated == 6
    with Index.open(photos.parent / "other", model="built-in") as other:
        assert other.add(photos, metadata=table(photos, rows)).outdated == 0


# --- one rule for all ways to set fields ---


def upload(fields: Mapping[str, Any]) -> Upload:
    picture = BytesIO()
    draw(1).save(picture, "PNG")
    return Upload(picture.getvalue(), "there", "one", fields)


@pytest.mark.parametrize("way", ["update", "put"])
@pytest.mark.parametrize("none", [None, [], "", float("nan"), [None], [""]])
def test_null_clears_and_new_fields_come_in(index: Index, way: str, none: Any) -> None:
    def change(fields: Mapping[str, Any]) -> None:
        if way == "put":
            index.put([upload(fields)])
        else:
            index.update("one", fields)

    index.put([upload({"price": 5})])
    change({"rating": 4, "tags": ["a"]})
    assert index.count('rating >= 4 and tags has "a"') == 1
    change({"price": none, "never": none})
    assert fields(index, "one") == {"rating": 4, "tags": ["a"]}
    change({"rating": 4.5})
    assert index.count("rating > 4.4") == 1
    assert index.fields["rating"].type == "float"


@pytest.mark.parametrize("kind", ["put", "jsonl"])
def test_null_in_a_list_is_left_out(index: Index, photos: Path, kind: str) -> None:
    tags = ["a", None, "", "b"]
    if kind == "put":
        index.put([upload({"tags": tags})])
    else:
        index.add(
            photos, metadata=table(photos, [{"id": "one", "file": "000.jpg", "tags": tags}], kind)
        )
    assert fields(index, "one") == {"tags": ["a", "b"]}
    assert index.fields["tags"].type == "keywords"


def test_true_is_not_one(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos, catalog(flag="true")), fields={"flag": "keyword"})
    assert fields(index, "sku-1") == {"flag": "true"}
    index.update("sku-1", {"count": 1})
    index.update("sku-2", {"ok": True})
    index.update("sku-2", {"count": 2})
    assert index.count("count = 1") == index.count("ok") == 1


# --- types ---


def test_whole_numbers_become_floats_and_filters_find_both(index: Index, photos: Path) -> None:
    rows = catalog(price=20)
    index.add(photos, metadata=table(photos, rows))
    rows[2]["price"] = 19.99
    report = index.add(photos, metadata=table(photos, rows))
    assert (report.updated, report.outdated, report.warnings) == (1, 0, ())
    assert index.fields["price"].type == "float"
    assert index.count("price < 19.995") == 1
    assert index.count("price >= 19.99") == 6
    assert index.histogram("price").low == 19.99
    with_whole = index.add(photos, metadata=table(photos, catalog(price=7)))
    assert (with_whole.updated, index.count("price = 7")) == (6, 6)


def test_a_field_can_be_declared_anew(index: Index, photos: Path) -> None:
    prices = ["1.299,00 €", "19,99 €", "5 €", "dear", "7,50 €", "8 €"]
    rows = [row | {"price": price} for row, price in zip(catalog(), prices, strict=True)]
    index.add(photos, metadata=table(photos, rows), fields={"price": "keyword"})
    assert index.count('price = "dear"') == 1
    report = index.add(photos, fields={"price": "float"})
    assert report.outdated == 1
    (warning,) = report.warnings
    assert "1 stored value is not a number" in str(warning)
    assert '"dear" of sku-3' in str(warning)
    assert index.count("price < 20") == 4
    assert index.count("price > 1000") == 1
    assert fields(index, "sku-3") == {"price": "dear"}
    rows[3]["price"] = "6,00 €"
    assert index.add(photos, metadata=table(photos, rows), fields={"price": "float"}).outdated == 0
    assert index.count("price < 20") == 5
    index.add(photos, fields={"price": "keyword"})
    assert index.count('price = "5.0"') == 1


def test_others_may_write_while_a_field_is_declared_anew(index: Index, photos: Path) -> None:
    rows = [row | {"price": price} for row, price in zip(catalog(), "12345x", strict=True)]
    index.add(photos, metadata=table(photos, rows), fields={"price": "keyword"})
    others = iter(["2.5", "3.5"])

    def progress(counts: IngestCounts, total: int | None) -> None:
        if value := next(others, None):
            index.update("sku-0", {"price": value})

    report = index.add(photos, fields={"price": "float"}, progress=progress)
    assert next(others, None) is None
    assert (report.outdated, index.count("price = 3.5"), index.count("price < 9")) == (1, 1, 5)


@pytest.mark.parametrize("stopped_at", [2, 3])
def test_a_run_that_is_stopped_tells_which_values_do_not_fit(
    index: Index, photos: Path, stopped_at: int
) -> None:
    index.add(photos, metadata=table(photos, catalog(2, price="dear") + catalog(6)[2:]))
    calls = itertools.count()

    def progress(counts: IngestCounts, total: int | None) -> None:
        if next(calls) >= stopped_at:
            raise Canceled

    report = index.add(photos, fields={"price": "float"}, progress=progress)
    assert (report.interrupted, report.outdated, len(report.warnings)) == (True, 2, 1)


def test_a_field_that_comes_and_goes_with_the_file_is_retyped_with_it(
    index: Index, photos: Path
) -> None:
    index.add(photos, metadata=table(photos, catalog(price="dear")))
    fine = table(photos, catalog(price="19,99"))
    report = index.add(photos, metadata=fine, fields={"price": "float"})
    assert (report.outdated, report.updated) == (0, 6)
    assert index.count("price < 20") == 6
    with pytest.raises(InputError, match="no field 'size' to declare"):
        index.add(photos, fields={"size": "float"})


# --- long texts ---

ABOUT = (
    "A light dress for the long days of summer, made of washed {}, with two pockets and buttons "
    "of wood; number {}."
)


def described(count: int = 6) -> list[dict[str, Any]]:
    return [
        row | {"about": ABOUT.format(("Linen", "cotton")[i % 2], i)}
        for i, row in enumerate(catalog(count))
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_long_texts_are_found_by_their_words(index: Index, photos: Path, kind: str) -> None:
    index.add(photos, metadata=table(photos, described(), kind))
    assert index.fields["about"].type == "text"
    assert index.count('about matches "linen summer"') == 3
    assert index.count('about matches "Cotton 5"') == 1
    assert index.count('about matches "line"') == 0
    assert index.count('about contains "Linen"') == 3
    assert index.count("about = :about", params={"about": ABOUT.format("Linen", 0)}) == 1
    assert index.stats()["fields"]["about"] == {"type": "text", "values": None}
    with pytest.raises(QueryError, match="about is a long text"):
        index.facets("about")
    with pytest.raises(QueryError, match="cannot be collapsed by about"):
        index.search(color="red", collapse="about")


def test_texts_of_an_index_become_long_texts_when_declared(index: Index, photos: Path) -> None:
    rows = [row | {"title": f"Dress {i}"} for i, row in enumerate(catalog())]
    index.add(photos, metadata=table(photos, rows))
    assert [count for _, count in index.facets("title")] == [1] * 6
    index.add(photos, fields={"title": "text"})
    assert index.count('title matches "dress 4"') == 1
    index.add(photos, fields={"title": "keyword"})
    assert [count for _, count in index.facets("title")] == [1] * 6
    assert index.count('title matches "dress 4"') == 1


def test_the_first_value_decides_that_a_text_is_long(index: Index) -> None:
    index.put([upload({"about": ABOUT.format("linen", 1), "title": "Dress"})])
    index.update("one", {"about": "short", "title": ABOUT.format("linen", 1)})
    assert (index.fields["about"].type, index.fields["title"].type) == ("text", "keyword")
    assert index.count('about matches "SHORT" and title matches "linen"') == 1


# --- number ---


@pytest.mark.parametrize("way", ["put", "update", "add", "learn"])
def test_fields_beyond_the_limit_are_refused_before_anything_is_written(
    tmp_path: Path, photos: Path, way: str
) -> None:
    values = {f"field_{n}": n for n in range(4)}
    with Index.open(tmp_path / "index", model="built-in", max_fields=4) as index:
        index.put([upload({"price": 1})])
        with pytest.raises(InputError, match=r"no room for the field 'field_3'.* may have 4;"):
            if way == "put":
                index.put([upload(values)])
            elif way == "update":
                index.update("one", values)
            elif way == "learn":
                index.learn_fields([{"field_0": 1}, values], lambda: None)
            else:
                index.add(photos, metadata=table(photos, catalog(**values)))
        assert fields(index, "one") == {"price": 1}
        assert "field_0" not in index.fields
        assert len(index) == 1
        index.update("one", dict(list(values.items())[:3]))
        assert index.count("field_2 = 2") == 1
    with Index.open(tmp_path / "index", max_fields=2) as index:
        index.update("one", {"price": 2, "field_0": 7})
        assert index.count("price = 2 and field_0 = 7") == 1


def test_others_may_write_between_new_fields(index: Index) -> None:
    index.put([upload({})])
    others: Iterator[Mapping[str, Any]] = iter([{"other": 1}, {"b": 0.5}, {"c": "text"}])

    def pause() -> None:
        index.update("one", next(others))

    with pytest.raises(InputError, match="c is a keyword in this index, not an integer"):
        index.learn_fields([{"a": 1, "b": 2}, {"c": 3, "d": 4}], pause)
    types = {name: str(index.fields[name].type) for name in ("a", "b", "c", "other")}
    assert types == {"a": "integer", "b": "float", "c": "keyword", "other": "integer"}
    assert "d" not in index.fields
    assert index.count("b = 0.5 and other = 1") == 1
