"""Ingest on Ray: the same index as from one process, after any interruption. Uses real Ray."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from PIL.Image import Transpose

from lookalike.duplicates.comparison_store import ComparisonStore
from lookalike.duplicates.verdicts import Duplicate
from lookalike.engines.options import ServerOptions
from lookalike.errors import EngineError, InputError
from lookalike.index import Index
from lookalike.ingest import partition
from lookalike.ingest.listing import list_images
from lookalike.ingest.report import IngestCounts
from lookalike.ray import RayExecutor
from lookalike.sources import open_sources
from lookalike.sources._exclusions import Exclusions
from lookalike.sources.file import Files
from lookalike.types import ImageRef, Point
from tests.support.object_stores import fill, moto
from tests.support.pictures import folder_of, scene
from tests.support.qdrant_wire import Fault, RestServer, Store

# Ray reads these when it is imported: no usage reports, no token in the home folder.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

ray = pytest.importorskip("ray", reason='Ray is not installed: `pip install "lookalike[ray]"`')
pytest.importorskip("ray.data", reason='Ray Data is not installed: `pip install "lookalike[ray]"`')

pytestmark = pytest.mark.slow

COUNT = 24
SECRETS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
SERVER = ServerOptions(grpc=False, backoff=0.01, patience=3)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Ray cluster on this machine only."""
    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes several blocks of few images."""
    monkeypatch.setattr("lookalike.ray.BLOCK_SIZE", 4)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def index(store: Store) -> Iterator[Index]:
    with (
        closing(RestServer(store)) as server,
        Index.open(server.url, model="built-in", server=SERVER) as made,
    ):
        yield made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", COUNT)


def catalog(photos: Path) -> Path:
    path = photos.parent / "catalog.csv"
    lines = [f"sku-{i},{i:03}.jpg,{i}" for i in range(COUNT)]
    path.write_text("\n".join(["id,file,price", *lines, "sku-99,gone.jpg,1"]), encoding="utf-8")
    return path


def points(index: Index) -> dict[str, Point]:
    return {point.id: point for point in index.scroll(vectors=True)}


def without_time(point: Point) -> dict[str, object]:
    image = {name: v for name, v in point.payload["image"].items() if name != "indexed_at"}
    return {**point.payload, "image": image}


def test_the_index_is_the_one_that_a_single_process_makes(index: Index, photos: Path) -> None:
    (photos / "empty.jpg").touch()
    (photos / os.fsdecode(b"caf\xe9.jpg")).write_bytes((photos / "000.jpg").read_bytes())
    seen: list[tuple[int, int | None]] = []
    by_ray = index.add(
        photos,
        metadata=catalog(photos),
        executor=RayExecutor(),
        progress=lambda counts, total: seen.append((counts.done, total)),
    )
    with (
        closing(RestServer(Store())) as server,
        Index.open(server.url, model="built-in", server=SERVER) as other,
    ):
        alone = other.add(photos, metadata=catalog(photos))
        expected = points(other)
    assert (by_ray.added, by_ray.done) == (COUNT, COUNT + 2)
    assert (by_ray.model, by_ray.rejects, by_ray.warnings) == (
        alone.model,
        alone.rejects,
        alone.warnings,
    )
    assert [reject.reason for reject in by_ray.rejects] == ["unreadable", "empty"]
    counted = [one for one in dict.fromkeys(seen) if one[1] is not None]  # known after the listing
    assert counted == [(done, COUNT + 2) for done in (4, 8, 12, 16, 20, 24, 26)]
    made = points(index)
    assert made.keys() == expected.keys()
    for id, point in made.items():
        assert without_time(point) == without_time(expected[id])
        assert point.vectors.keys() == expected[id].vectors.keys()
        for name, vector in point.vectors.items():
            np.testing.assert_allclose(vector, expected[id].vectors[name], atol=1e-5)
    assert index.count("price < 10") == 10


def test_it_goes_on_where_it_was_stopped_and_does_nothing_twice(index: Index, photos: Path) -> None:
    def stop(counts: IngestCounts, total: int | None) -> None:
        raise KeyboardInterrupt

    many = folder_of(photos, 60)
    first = index.add(many, executor=RayExecutor(), progress=stop)
    assert first.interrupted
    assert 0 < first.added <= len(index) < 60
    there = len(index)
    second = index.add(many, executor=RayExecutor())
    assert second.unchanged >= there  # actors may have finished their blocks
    assert (second.added, second.done) == (60 - second.unchanged, 60)
    assert len(index) == 60


class Fatal(Files):
    """A source that kills the process when its file is read for the first time."""

    def read(self, ref: ImageRef) -> bytes:
        killed = Path(f"{ref.uri}.killed")
        if not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(ref)


def test_a_lost_actor_is_replaced_and_its_block_done_again(index: Index, photos: Path) -> None:
    poison = photos / "013.jpg"
    named = Exclusions(os.sep, only_patterns=True)
    sources = [Fatal(os.fspath(poison), os.fspath(photos), named), *open_sources([photos])]
    with RayExecutor().start(index.opener()) as ingest:
        report = ingest(list_images(sources).images, lambda counts: None)
    assert Path(f"{poison}.killed").exists()
    assert (report.done, report.rejects) == (COUNT, ())
    assert len(index) == COUNT


def test_prune_and_partition_are_as_without_ray(index: Index, photos: Path) -> None:
    index.add(photos, executor=RayExecutor())
    for i in range(6):
        (photos / f"{i:03}.jpg").unlink()
    own = sum(partition.belongs_to((1, 2), str(photos / f"{i:03}.jpg")) for i in range(6))
    report = index.add(photos, prune=True, yes=True, partition=(1, 2), executor=RayExecutor())
    assert (report.removed, len(index)) == (own, COUNT - own)
    report = index.add(photos, prune=True, yes=True, executor=RayExecutor())
    assert report.removed == 6 - own


def test_the_actors_list_a_bucket_and_share_a_list(
    index: Index, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.sources._object_store.PAGE", 1)
    monkeypatch.setattr("lookalike.sources._key_parts._PAGES", 1)
    monkeypatch.setattr("lookalike.ingest.run.RANGES", 16)
    keys = {f"{i // 2:02}/{i:03}.jpg": f"{i:03}.jpg" for i in range(COUNT)}
    (tmp_path / "store").mkdir()
    with moto(tmp_path / "store") as endpoint:
        store = fill(endpoint, "shop", {k: (photos / v).read_bytes() for k, v in keys.items()})
        store.put("00/broken.jpg", b"no picture")
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **SECRETS)
        for key in [*keys, "00/broken.jpg"]:  # the actors have no credentials
            client.put_object_acl(Bucket="shop", Key=key, ACL="public-read")
        options: Any = {"endpoint": endpoint, "anonymous": True, "executor": RayExecutor()}
        totals: set[int | None] = set()
        first = index.add("s3://shop/", progress=lambda _, total: totals.add(total), **options)
        assert (first.added, first.rejected, totals) == (COUNT, 1, {None})
        listing = tmp_path / "keys.csv"
        listing.write_text("\n".join(["key", *sorted(keys)[:10], "00/gone.jpg"]))
        second = index.add("s3://shop/", listing=listing, **options)
        assert (second.unchanged, second.rejected) == (10, 1)
        store.delete(["00/000.jpg", "05/010.jpg"])
        third = index.add("s3://shop/", prune=True, **options)
        assert (third.unchanged, third.removed) == (COUNT - 2, 2)


def test_what_an_actor_cannot_do_is_said_as_it_would_be_here(
    index: Index, store: Store, photos: Path
) -> None:
    store.faults.extend([Fault(403, "Forbidden: this key may only read", on="upsert")] * 2)
    with pytest.raises(EngineError, match="may only read"):
        index.add(photos, executor=RayExecutor(max_actors=1))
    store.faults.clear()
    assert index.add(photos, executor=RayExecutor()).done == COUNT


def test_ray_is_started_where_there_is_none_and_ended_again(index: Index, photos: Path) -> None:
    opener = index.opener()
    assert isinstance(opener, partial)
    program = f"""
