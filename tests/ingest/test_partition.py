"""Partitions: together they are the whole listing, and none touches the images of another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lookalike.cache.store import Cache
from lookalike.descriptors.loader import ModelChoice
from lookalike.engines import open_engine
from lookalike.engines.options import ServerOptions
from lookalike.errors import InputError, SourceError
from lookalike.index import Index
from lookalike.ingest import partition
from lookalike.ingest.listing import list_images
from lookalike.ingest.report import IngestCounts
from lookalike.opening import Parts, create_index
from lookalike.sources import open_source
from lookalike.types import DecodeLimits, FieldType
from lookalike.workers.pool import DecoderPool
from tests.support.command_line import error
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import RestServer, Store

PARTS = 3
COUNT = 12
SERVER = ServerOptions(grpc=False, backoff=0.01, patience=3)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a few images of every part, wherever the test runs."""
    for i in count():
        folder = tmp_path / f"photos{i}"
        files = [str(folder / f"{n:03}.jpg") for n in range(COUNT)]
        parts = range(1, PARTS + 1)
        if all(sum(partition.belongs_to((k, PARTS), file) for file in files) > 2 for k in parts):
            return folder_of(folder, COUNT)
    raise AssertionError


@pytest.fixture
def url() -> Iterator[str]:
    """The address on a server of an index that does not exist yet."""
    with closing(RestServer(Store())) as server:
        yield server.url


def members(folder: Path, number: int) -> set[str]:
    """The images of a folder that belong to one of the parts."""
    return {
        str(file) for file in folder.iterdir() if partition.belongs_to((number, PARTS), str(file))
    }


def uris(index: Index) -> set[str]:
    return {point.payload["image"]["uri"] for point in index.scroll()}


def catalog(photos: Path, column: str = "price") -> Path:
    path = photos.parent / f"{column}.csv"
    lines = [f"sku-{i},{i:03}.jpg,{i}" for i in range(COUNT)]
    path.write_text("\n".join([f"id,file,{column}", *lines]), encoding="utf-8")
    return path


# --- which part has an image ----------------------------------------------------------------


def test_each_image_is_in_exactly_one_part_and_the_parts_are_about_equal() -> None:
    parts = range(1, 17)
    sizes: Counter[int] = Counter()
    for i in range(8000):
        owners = [part for part in parts if partition.belongs_to((part, 16), f"/store/{i:06}.jpg")]
        assert len(owners) == 1
        sizes.update(owners)
    assert set(sizes) == set(parts)
    assert all(abs(size - 500) < 100 for size in sizes.values()), sizes  # 4.6 standard deviations
    assert partition.belongs_to(None, "/store/any.jpg")


@pytest.mark.parametrize(
    ("uri", "number"),  # the last digit of `printf %s URI | sha256sum`, plus 1
    [("/store/a.jpg", 4), ("/store/é.jpg", 2), ("s3://bucket/a.jpg", 8)],
)
def test_the_part_is_the_same_for_ever(uri: str, number: int) -> None:
    assert [part for part in range(1, 17) if partition.belongs_to((part, 16), uri)] == [number]


def test_the_name_of_the_source_does_not_matter(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    for named in (photos, tmp_path / "link", f"{photos}/*.jpg"):
        own = list_images([open_source(os.fspath(named))], (2, PARTS)).images
        assert {image.ref.uri for image in own} == members(photos, 2)


@pytest.mark.parametrize(
    "text", ["0/4", "5/4", "-1/4", "0/0", "a/b", "3", "3/", "1/2/3", "1.5/2", ""]
)
def test_no_partition(text: str) -> None:
    with pytest.raises(InputError, match=r"is not a valid partition: give its number, from 1,"):
        partition.parse_partition(text)


def test_no_partition_in_python(index: Index, photos: Path) -> None:
    invalid: Any
    for invalid in [(0, 4), (5, 4), (3,), (1.0, 2), "3/16", 3]:
        with pytest.raises(InputError, match="is not a valid partition"):
            index.add(photos, partition=invalid)
    assert len(index) == 0


def test_no_partition_on_the_command_line(photos: Path, tmp_path: Path) -> None:
    message = error("index", photos, "--index", tmp_path / "new", "--partition", "5/4")
    assert message == (
        "5/4 is not a valid partition: give its number, from 1, and the number of partitions, "
        "such as 3/16."
    )
    assert not (tmp_path / "new").exists()


# --- adding a part --------------------------------------------------------------------------


def test_the_parts_are_the_whole_and_each_goes_on_where_it_stopped(
    index: Index, photos: Path
) -> None:
    seen: set[str] = set()
    for number in range(1, PARTS + 1):
        own = members(photos, number)
        report = index.add(photos, partition=(number, PARTS))
        assert (report.added, report.done) == (len(own), len(own))
        assert uris(index) - seen == own
        seen |= own
        again = index.add(photos, partition=(number, PARTS))
        assert (again.unchanged, again.done) == (len(own), len(own))
    assert seen == {str(file) for file in photos.iterdir()}
    assert index.add(photos).unchanged == COUNT


def test_a_part_that_was_stopped_is_finished_by_the_same_command(
    index: Index, photos: Path
) -> None:
    def stop(counts: IngestCounts, total: int | None) -> None:
        if counts.added:
            raise KeyboardInterrupt

    # More images than all threads begin at once, so that some remain.
    many = folder_of(photos, 800)
    own = members(many, 1)
    first = index.add(many, partition=(1, PARTS), progress=stop)
    assert first.interrupted
    assert 0 < first.added < len(own)
    second = index.add(many, partition=(1, PARTS))
    assert (second.added, second.unchanged) == (len(own) - first.added, first.added)
    assert uris(index) == own


def test_a_part_may_be_empty_but_not_the_whole(index: Index, tmp_path: Path) -> None:
    single = folder_of(tmp_path / "single", 1)
    reports = [index.add(single, partition=(number, PARTS)) for number in range(1, PARTS + 1)]
    assert sorted(report.added for report in reports) == [0, 0, 1]
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="nothing to index"):
        index.add(tmp_path / "empty", partition=(1, PARTS))


