"""Parts of a bucket: together they are the whole, and none lists all of it."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from obstore.store import S3Store

from lookalike.index import Index
from lookalike.ingest.listing import DividedImages, list_images
from lookalike.ingest.partition import parts_of
from lookalike.protocols import Source
from lookalike.sources import _object_store, open_source
from lookalike.sources._key_parts import beginning_length
from lookalike.sources.bucket import Objects, open_bucket
from tests.support.object_stores import bucket_of, seaweed, use_store
from tests.support.pictures import folder_of

PARTS = 2
WIDE = [f"photos/set-{i:04}/{n}.jpg" for i in range(40) for n in range(6)]
ODD = [
    "photos/top.jpg",
    "photos/set-0001",
    "photos/set-0001.jpg",
    "photos/ü/1.jpg",
    "photos/a b%.jpg",
]
OTHERS = ["elsewhere/1.jpg", "photos/set-0002/notes.txt", "photos/.hidden/1.jpg"]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as address:
        yield address


@pytest.fixture(scope="module")
def bucket(endpoint: str) -> S3Store:
    store = bucket_of(endpoint, "shop")
    for key in [*WIDE, *ODD, *OTHERS]:
        store.put(key, b"picture")
    return store


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    use_store(monkeypatch, endpoint)
    monkeypatch.setattr(_object_store, "PAGE", 2)  # so that six keys are three pages


def objects(address: str) -> Objects:
    source = open_source(address)
    assert isinstance(source, Objects)
    return source


def uris(sources: Sequence[Source]) -> list[str]:
    copies = [pickle.loads(pickle.dumps(source)) for source in sources]  # noqa: S301
    return [ref.uri for copy in copies for ref in copy.refs()]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "address",
    [
        "s3://shop/photos/",
        "s3://shop",
        "s3://shop/photos/**/[1-4].jpg",
    ],
)
@pytest.mark.slow
def test_parts_and_ranges_are_the_whole(address: str) -> None:
    whole = objects(address)
    expected = sorted(ref.uri for ref in whole.refs())
    parts = [whole.part(number, PARTS) for number in range(1, PARTS + 1)]
    assert sorted(uris(parts)) == expected
    sizes = [len(list(part.refs())) for part in parts]
    assert max(sizes) < 1.5 * len(expected) / PARTS, sizes
    for part in parts:
        own = set(uris([part]))
        assert {uri for uri in expected if part.covers(uri)} == own
        assert all(part.has(uri) for uri in own)
    ranges = whole.ranges(10)
    assert 1 < len(ranges) <= 10
    assert sorted(uris(ranges)) == expected


@pytest.mark.usefixtures("bucket")
def test_a_part_passes_over_the_pages_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    pages = _object_store.Bucket.pages

    def counted(
        self: _object_store.Bucket, folder: str, after: str | None = None, **how: bool
    ) -> Iterator[Sequence[_object_store.Listed]]:
        for page in pages(self, folder, after, **how):
            read.extend(one.key for one in page)
            yield page

    part = objects("s3://shop/photos/").part(1, PARTS)
    monkeypatch.setattr(_object_store.Bucket, "pages", counted)
    own = list(part.refs())
    assert len(own) < len(read) < 0.7 * (len(WIDE) + len(ODD))


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("folder", "parts", "expected"),
    [
        ("photos/", 2, "set-0000"),  # forty groups; with a character less, four
        ("photos/", 3, "set-0000/0"),
        ("photos/", 4, None),  # no more than 128 pages
        ("photos/set-0001/", 4, None),  # three pages
        ("nowhere/", 2, None),
    ],
)
def test_as_few_characters_tell_as_suffice(folder: str, parts: int, expected: str | None) -> None:
    length = beginning_length(open_bucket("s3", "shop"), folder, parts)
    assert length == (None if expected is None else len(expected))


def test_small_and_strange_buckets_are_shared_by_whole_keys(endpoint: str) -> None:
    store = bucket_of(endpoint, "strange")
    chance = random.Random(3)
    letters = ["a", "b", "ü", "日", " ", "%", "#", "~", "\U0001f600", "/x"]
    keys = {"".join(chance.choices(letters, k=chance.randrange(1, 9))) + ".jpg" for _ in range(150)}
    keys = {key.lstrip("/") for key in keys if "//" not in key}
    for key in keys:
        store.put(key, b"picture")
    whole = objects("s3://strange/")
    expected = sorted(ref.uri for ref in whole.refs())
    assert len(expected) == len(keys)
    for count in (2, 3):
        parts = [whole.part(number, count) for number in range(1, count + 1)]
        assert sorted(uris(parts)) == expected
    assert sorted(uris(whole.ranges(16))) == expected


def test_processes_of_a_partition_fill_one_index_and_prune_their_own(
    endpoint: str, tmp_path: Path, index: Index
) -> None:
    store = bucket_of(endpoint, "few")
    files = sorted(folder_of(tmp_path / "photos", 30).iterdir())
    for file in files:
        store.put(f"{file.stem[-1]}/{file.name}", file.read_bytes())
    reports = [index.add("s3://few/", partition=(number, 3)) for number in (1, 2, 3)]
    assert sum(report.added for report in reports) == len(index) == 30
    assert max(report.added for report in reports) < 20
    for file in files[:5]:
        store.delete(f"{file.stem[-1]}/{file.name}")
    pruned = [
        index.add("s3://few/", partition=(number, 3), prune=True, yes=True) for number in (1, 2, 3)
    ]
    assert sum(report.removed for report in pruned) == 5
    assert sum(report.unchanged for report in pruned) == len(index) == 25


@pytest.mark.usefixtures("bucket")
def test_a_bucket_is_listed_in_ranges_where_others_take_part() -> None:
    whole = objects("s3://shop/photos/")
    listed = list_images([whole], ranges=8).images
    assert isinstance(listed, DividedImages)
    assert sorted(image.ref.uri for image in listed) == sorted(uris([whole]))
    assert not isinstance(list_images([whole]).images, DividedImages)
    part = parts_of([whole], (1, 2))
    assert not isinstance(list_images(part, (1, 2), ranges=8).images, DividedImages)
