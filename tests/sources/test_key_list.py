"""Lists of a bucket's keys in place of its listing: CSV, Parquet, S3 Inventory."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from obstore.store import S3Store

from lookalike.errors import InputError, SourceError
from lookalike.index import Index
from lookalike.ingest.listing import list_images
from lookalike.ingest.partition import parts_of
from lookalike.sources import _key_list, open_source, open_sources
from lookalike.types import SourceOptions
from tests.support.command_line import documents
from tests.support.object_stores import CREDENTIALS, bucket_of, fill, moto
from tests.support.pictures import folder_of

KEYS = ("a/0.jpg", "a/1 +ü%.jpg", "a/b/2.jpg", "c/3.jpg")
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto(tmp_path_factory.mktemp("moto")) as address:
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = folder_of(tmp_path_factory.mktemp("pictures"), len(KEYS) + 1)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(endpoint: str, pictures: list[bytes]) -> S3Store:
    store = fill(endpoint, "shop", dict(zip(KEYS, pictures, strict=False)))
    store.delete([one["path"] for page in store.list() for one in page if one["path"] not in KEYS])
    return store


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as made:
        yield made


def rows_of(store: S3Store) -> list[dict[str, Any]]:
    """The rows of an inventory of a bucket."""
    return [
        {
            "bucket": "shop",
            "key": one["path"],
            "size": one["size"],
            "last_modified_date": one["last_modified"],
            "e_tag": (one["e_tag"] or "").strip('"'),
        }
        for page in store.list()
        for one in page
    ]


def csv_file(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def parquet_file(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def listed(listing: Path | str, address: str = "s3://shop/") -> list[str]:
    source = open_source(address, SourceOptions(listing=str(listing)))
    return [ref.uri.removeprefix("s3://shop/") for ref in source.refs()]


def uris(index: Index) -> set[str]:
    return {point.payload["image"]["uri"].removeprefix("s3://shop/") for point in index.scroll()}


@pytest.mark.parametrize(
    ("write", "name"), [(csv_file, "keys.csv"), (parquet_file, "keys.parquet")]
)
def test_rows_with_sizes_and_etags_are_what_the_bucket_would_list(
    bucket: S3Store,
    index: Index,
    tmp_path: Path,
    write: Callable[[Path, Sequence[Mapping[str, Any]]], Path],
    name: str,
) -> None:
    rows = rows_of(bucket)
    listing = write(tmp_path / name, rows[1:] + rows[1:])
    other = write(tmp_path / f"other-{name}", [{**rows[0], "bucket": "other"}])
    assert listed(listing) == list(KEYS[1:])
    assert listed(listing, "s3://shop/a/") == list(KEYS[1:3])
    assert listed(listing, "s3://shop/**/2.jpg") == [KEYS[2]]
    assert listed(other) == []
    assert index.add("s3://shop/", listing=listing).added == 3
    assert uris(index) == set(KEYS[1:])
    assert index.add("s3://shop/", listing=listing).unchanged == 3
    whole = index.add("s3://shop/")
    assert (whole.added, whole.unchanged) == (1, 3)


def test_keys_alone_are_asked_for(
    bucket: S3Store, index: Index, tmp_path: Path, pictures: list[bytes]
) -> None:
    listing = tmp_path / "keys.csv"
    listing.write_text("\n".join([*KEYS, "s3://shop/gone.jpg", KEYS[0]]), encoding="utf-8")
    first = index.add("s3://shop/", listing=listing)
    assert (first.added, [reject.detail for reject in first.rejects]) == (4, ["it is gone"])
    assert index.add("s3://shop/").unchanged == 4
    bucket.put(KEYS[0], pictures[-1])
    bucket.delete(KEYS[3])
    again = index.add("s3://shop/", listing=listing)
    assert (again.updated, again.unchanged, again.rejected) == (1, 2, 2)


def test_pruning_removes_what_the_bucket_lacks_not_what_the_list_lacks(
    bucket: S3Store, index: Index, tmp_path: Path
) -> None:
    index.add("s3://shop/")
    listing = tmp_path / "keys.csv"
    listing.write_text(f"key\n{KEYS[0]}\n{KEYS[3]}\n", encoding="utf-8")
    bucket.delete(KEYS[2])
    bucket.delete(KEYS[3])
    report = index.add("s3://shop/", listing=listing, prune=True)
    assert report.removed == 0
    assert "Nothing was pruned: 2 of the 4" in (report.prune_refused or "")
    report = index.add("s3://shop/", listing=listing, prune=True, yes=True)
    assert (report.removed, uris(index)) == (2, set(KEYS[:2]))


def test_an_object_that_changed_since_is_read_as_it_is(
    bucket: S3Store, index: Index, tmp_path: Path, pictures: list[bytes]
) -> None:
    listing = csv_file(tmp_path / "keys.csv", rows_of(bucket))
    bucket.put(KEYS[0], pictures[-1] + b"\0" * 1000)
    report = index.add("s3://shop/", listing=listing)
    assert (report.added, report.rejected) == (4, 0)
    assert index.add("s3://shop/").unchanged == 4


def test_objects_above_the_limit_are_not_read(bucket: S3Store, tmp_path: Path) -> None:
    listing = tmp_path / "keys.csv"
    listing.write_text(KEYS[0])
    command = ("index", "s3://shop/", "--listing", str(listing), "--index")
    assert documents(*command, str(tmp_path / "made"))["added"] == 1
    small = (str(tmp_path / "small"), "--limits", "bytes=9")
    report = documents(*command, *small, code=1)
    assert [reject["reason"] for reject in report["rejects"]] == ["too_large"]


def test_partitions_share_a_list(bucket: S3Store, tmp_path: Path) -> None:
    listing = csv_file(tmp_path / "keys.csv", rows_of(bucket))
    assert sorted(chain(*parts_of_list(listing))) == sorted(KEYS)


def parts_of_list(listing: Path) -> list[list[str]]:
    sources = open_sources(["s3://shop/"], SourceOptions(listing=str(listing)))
    parts = [list_images(parts_of(sources, (number, 2)), (number, 2)).images for number in (1, 2)]
    return [[image.ref.uri.removeprefix("s3://shop/") for image in part] for part in parts]


def inventory(endpoint: str, store: S3Store, kind: str) -> str:
    """Stores an inventory as S3 does, in two files; returns the address of its manifest."""
    live = {"version_id": "", "is_latest": True, "is_delete_marker": False}
    rows = [{**row, **live} for row in rows_of(store)]
    rows.append({**rows[0], "key": "a/replaced.jpg", "is_latest": False})
    rows.append({**rows[0], "key": "a/deleted.jpg", "is_delete_marker": True})
    target, files = bucket_of(endpoint, "lists"), []
    for number, half in enumerate((rows[:3], rows[3:])):
        if kind == "CSV":
            lines = "".join(map(_csv_line, half))
            data, name = gzip.compress(lines.encode()), f"{number}.csv.gz"
        else:
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist(half), sink)
            data, name = sink.getvalue().to_pybytes(), f"{number}.parquet"
        target.put(f"shop/daily/data/{name}", data)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        files.append({"key": f"shop/daily/data/{name}", "size": len(data), "MD5checksum": md5})
    manifest = {
        "sourceBucket": "shop",
        "destinationBucket": "arn:aws:s3:::lists",
        "fileFormat": kind,
        "fileSchema": SCHEMA if kind == "CSV" else "message s3.inventory {...}",
        "files": files,
    }
    key = "shop/daily/2026-11-30T01-00Z/manifest.json"
    target.put(key, json.dumps(manifest).encode())
    return f"s3://lists/{key}"


def _csv_line(row: Mapping[str, Any]) -> str:
    key = {" ": "+", "+": "%2B", "ü": "%C3%BC", "%": "%25"}
    encoded = "".join(key.get(sign, sign) for sign in row["key"])
    deleted = row.get("is_delete_marker", False)
    values = (row["bucket"], encoded, "", row["is_latest"], deleted, row["size"])
    times = (row["last_modified_date"].isoformat(), row["e_tag"])
    return ",".join(f'"{value}"' for value in (*values, *times)) + "\n"


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_inventory(
    endpoint: str,
    bucket: S3Store,
    index: Index,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = inventory(endpoint, bucket, kind)
    index.add("s3://shop/")
    assert index.add("s3://shop/", listing=manifest).unchanged == 4
    copy = tmp_path / "daily"
    for page in bucket_of(endpoint, "lists").list("shop/daily"):
        for one in page:
            path = copy / one["path"].removeprefix("shop/daily/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(bucket_of(endpoint, "lists").get(one["path"]).bytes()))
    here = copy / "2026-11-30T01-00Z" / "manifest.json"
    assert listed(here) == list(KEYS)
    parts = parts_of_list(here)
    assert sorted(chain(*parts)) == sorted(KEYS)
    monkeypatch.setattr(_key_list, "FILES", 1)  # each part reads a file of its own
    assert parts_of_list(here) == [list(KEYS[:3]), list(KEYS[3:])]
    second = sorted((copy / "data").glob(f"1.{kind.lower()}*"))[0]
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(SourceError, match="is not the file that the inventory names"):
        listed(here)
    second.unlink()
    with pytest.raises(SourceError, match=r"names the file 1\..*, which is not beside it"):
        listed(here)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("keys.csv", b"1,2,3,4,5,6,7\n", "does not say what its columns are"),
        ("keys.csv", b"shop,a.jpg,big,x,y\n", "does not say what its columns are"),
        ("keys.csv", b"key,size\na.jpg,1\nb.jpg\n", r"line 3: 1 columns instead of 2"),
        ("keys.csv", b'key\na.jpg\n"b.jp', "cannot be read as a list of keys"),
        ("keys.csv", b"key\n\xff\xfe\n", "cannot be read as a list of keys"),
        ("keys.csv.gz", gzip.compress(b"key\n" + os.urandom(99_999).hex().encode())[:-50], "be re"),
        ("keys.parquet", b"PAR1", "cannot be read as a list of keys"),
        ("manifest.json", b"[]", "is not the manifest of an S3 Inventory"),
        (
            "manifest.json",
            b'{"fileFormat": "ORC", "fileSchema": "", "files": [], "destinationBucket": "b"}',
            "choose CSV or Parquet",
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error(
    bucket: S3Store, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        listed(tmp_path / name)


def test_lists_that_do_not_fit_are_refused(bucket: S3Store, index: Index, tmp_path: Path) -> None:
    listing = tmp_path / "keys.csv"
    with pytest.raises(SourceError, match=r"keys\.csv does not exist: give a file with keys"):
        index.add("s3://shop/", listing=listing)
    with pytest.raises(SourceError, match=r"s3://shop/no\.csv does not exist"):
        index.add("s3://shop/", listing="s3://shop/no.csv")
    with pytest.raises(SourceError, match="is not in a bucket, whose keys a listing names"):
        index.add(tmp_path, listing=listing)
    with pytest.raises(SourceError, match="names no folder"):
        index.add(f"s3://shop/{KEYS[0]}", listing=listing)
    feed = tmp_path / "feed.xml"
    feed.write_text("<rss/>")
    with pytest.raises(InputError, match="leave out --listing"):
        index.add(feed, fetch=True, listing=listing)


def test_keys_that_cannot_be_addressed_are_rejected(
    bucket: S3Store, index: Index, tmp_path: Path
) -> None:
    listing = tmp_path / "keys.csv"
    listing.write_text(f"key\na//x.jpg\na/../y.jpg\na/\n{KEYS[0]}\n")
    report = index.add("s3://shop/", listing=listing)
    assert (report.added, report.rejected) == (1, 2)
    assert all("cannot be addressed" in reject.detail for reject in report.rejects)