def test_what_is_refused_is_refused_once(index: Index, photos: Path) -> None:
    (photos / "empty.jpg").touch()
    (photos / os.fsdecode(b"caf\xe9.jpg")).write_bytes((photos / "000.jpg").read_bytes())
    reports = [index.add(photos, partition=(number, PARTS)) for number in range(1, PARTS + 1)]
    refused = sorted(Path(reject.uri).name for report in reports for reject in report.rejects)
    assert refused == [r"caf\udce9.jpg", "empty.jpg"]
    assert sum(report.done for report in reports) == COUNT + 2


def test_prune_removes_only_what_belonged_to_the_part(
    index: Index, photos: Path, tmp_path: Path
) -> None:
    other = folder_of(tmp_path / "other", 30, first=50)
    elsewhere = min(members(other, 2))
    index.add(photos, elsewhere)
    gone = {number: min(members(photos, number)) for number in range(1, PARTS + 1)}
    for file in gone.values():
        Path(file).unlink()
    Path(elsewhere).unlink()
    before = uris(index)
    assert index.add(photos, partition=(2, PARTS)).removed == 0
    assert index.add(photos, prune=True, yes=True, partition=(2, PARTS)).removed == 1
    assert before - uris(index) == {gone[2]}  # the other folder was not named


# --- metadata -------------------------------------------------------------------------------


def test_rows_of_other_parts_are_not_left_out(index: Index, photos: Path) -> None:
    for number in range(1, PARTS + 1):
        report = index.add(photos, metadata=catalog(photos), partition=(number, PARTS))
        assert report.added == len(members(photos, number))
        assert report.warnings == ()
    assert {point.id: point.payload["price"] for point in index.scroll()} == {
        f"sku-{i}": i for i in range(COUNT)
    }
    whole = index.add(photos, metadata=catalog(photos), prune=True)
    assert (whole.unchanged, whole.done, whole.removed) == (COUNT, COUNT, 0)


def test_a_name_that_fits_images_of_two_parts_is_left_out(index: Index, tmp_path: Path) -> None:
    twins = tmp_path / "twins"
    one, two = folder_of(twins / "one", 60), folder_of(twins / "two", 60)
    name = next(
        file.name
        for file in one.iterdir()
        if partition.belongs_to((1, PARTS), str(file))
        and not partition.belongs_to((1, PARTS), str(two / file.name))
    )
    rows = tmp_path / "rows.csv"
    rows.write_text(f"id,file,price\nsku-0,one/{name},1\nsku-1,{name},2\n")
    report = index.add(twins, metadata=rows, partition=(1, PARTS))
    assert (index.count("price = 1"), index.count("price = 2")) == (1, 0)
    assert "fits several images" in str(report.warnings[0])


def test_an_image_that_moved_to_another_part_is_not_pruned_on_the_way(
    index: Index, photos: Path
) -> None:
    index.add(photos, metadata=catalog(photos))
    old = min(members(photos, 1))
    id = f"sku-{int(Path(old).stem)}"
    index.update(id, {"price": 99})
    new = next(
        name
        for name in (f"moved{i}.jpg" for i in count())
        if partition.belongs_to((2, PARTS), str(photos / name))
    )
    Path(old).rename(photos / new)
    moved = catalog(photos)
    moved.write_text(moved.read_text().replace(Path(old).name, new).replace("price", "size"))
    for number in range(1, PARTS + 1):
        report = index.add(photos, metadata=moved, prune=True, partition=(number, PARTS))
        assert report.removed == 0
    payload = index.get(id).payload
    assert payload["image"]["uri"] == str(photos / new)
    assert "size" in payload
    assert "price" not in payload  # the metadata no longer has it