import os, ray
from lookalike.engines import ServerOptions
from lookalike.index import Index
from lookalike.ray import RayExecutor
with Index.open({opener.args[0]!r}, server=ServerOptions(grpc=False)) as index:
    print(index.add({os.fspath(photos)!r}, executor=RayExecutor("local")).added)
print(ray.is_initialized(), os.environ["RAY_USAGE_STATS_ENABLED"])
"""
    environment = {name: v for name, v in os.environ.items() if name != "RAY_USAGE_STATS_ENABLED"}
    process = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )
    assert process.stdout.decode().split() == [str(COUNT), "False", "0"]
    assert process.stderr == b""  # Ray's own warnings stay out of the terminal
    assert len(index) == COUNT


def test_an_index_in_a_folder_is_refused(photos: Path, tmp_path: Path) -> None:
    with (
        Index.open(tmp_path / "index", model="built-in") as embedded,
        pytest.raises(InputError, match="Ray cannot work on an index in a folder"),
    ):
        embedded.add(photos, executor=RayExecutor())
    with (
        Index.open(tmp_path / "index") as embedded,
        pytest.raises(InputError, match="Ray cannot work on an index in a folder"),
    ):
        list(embedded.duplicates(executor=RayExecutor()))


def test_a_check_for_duplicates_has_the_same_groups(
    index: Index, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.duplicates.bulk.check.IMAGES_PER_STEP", 8)
    monkeypatch.setattr("lookalike.duplicates.bulk.check.PAIRS_PER_STEP", 40)
    for seed in range(3):
        picture = scene(seed)
        picture.save(photos / f"scene{seed}.jpg", quality=92)
        picture.resize((240, 180)).save(photos / f"scene{seed} half.png")
        picture.transpose(Transpose.FLIP_LEFT_RIGHT).save(photos / f"scene{seed} mirrored.jpg")
    index.add(photos)
    expected = list(index.duplicates(work=tmp_path / "here"))
    executor = RayExecutor(max_actors=2)
    report = index.compare_duplicates(work=tmp_path / "ray", partition=(1, 1), executor=executor)
    assert report.unfinished == ()
    assert report.copies >= 6
    found = list(index.duplicates(work=tmp_path / "ray"))
    assert [group.members for group in found] == [group.members for group in expected]
    assert len(found) >= 3
    with ComparisonStore(tmp_path / "ray", "comparisons") as store:
        pairs = [
            (sha256(group.members[0]), sha256(copy)) for group in found for copy in group.copies
        ]
        assert all(store.get_many(pairs).values())


def sha256(one: Duplicate) -> str:
    return str(one.payload["image"]["sha256"])
