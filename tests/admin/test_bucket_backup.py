"""Backups in a bucket: written in parts, read in place, killed, damaged, and refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from obstore.store import S3Store

from lookalike.admin.backup_files import BucketFile
from lookalike.admin.copy import backup, restore
from lookalike.errors import IndexDamaged, InputError, SourceError
from lookalike.sources.bucket import open_bucket
from tests.admin.indexes import At, assert_same, content
from tests.support.command_line import documents, error
from tests.support.object_stores import CREDENTIALS, READER, fill, moto, seaweed, use_store

KEY = "backups/shop ü.backup"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as address:
        yield address


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    use_store(monkeypatch, endpoint)


@pytest.fixture
def bucket(endpoint: str) -> S3Store:
    """An empty bucket."""
    store = fill(endpoint, "vault", {})
    for upload in unfinished(endpoint):
        client(endpoint).abort_multipart_upload(Bucket="vault", Key=KEY, UploadId=upload)
    store.delete(keys(store))
    return store


def keys(store: S3Store) -> list[str]:
    return [one["path"] for page in store.list() for one in page]


def unfinished(endpoint: str) -> list[str]:
    """Ids of the uploads that are not complete."""
    uploads = client(endpoint).list_multipart_uploads(Bucket="vault").get("Uploads", [])
    return [upload["UploadId"] for upload in uploads]


def client(endpoint: str) -> Any:
    secrets = {name.lower(): value for name, value in CREDENTIALS.items()}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **secrets)


def file() -> BucketFile:
    return BucketFile(open_bucket("s3", "vault"), KEY)


def test_an_index_goes_into_a_bucket_and_comes_back(
    bucket: S3Store, small: Path, tmp_path: Path, place: At
) -> None:
    address = f"s3://vault/{KEY}"
    done = documents("backup", address, "--index", small)
    assert done["images"] == 120
    again = documents("backup", address, "--index", small)  # replaces the first
    assert keys(bucket) == [KEY]
    restored = documents("restore", address, "--index", tmp_path / "restored")
    assert restored["checksum"] == done["checksum"] == again["checksum"]
    assert_same(content(place(small)), content(place(tmp_path / "restored")))


def test_the_bytes_are_those_of_a_file(
    bucket: S3Store, small: Path, tmp_path: Path, place: At
) -> None:
    backup(place(small), file())
    backup(place(small), tmp_path / "file")
    (tmp_path / "object").write_bytes(bytes(bucket.get(KEY).bytes()))
    for source in ("file", "object"):
        restore(tmp_path / source, place(tmp_path / f"from-{source}"))
    assert_same(content(place(tmp_path / "from-file")), content(place(tmp_path / "from-object")))


def test_a_large_object_is_written_in_parts_and_read_in_pieces(bucket: S3Store) -> None:
    data = os.urandom(21 * 2**20)
    own = open_bucket("s3", "vault")
    own.upload("large", (data[i : i + 100_000] for i in range(0, len(data), 100_000)), 8 * 2**20)
    assert str(bucket.head("large")["e_tag"]).strip('"').endswith("-3")
    found = own.head("large")
    assert found
    with own.open(found) as stream:
        assert stream.seek(-10, os.SEEK_END) == len(data) - 10
        assert stream.read() == data[-10:]
        stream.seek(5)
        assert stream.read(9 * 2**20) == data[5 : 5 + 9 * 2**20]
        assert stream.tell() == 5 + 9 * 2**20
        bucket.put("large", os.urandom(len(data)))
        stream.seek(0)
        with pytest.raises(SourceError, match="changed while it was read"):
            stream.read()


def test_an_error_on_the_way_leaves_what_was_there(
    bucket: S3Store, endpoint: str, small: Path, place: At
) -> None:
    def broken() -> Iterator[bytes]:
        yield os.urandom(20 * 2**20)
        raise IndexDamaged("the index is damaged")

    backup(place(small), file())
    before = bucket.head(KEY)
    with pytest.raises(IndexDamaged, match="the index is damaged"):
        file().replace(broken(), 0, lambda written: None)
    assert bucket.head(KEY) == before
    assert unfinished(endpoint) == []  # the parts are gone, too


CHILD = """
import os, sys, time
from lookalike.admin.backup_files import BucketFile
from lookalike.sources.bucket import open_bucket
def chunks():
    for sent in range(100):
        yield os.urandom(2**20)
        time.sleep(0.01)
        print(sent, flush=True)
BucketFile(open_bucket("s3", "vault"), sys.argv[1]).replace(chunks(), 0, lambda written: None)
"""


@pytest.mark.parametrize("existed", [False, True])
def test_a_killed_backup_leaves_the_one_before(
    existed: bool, bucket: S3Store, endpoint: str, small: Path, tmp_path: Path, place: At
) -> None:
    if existed:
        backup(place(small), file())
    child = subprocess.Popen([sys.executable, "-c", CHILD, KEY], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert "40" in (line.strip() for line in child.stdout)
    child.kill()
    child.wait()
    child.stdout.close()
    assert unfinished(endpoint)
    assert keys(bucket) == ([KEY] if existed else [])
    if existed:
        assert restore(file(), place(tmp_path / "restored")).images == 120
    assert backup(place(small), file()).images == 120


def test_other_objects_are_not_overwritten(
    bucket: S3Store, saved: Path, place: At, small: Path
) -> None:
    for other in (b"a letter", b"", saved.read_bytes()[:-5]):
        bucket.put(KEY, other)
        with pytest.raises(InputError, match="exists and is not a complete backup"):
            backup(place(small), file())
        assert bytes(bucket.get(KEY).bytes()) == other


def test_a_damaged_backup_becomes_no_index(
    bucket: S3Store, saved: Path, tmp_path: Path, place: At
) -> None:
    damaged = bytearray(saved.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    bucket.put(KEY, bytes(damaged))
    with pytest.raises(IndexDamaged, match=r"s3://vault/.* is not a backup, or it is cut short"):
        restore(file(), place(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("address", "settings", "message"),
    [
        ("s3://vault", {}, "names no object"),
        ("s3://vault/folder/", {}, "names no object"),
        ("s3://nowhere/shop.backup", {}, "there is no such bucket"),
        ("s3://vault/x", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "credentials are refused"),
        ("s3://vault/x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_one_sentence(
    address: str,
    settings: dict[str, str],
    message: str,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert message in error("backup", address, "--index", small)
    assert message in error("restore", address, "--index", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_credentials_that_only_read_and_objects_that_are_not_there(
    bucket: S3Store, endpoint: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "does not exist" in error("restore", "s3://vault/x", "--index", tmp_path / "new")
    for name, value in READER.items():
        monkeypatch.setenv(name, value)
    message = error("backup", "s3://vault/x", "--index", small)
    assert "access is denied (AccessDenied): allow these credentials to write" in message
    assert keys(bucket) == []
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    message = error(
        "restore",
        "s3://vault/x",
        "--endpoint",
        endpoint,
        "--anonymous",
        "--index",
        tmp_path / "new",
    )
    assert "not public: leave out --anonymous" in message


@pytest.mark.usefixtures("endpoint")
def test_another_store(small: Path, tmp_path: Path, place: At) -> None:
    with moto(tmp_path) as address:
        fill(address, "vault", {})
        to = BucketFile(open_bucket("s3", "vault", address), KEY)
        backup(place(small), to)
        backup(place(small), to)
        assert restore(to, place(tmp_path / "restored")).images == 120
