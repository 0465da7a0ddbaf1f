"""The ingest pipeline: each input has exactly one outcome, and repeated runs change nothing."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import InputError, MetadataError, Reason, SourceError
from lookalike.index import Index
from lookalike.ingest.report import IngestReport
from tests.support.pictures import draw, folder_of


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    return (
        report.added,
        report.updated,
        report.unchanged,
        report.rejected,
        report.removed,
    )


def ids(index: Index) -> set[str]:
    return {point.id for point in index.scroll()}


def test_a_folder_is_added_once(index: Index, photos: Path) -> None:
    assert counts(index.add(photos)) == (12, 0, 0, 0, 0)
    assert counts(index.add(photos)) == (0, 0, 12, 0, 0)
    assert ids(index) == {str(path) for path in photos.iterdir()}


def test_the_payload_says_what_the_file_is(index: Index, photos: Path) -> None:
    index.add(photos)
    file = photos / "003.jpg"
    own = index.get(str(file)).payload["image"]
    assert own["id"] == own["uri"] == str(file)
    assert (own["width"], own["height"], own["format"]) == (120, 160, "JPEG")
    assert own["bytes"] == file.stat().st_size
    assert len(own["sha256"]) == 64
    assert len(own["phash"]) == 16
    assert own["colors"][0]["name"] == "orange"
    assert own["indexed_at"].endswith("Z")


def test_what_changed_is_updated_and_what_was_only_touched_is_not(
    index: Index, photos: Path
) -> None:
    index.add(photos)
    draw(99).save(photos / "001.jpg")
    os.utime(photos / "002.jpg", (1, 1))
    assert counts(index.add(photos)) == (0, 1, 11, 0, 0)
    assert counts(index.add(photos)) == (0, 0, 12, 0, 0)
    assert index.get(str(photos / "002.jpg")).payload["image"]["etag"].endswith("-1000000000")


def test_prune_removes_what_is_gone_and_nothing_else(
    index: Index, photos: Path, tmp_path: Path
) -> None:
    other = folder_of(tmp_path / "other", 3, first=50)
    index.add(photos, other)
    (photos / "004.jpg").unlink()
    (other / "050.jpg").unlink()
    assert counts(index.add(photos)) == (0, 0, 11, 0, 0)
    assert counts(index.add(photos, prune=True)) == (0, 0, 11, 0, 1)
    assert str(photos / "004.jpg") not in ids(index)
    assert str(other / "050.jpg") in ids(index)  # its folder was not named


def test_an_emptied_folder_is_an_error_and_not_a_purge(index: Index, photos: Path) -> None:
    index.add(photos)
    for file in photos.iterdir():
        file.unlink()
    with pytest.raises(SourceError, match="nothing to index in"):
        index.add(photos, prune=True)
    assert len(index) == 12


def test_rejects_have_reasons_and_stop_nothing(index: Index, photos: Path) -> None:
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("no picture")
    whole = (photos / "000.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    report = index.add(photos)
    assert counts(report) == (12, 0, 0, 3, 0)
    reasons = {Path(reject.uri).name: reject.reason for reject in report.rejects}
    assert reasons == {
        "empty.jpg": "empty",
        "text.jpg": "unsupported_format",
        "cut.jpg": "truncated",
    }


def test_files_of_all_sizes_come_in_together(index: Index, photos: Path) -> None:
    """Files are decoded in batches of about a mebibyte; batches may end at any file."""
    for place in (0, 2, 3, 6, 11):
        draw(place, size=(800, 600)).save(photos / f"{place:03}.jpg", "BMP")
    (photos / "001a.jpg").write_text("no picture")
    (photos / "006a.jpg").touch()
    report = index.add(photos)
    assert counts(report) == (12, 0, 0, 2, 0)
    assert [Path(reject.uri).name for reject in report.rejects] == ["001a.jpg", "006a.jpg"]
    for file in (photos / "003.jpg", photos / "004.jpg"):
        assert index.search(image=file)[0].id == str(file)


def test_a_file_that_went_bad_keeps_its_entry(index: Index, photos: Path) -> None:
    index.add(photos)
    (photos / "001.jpg").write_text("overwritten")
    report = index.add(photos)
    assert counts(report) == (0, 0, 11, 1, 0)
    assert len(index) == 12


def test_what_is_no_picture_by_its_name_is_passed_over(index: Index, photos: Path) -> None:
    for name in ("notes.txt", "table.csv", "clip.mp4"):
        (photos / name).write_text("x")
    (photos / "LICENSE").write_text("Permission is granted …")
    (photos / ".thumbnails").mkdir()
    draw(1).save(photos / ".thumbnails" / "a.jpg")
    draw(70).save(photos / ".hidden.jpg")
    draw(71).save(photos / "without_extension", "PNG")
    (photos / "loop").symlink_to(photos)
    assert counts(index.add(photos)) == (14, 0, 0, 0, 0)


def test_an_index_may_stand_among_what_it_indexes(photos: Path) -> None:
    with Index.open(photos / "index", model="built-in") as index:
        assert counts(index.add(photos)) == (12, 0, 0, 0, 0)
        assert counts(index.add(photos, prune=True)) == (0, 0, 12, 0, 0)


def test_a_name_that_is_not_utf8_is_refused_by_name(index: Index, photos: Path) -> None:
    (photos / os.fsdecode(b"caf\xe9.jpg")).write_bytes((photos / "000.jpg").read_bytes())
    report = index.add(photos)
    assert counts(report) == (12, 0, 0, 1, 0)
    assert report.rejects[0].uri.endswith(r"caf\udce9.jpg")
    assert report.rejects[0].reason == "unreadable"


def test_files_and_globs(index: Index, photos: Path) -> None:
    assert counts(index.add(photos / "000.jpg")) == (1, 0, 0, 0, 0)
    assert counts(index.add(f"{photos}/00*.jpg")) == (9, 0, 1, 0, 0)
    (photos / "003.jpg").unlink()
    assert counts(index.add(f"{photos}/00*.jpg", prune=True)) == (0, 0, 9, 0, 1)


def test_sources_that_overlap_count_each_image_once(index: Index, photos: Path) -> None:
    assert counts(index.add(photos, photos / "000.jpg", f"{photos}/*.jpg")) == (12, 0, 0, 0, 0)


@pytest.mark.parametrize("source", ["nowhere", "nowhere/*.jpg", "s3://bucket/x"])
def test_a_source_that_is_not_there(index: Index, source: str) -> None:
    with pytest.raises(SourceError, match=r"nowhere|s3://"):
        index.add(source)


# --- metadata -------------------------------------------------------------------------------


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    columns = list(rows[0])
    lines = [",".join(columns)] + [",".join(str(row.get(c, "")) for c in columns) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def rows(count: int = 12) -> list[dict[str, Any]]:
    return [
        {"id": f"sku-{i}", "file": f"{i:03}.jpg", "price": f"{i}.50", "in_stock": "true"}
        for i in range(count)
    ]


def test_metadata_gives_ids_and_fields(index: Index, photos: Path) -> None:
    report = index.add(photos, metadata=table(photos / "catalog.csv", rows()))
    assert counts(report) == (12, 0, 0, 0, 0)
    users = {k: v for k, v in index.get("sku-3").payload.items() if k != "image"}
    assert users == {"price": 3.5, "in_stock": True}
    assert index.count("price < 4 and in_stock") == 4
    assert counts(index.add(photos, metadata=photos / "catalog.csv")) == (0, 0, 12, 0, 0)


def test_a_changed_row_updates_without_describing_again(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos / "catalog.csv", rows()))
    before = index.get("sku-3", vectors=True)
    changed = rows()
    changed[3]["price"] = "99.0"
    report = index.add(photos, metadata=table(photos / "catalog.csv", changed))
    assert counts(report) == (0, 1, 11, 0, 0)
    after = index.get("sku-3", vectors=True)
    assert after.payload["price"] == 99.0
    assert after.payload["image"] == before.payload["image"]


def test_without_its_metadata_an_image_keeps_id_and_fields(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos / "catalog.csv", rows()))
    draw(99).save(photos / "003.jpg")
    assert counts(index.add(photos)) == (0, 1, 11, 0, 0)
    assert index.get("sku-3").payload["price"] == 3.5
    assert len(index) == 12


def test_ids_that_come_later_replace_those_from_addresses(index: Index, photos: Path) -> None:
    index.add(photos)
    report = index.add(photos, metadata=table(photos / "catalog.csv", rows()))
    assert counts(report) == (0, 12, 0, 0, 0)
    assert ids(index) == {f"sku-{i}" for i in range(12)}


def test_two_products_may_share_one_picture(index: Index, photos: Path) -> None:
    shared = [*rows(), {"id": "sku-twin", "file": "003.jpg", "price": "1.0", "in_stock": "false"}]
    report = index.add(photos, metadata=table(photos / "catalog.csv", shared))
    assert counts(report) == (13, 0, 0, 0, 0)
    one, twin = (index.get(id, vectors=True) for id in ("sku-3", "sku-twin"))
    np.testing.assert_array_equal(one.vectors["color"], twin.vectors["color"])
    assert (one.payload["price"], twin.payload["price"]) == (3.5, 1.0)
    assert counts(index.add(photos, metadata=photos / "catalog.csv")) == (0, 0, 13, 0, 0)


def test_a_file_that_moved_keeps_its_id(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos / "catalog.csv", rows()))
    (photos / "003.jpg").rename(photos / "moved.jpg")
    moved = rows()
    moved[3]["file"] = "moved.jpg"
    report = index.add(photos, metadata=table(photos / "catalog.csv", moved), prune=True)
    assert (report.moved, *counts(report)) == (1, 0, 0, 11, 0, 0)
    assert index.get("sku-3").payload["image"]["uri"] == str(photos / "moved.jpg")


def test_a_value_that_does_not_fit_is_reported_and_left_out(index: Index, photos: Path) -> None:
    wrong = [*rows(), {"id": "sku-x", "file": "x.jpg", "price": "1", "in_stock": "true"}]
    wrong[11]["price"] = "cheap"
    wrong += [
        {"id": f"far-{i}", "file": f"far{i}.jpg", "price": "1", "in_stock": "true"}
        for i in range(20)
    ]
    report = index.add(photos, metadata=table(photos / "catalog.csv", wrong))
    assert counts(report) == (12, 0, 0, 0, 0)
    warnings = " ".join(map(str, report.warnings))
    assert 'line 13 (011.jpg): price: "cheap" is not a number' in warnings
    assert "21 rows name an image that is not listed" in warnings
    assert "price" not in index.get("sku-11").payload


def test_metadata_that_matches_nothing_writes_nothing(index: Index, photos: Path) -> None:
    strangers = table(photos / "catalog.csv", [{"id": "a", "file": "x.jpg", "price": "1"}])
    with pytest.raises(MetadataError, match=r"x\.jpg"):
        index.add(photos, metadata=strangers)
    assert len(index) == 0
    assert index._manifest.fields == {}


def test_a_duplicate_id_writes_nothing(index: Index, photos: Path) -> None:
    twice = [*rows(), {"id": "sku-3", "file": "004.jpg", "price": "1", "in_stock": "true"}]
    with pytest.raises(MetadataError, match='"sku-3" on line 5 and on line 14'):
        index.add(photos, metadata=table(photos / "catalog.csv", twice))
    assert len(index) == 0


def test_a_field_name_of_ours_writes_nothing(index: Index, photos: Path) -> None:
    clash = table(photos / "catalog.csv", [{"file": "000.jpg", "image": "x"}])
    with pytest.raises(MetadataError, match='"image" is reserved'):
        index.add(photos, metadata=clash)
    assert len(index) == 0


def test_types_are_inferred_once(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos / "catalog.csv", rows()))
    words = [{**row, "price": "much"} for row in rows()]
    report = index.add(photos, metadata=table(photos / "catalog.csv", words))
    assert len(report.warnings) == 12
    assert index.get("sku-3").payload["price"] == 3.5


def test_types_can_be_declared(index: Index, photos: Path) -> None:
    index.add(photos, metadata=table(photos / "catalog.csv", rows()), fields={"price": "keyword"})
    assert index.get("sku-3").payload["price"] == "3.50"
    with pytest.raises(InputError, match=re.escape("'number' is not a field type (for price)")):
        index.add(photos, metadata=photos / "catalog.csv", fields={"price": "number"})


def test_progress_ends_at_the_total(index: Index, photos: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    index.add(photos, progress=lambda counts, total: seen.append((counts.done, total)))
    assert seen[-1] == (12, 12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


# --- hostile files --------------------------------------------------------------------------


def test_every_hostile_file_ends_as_it_should(index: Index, data: Path) -> None:
    with (data / "evil" / "manifest.csv").open(encoding="utf-8") as file:
        expected = {row["file"]: row["expected"] for row in csv.DictReader(file)}
    differences = {  # from the manifest, which is about plain Pillow with a lower limit
        "files/heif_RGB_8__128x128.heif": "decodes",
        "files/heif_RGBA_10__128x128.heif": "decodes",
        "files/made_bomb_9000x9000_gray.png": "decodes",
        "files/made_missing_eoi.jpg": "decodes",  # but for its end it is whole
        "files/made_strip_1x60000.png": "rejects",
        "files/made_strip_60000x1.png": "rejects",
    }
    report = index.add(data / "evil" / "files")
    refused = {f"files/{Path(reject.uri).name}" for reject in report.rejects}
    found = {name: "rejects" if name in refused else "decodes" for name in expected}
    assert found == {**expected, **differences}
    assert report.added + report.rejected == len(expected)
    assert {reject.reason for reject in report.rejects} <= set(Reason)
    assert counts(index.add(data / "evil" / "files"))[:3] == (0, 0, report.added)