@pytest.mark.parametrize("metadata", [False, True])
def test_progress_counts_the_part(index: Index, photos: Path, metadata: bool) -> None:
    totals: set[int | None] = set()
    report = index.add(
        photos,
        metadata=catalog(photos) if metadata else None,
        partition=(1, PARTS),
        progress=lambda _, total: totals.add(total),
    )
    assert totals - {None} == {report.done} == {len(members(photos, 1))}


# --- several processes on one server --------------------------------------------------------


def test_processes_side_by_side_fill_one_index(url: str, photos: Path) -> None:
    command = [sys.executable, "-m", "lookalike", "index", str(photos), "--index", url]
    options = ["--model", "built-in", "--metadata", str(catalog(photos)), "--threads", "1"]
    jobs = [
        subprocess.Popen(
            [*command, *options, "--partition", f"{number}/{PARTS}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(1, PARTS + 1)
    ]
    for job in jobs:
        output, _ = job.communicate(timeout=120)
        assert job.returncode == 0, output.decode()
    with Index.open(url, create=False, server=SERVER) as index:
        assert uris(index) == {str(file) for file in photos.iterdir()}
        assert index.count("price < 10") == 10
        assert dict(index._manifest.fields) == {"price": FieldType.INTEGER}


def test_fields_learnt_side_by_side_are_all_kept(url: str, photos: Path) -> None:
    with (
        Index.open(url, model="built-in", server=SERVER) as one,
        Index.open(url, server=SERVER) as two,
    ):
        one.add(photos, metadata=catalog(photos, "price"), partition=(1, PARTS))
        two.add(photos, metadata=catalog(photos, "stock"), partition=(2, PARTS))
        assert set(two._manifest.fields) == {"price", "stock"}
        one.add(photos, metadata=catalog(photos, "size"), partition=(1, PARTS))
        with Index.open(url, create=False, server=SERVER) as third:
            assert set(third._manifest.fields) == {"price", "stock", "size"}


def test_fields_that_another_process_overwrote_come_back(url: str, photos: Path) -> None:
    with Index.open(url, model="built-in", server=SERVER) as index:
        bare = index._manifest.to_json()
        index.add(photos, metadata=catalog(photos), partition=(1, PARTS))
        index._engine.write_manifest(bare)  # read before, written after: the race that is left
        index.add(photos, partition=(2, PARTS))
    with Index.open(url, create=False, server=SERVER) as again:
        assert set(again._manifest.fields) == {"price"}


def test_a_field_that_another_process_made_keeps_its_type(url: str, photos: Path) -> None:
    words = photos.parent / "words.csv"
    words.write_text("id,file,price\n" + "".join(f"sku-{i},{i:03}.jpg,low\n" for i in range(COUNT)))
    with (
        Index.open(url, model="built-in", server=SERVER) as one,
        Index.open(url, server=SERVER) as two,
    ):
        one.add(photos, metadata=catalog(photos), partition=(1, PARTS))
        report = two.add(photos, metadata=words, partition=(2, PARTS))
        assert 'price: "low" is not' in str(report.warnings[0])
        assert two._manifest.fields["price"] == FieldType.INTEGER


def test_a_calibration_by_another_process_is_kept(url: str, photos: Path) -> None:
    many = folder_of(photos, 40)
    with (
        Index.open(url, model="built-in", server=SERVER) as one,
        Index.open(url, server=SERVER) as two,
    ):
        one.add(many)
        made = one._manifest.calibration
        assert made is not None
        two.add(many, metadata=catalog(photos), partition=(2, PARTS))
        assert two._manifest.calibration == made


def test_an_index_that_another_process_made_meanwhile_keeps_its_fields(
    url: str, photos: Path, tmp_path: Path
) -> None:
    with (
        closing(open_engine(url, SERVER)) as late,
        closing(DecoderPool(1, limits=DecodeLimits())) as pool,
    ):
        assert late.read_manifest() is None
        with Index.open(url, model="built-in", server=SERVER) as first:
            first.add(photos, metadata=catalog(photos))
        choice = ModelChoice("built-in", None, tmp_path, None)
        manifest, models, _ = create_index(late, choice, pool)
        assert set(manifest.fields) == {"price"}
        cache = Cache(tmp_path / "thumbnails.sqlite")
        index = Index(
            Parts(url=url, engine=late, manifest=manifest, models=models, decoder=pool, cache=cache)
        )
        assert index.count("price < 10") == 10
