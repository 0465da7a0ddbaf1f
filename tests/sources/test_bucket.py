"""Object stores as sources: a bucket, a folder, a glob, an object; odd keys, and what fails."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import S3Store

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.errors import ImageRejected, InputError, SourceError
from lookalike.index import Index
from lookalike.protocols import Source
from lookalike.sources import open_source, open_sources, read_image
from lookalike.sources._object_store import next_readable
from lookalike.types import SourceOptions
from tests.api.test_jobs import finished
from tests.support.api_server import options, serving
from tests.support.command_line import documents, lookalike
from tests.support.object_stores import CREDENTIALS, fill, google, moto, use_store
from tests.support.pictures import folder_of

KEYS = ("a/000.jpg", "a/001.jpg", "a/b/002.jpg", "a/ü %20+#?&.jpg", "c/003.jpg", "004.jpg")
OTHERS = ("a/notes.txt", "a/.hidden/x.jpg", "a/Thumbs.db", "@eaDir/x.jpg")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = folder_of(tmp_path_factory.mktemp("pictures"), len(KEYS))
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def shop(endpoint: str, pictures: list[bytes]) -> S3Store:
    objects = dict(zip(KEYS, pictures, strict=True))
    return fill(endpoint, "shop", {**objects, **dict.fromkeys(OTHERS, b"x")})


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    use_store(monkeypatch, endpoint)


def keys(source: Source) -> list[str]:
    return [ref.uri.removeprefix("s3://shop/") for ref in source.refs()]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://shop", KEYS),
        ("s3://shop/", KEYS),
        ("s3://shop/a/", KEYS[:4]),
        ("s3://shop/a", KEYS[:4]),
        ("s3://shop/a/b/002.jpg", KEYS[2:3]),
        ("s3://shop/a/ü %20+#?&.jpg", KEYS[3:4]),
        ("s3://shop/*.jpg", KEYS[5:]),
        ("s3://shop/**/00[0-2].jpg", KEYS[:3]),
        ("s3://shop/?/*.jpg", [KEYS[0], KEYS[1], KEYS[3], KEYS[4]]),
    ],
)
def test_it_lists_the_images_of_a_folder_a_glob_or_an_object(
    address: str, expected: list[str]
) -> None:
    source = open_source(address)
    assert sorted(keys(source)) == sorted(expected)
    assert keys(pickle.loads(pickle.dumps(source))) == keys(source)  # noqa: S301
    for ref in source.refs():
        assert source.covers(ref.uri)
        assert source.has(ref.uri)
        assert len(source.read(ref)) == ref.size
        assert read_image(ref.uri) == source.read(ref)
    for other in (*OTHERS, "a/gone.jpg"):
        assert not source.has(f"s3://shop/{other}")
    assert not source.covers("s3://shop-2/a/000.jpg")


@pytest.mark.usefixtures("shop")
def test_it_passes_over_what_is_excluded() -> None:
    source = open_source("s3://shop", SourceOptions(["/a/*", "!/a/001.jpg"]))
    assert sorted(keys(source)) == ["004.jpg", "a/001.jpg", "c/003.jpg"]
    assert source.passed_over
    assert source.excludes("s3://shop/a/000.jpg")


def test_what_changes_after_the_listing_is_rejected(shop: S3Store) -> None:
    shop.put("later/1.jpg", b"one")
    source = open_source("s3://shop/later/")
    (ref,) = source.refs()
    shop.put("later/1.jpg", b"another")
    with pytest.raises(ImageRejected, match="changed after it was listed"):
        source.read(ref)
    assert next(source.refs()).etag != ref.etag
    shop.delete("later/1.jpg")
    with pytest.raises(ImageRejected, match="it is gone"):
        source.read(ref)
    assert source.covers(ref.uri)
    assert not source.has(ref.uri)
    assert source.lost_folder(ref.uri) == "s3://shop/later"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("address", "settings", "message"),
    [
        ("s3://", {}, "name a bucket"),
        ("s3://nowhere/", {}, "there is no such bucket at http"),
        ("s3://shop/", {"AWS_SECRET_ACCESS_KEY": "wrong"}, r"refused \(SignatureDoesNotMatch\)"),
        ("s3://shop/", {"AWS_ACCESS_KEY_ID": "wrong"}, r"refused \(InvalidAccessKeyId\)"),
        ("s3://shop/", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does not answer: check"),
        ("s3://shop/", {"AWS_ENDPOINT_URL": "http://no.invalid"}, "does not answer: check"),
        ("s3://shop/", {"AWS_ENDPOINT_URL": "nonsense"}, "nonsense is not a valid endpoint"),
        ("s3://shop/nothing.jpg", {}, "There is nothing to index in s3://shop/nothing.jpg"),
    ],
)
def test_what_cannot_be_listed_is_explained_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    settings: dict[str, str],
    message: str,
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SourceError, match=message) as caught:
        open_sources([address])
    text = str(caught.value)
    assert len(text) < 250
    assert not any(secret in text for secret in CREDENTIALS.values())


def test_a_bucket_is_indexed_and_kept_up_to_date(
    shop: S3Store, pictures: list[bytes], index: Index
) -> None:
    for number, data in enumerate(pictures[:4]):
        shop.put(f"live/{number}.jpg", data)
    shop.put("live/empty.jpg", b"")
    shop.put("live/text.jpg", b"no picture")
    report = index.add("s3://shop/live/")
    assert (report.added, report.rejected) == (4, 2)
    assert {reject.reason for reject in report.rejects} == {"empty", "unsupported_format"}
    assert index.add("s3://shop/live/").unchanged == 4
    assert index.search(image="s3://shop/live/1.jpg")[0].id == "s3://shop/live/1.jpg"

    shop.put("live/0.jpg", pictures[4])  # changed
    shop.put("live/moved.jpg", pictures[1])
    shop.delete("live/1.jpg")
    report = index.add("s3://shop/live/", prune=True)
    assert (report.updated, report.moved, report.unchanged) == (1, 1, 2)
    shop.delete("live/moved.jpg")
    report = index.add("s3://shop/live/", prune=True)
    assert report.prune_refused  # one of four is more than a fifth
    assert index.add("s3://shop/live/", prune=True, yes=True).removed == 1
    assert sorted(hit.id[-5] for hit in index.search(image="s3://shop/live/2.jpg")) == [
        "0",
        "2",
        "3",
    ]


def test_duplicates_in_a_bucket_are_moved_aside_and_deleted(
    shop: S3Store, pictures: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "three", "two"):
        shop.put(f"twins/{name}.jpg", pictures[0])
    at = ("--index", tmp_path / "index")
    lookalike("index", "s3://shop/twins/", "--model", "built-in", "--thumbnails", "0", *at)
    shop.put("twins/two.jpg", pictures[1])
    command = ("duplicates", *at, "--move-to", "s3://shop/aside/")
    assert documents(*command)["done"][0]["to"] == "s3://shop/aside/three.jpg"
    done = documents(*command, "--yes")
    assert [file["to"] for file in done["done"]] == ["s3://shop/aside/three.jpg"]
    assert [file["uri"] for file in done["skipped"]] == ["s3://shop/twins/two.jpg"]
    assert shop.head("aside/three.jpg")["size"] == len(pictures[0])
    assert "1 moved back" in lookalike("undo", "lookalike-moved.jsonl").stdout

    with Index.open(tmp_path / "index") as index:
        assert index.count() == 2
        index.add("s3://shop/twins/")
        groups = list(index.duplicates())
        with pytest.raises(InputError, match="needs a log on this machine"):
            index.resolve_duplicates(groups, "move", move_to="s3://shop/aside")
        report = index.resolve_duplicates(groups, "delete", dry_run=False, log=tmp_path / "log")
        assert [file.uri for file in report.done] == ["s3://shop/twins/three.jpg"]
        assert "cannot be restored" in index.undo(tmp_path / "log").skipped[0].reason
        assert index.count() == 2
        assert index.thumbnail("s3://shop/twins/one.jpg", 64).startswith(b"\xff\xd8")
    keys = [one["path"] for page in shop.list("twins") for one in page]
    assert keys == ["twins/one.jpg", "twins/two.jpg"]


@pytest.mark.usefixtures("shop")
def test_metadata_names_objects_by_key_or_name(tmp_path: Path, index: Index) -> None:
    table = tmp_path / "shop.csv"
    table.write_text("image,price\na/000.jpg,1\ns3://shop/a/001.jpg,2\n003.jpg,3\n")
    index.add("s3://shop/", metadata=table)
    hits = index.search(image=f"s3://shop/{KEYS[0]}")
    prices = {hit.id: hit.payload.get("price") for hit in hits}
    assert [prices[f"s3://shop/{key}"] for key in (*KEYS[:2], KEYS[4])] == [1, 2, 3]


@pytest.mark.usefixtures("shop")
def test_a_service_reads_the_buckets_that_it_may(index: Index, tmp_path: Path) -> None:
    with serving(index, options(tmp_path / "state", addresses=("s3://shop/a",))) as client:
        for path in ("s3://shop/a/", "s3://shop/a/b/002.jpg"):
            job = client.post("/v1/jobs", json={"kind": "ingest", "path": path}).json()["job"]
            assert finished(client, job)["state"] == "done"
        for path in ("s3://shop/c/", "s3://shop/ab/", "s3://shop", "s3://else/a/"):
            answer = client.post("/v1/jobs", json={"kind": "ingest", "path": path})
            assert answer.status_code == 403, path
        answer = client.get("/v1/image/file", params={"id": "s3://shop/a/000.jpg"})
        assert answer.headers["content-type"] == "image/jpeg"
    assert index.count() == 4


def test_a_restored_index_reads_no_bucket_for_a_client(tmp_path: Path) -> None:
    folders = AllowedFolders((tmp_path,))
    assert not folders.contains("s3://shop/a/000.jpg")
    assert AllowedFolders((), ("s3://shop/a",)).contains("s3://shop/a/000.jpg")
    assert not AllowedFolders((), ("s3://shop/a",)).contains("s3://shop/ab.jpg")


ODD = ("a//1.jpg", "b/\x01.jpg", "c/../1.jpg", "/d.jpg", "e/./1.jpg", "f\x7f/1.jpg")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, pictures: list[bytes]) -> Iterator[str]:
    plain = ("a/0.jpg", "a/2.jpg", "b/2.jpg", "c/2.jpg", "e/2.jpg", "g/1.jpg")
    with moto(tmp_path_factory.mktemp("moto")) as address:
        fill(address, "odd", {**dict.fromkeys((*ODD, *plain), pictures[0]), "g/folder/": b""})
        yield address


def test_a_key_that_cannot_be_addressed_is_one_reject(odd: str, index: Index) -> None:
    report = index.add("s3://odd/", endpoint=odd, prune=True)
    assert report.added == 6
    assert {reject.uri for reject in report.rejects} == {f"s3://odd/{key}" for key in ODD}
    assert not report.prune_refused


def test_keys_beside_an_odd_one_are_missed_without_boto3(
    odd: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("s3://odd/", endpoint=odd)
    monkeypatch.setitem(sys.modules, "boto3", None)
    source = open_source("s3://odd/", SourceOptions(endpoint=odd))
    listed = [ref.uri for ref in source.refs()]
    assert source.incomplete
    missing = {f"s3://odd/{key}" for key in ODD} - set(listed)
    assert missing == {"s3://odd//d.jpg"}  # on a page with another bad key
    report = index.add("s3://odd/", endpoint=odd, prune=True)
    assert report.incomplete
    assert report.rejected == len(ODD) - 1
    assert "could not be listed" in str(report.prune_refused)
    assert index.count() == 6


@pytest.mark.parametrize(
    ("key", "following"),
    [
        ("a//1.jpg", "a/0"),
        ("/d.jpg", "0"),
        ("c/../1.jpg", "c/..0"),
        ("b/\x01.jpg", "b/ "),
        ("b/a\x7f/1//2.jpg", "b/a\x80"),
    ],
)
def test_a_listing_goes_on_after_the_unreadable_folder(key: str, following: str) -> None:
    assert key < next_readable(key) == following


def test_a_bucket_of_google_is_indexed(index: Index, pictures: list[bytes], tmp_path: Path) -> None:
    objects = {f"shop/{key}": data for key, data in zip(KEYS, pictures, strict=True)}
    with google(tmp_path / "google", objects) as endpoint:
        report = index.add("gs://shop/a/", endpoint=endpoint, anonymous=True)
        assert report.added == 4
        again = index.add("gs://shop/a/", endpoint=endpoint, anonymous=True)
        assert again.unchanged == 4
    assert index["gs://shop/a/000.jpg"].payload["image"]["sha256"]
