"""Copies, backups and restores: complete, or refused."""

from __future__ import annotations

import json
import subprocess
import threading
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.admin.copy import BATCH, NamedEngine, backup, copy, restore
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import DiskFull, IndexDamaged, InputError, NotFound
from lookalike.index import Index
from lookalike.manifest import UNFINISHED
from lookalike.system.point_ids import as_point_id
from lookalike.types import AnyOfValues, CandidateQuery, Point, WeightedVector
from tests.admin.indexes import COUNT, MANIFEST, ODD, At, assert_same, content, fill
from tests.contract.test_engines import ENGINES, point, vector
from tests.support.pictures import folder_of


def test_a_copy_is_the_index(large: Path, tmp_path: Path, place: At) -> None:
    source, target = place(large), place(tmp_path / "copy")
    told: list[tuple[int, int]] = []
    done = copy(source, target, progress=lambda *counts: told.append(counts))
    assert (done.images, done.sent) == (COUNT, COUNT)
    assert told == [(BATCH, COUNT), (2 * BATCH, COUNT), (COUNT, COUNT)]
    assert target.engine.read_manifest() == MANIFEST
    found = content(target)
    assert_same(content(source), found)
    assert found["photos/0.jpg"].payload == {**point(0).payload, **ODD}
    np.testing.assert_array_equal(found["photos/7.jpg"].vectors["phash"], point(7).vectors["phash"])


def test_a_copy_answers_as_the_index_does(large: Path, tmp_path: Path, place: At) -> None:
    source, target = place(large), place(tmp_path / "copy")
    copy(source, target)
    filter = AnyOfValues("category", ("dress",))
    asked = [
        CandidateQuery(WeightedVector("style", vector(i, 24), 1.0), filter, 10) for i in range(20)
    ]
    for one, other in zip(source.engine.nearest(asked), target.engine.nearest(asked), strict=True):
        assert [as_point_id(id) for id, _ in one] == [as_point_id(id) for id, _ in other]
    # Facets need the payload indexes, the odd names among them.
    for path in ("category", "tags", '"odd name"', '"größe 尺寸"', "image.colors[].name"):
        counted = dict(target.engine.facet(path))
        assert counted
    assert dict(target.engine.facet("n")) == {
        value: sum(one.payload["n"] == value for one in content(source).values())
        for value in (*range(7), -(2**63))
    }
    assert target.engine.bounds("price") == (1.5, COUNT - 0.5)


def test_a_backup_brings_the_index_back(large: Path, tmp_path: Path, place: At) -> None:
    source, target = place(large), place(tmp_path / "restored")
    written = backup(source, tmp_path / "shop.backup")
    assert (tmp_path / "shop.backup").stat().st_size < 700 * COUNT
    read = restore(tmp_path / "shop.backup", target)
    assert (written.images, read.images, read.sent) == (COUNT, COUNT, COUNT)
    assert written.checksum == read.checksum
    assert target.engine.read_manifest() == {**MANIFEST, "restored": True}
    assert_same(content(source), content(target))
    assert [file.name for file in tmp_path.glob("shop*")] == ["shop.backup"]


def test_the_restore_drill(tmp_path: Path, place: At) -> None:
    photos = folder_of(tmp_path / "photos", 60)
    rows = "".join(f"sku-{i},{i:03}.jpg,{i / 4}\n" for i in range(60))
    (tmp_path / "rows.csv").write_text(f"id,file,price\n{rows}", encoding="utf-8")
    asked: list[dict[str, Any]] = [
        {"id": "sku-3"},
        {"id": "sku-9", "weights": "balanced"},
        {"id": "sku-20", "where": "price < 10 and image.colors has 'blue'"},
        {"color": "orange", "limit": 5},
        {"image": str(photos / "017.jpg"), "weights": {"texture": 1}},
    ]
    with Index.open(tmp_path / "shop", model="built-in") as index:
        index.add(photos, metadata=tmp_path / "rows.csv")
        before, stats = [index.search(**one) for one in asked], index.stats()
        backup(NamedEngine("shop", index._engine), tmp_path / "shop.backup")
    restored = place(tmp_path / "restored")
    restore(tmp_path / "shop.backup", restored)
    restored.engine.close()
    with Index.open(tmp_path / "restored", create=False) as index:
        after = [index.search(**one) for one in asked]
        for key in ("images", "vectors", "fields", "schema"):
            assert index.stats()[key] == stats[key]
        assert index.add(photos, metadata=tmp_path / "rows.csv").unchanged == 60
    for one, other in zip(before, after, strict=True):
        assert len(one) > 0
        assert [hit.id for hit in one] == [hit.id for hit in other]
        np.testing.assert_allclose(
            [hit.calibrated for hit in one], [hit.calibrated for hit in other], atol=1e-4
        )


def test_numbers_do_not_drift(tmp_path: Path, place: At) -> None:
    fill(tmp_path / "0", 1)
    random = np.random.default_rng(1)
    numbers = [float(number) for number in random.uniform(-180, 180, 3000)]
    cents = [round(float(number), 2) for number in random.uniform(0, 1000, 3000)]
    places = [place(tmp_path / str(i)) for i in range(4)]
    places[0].engine.set_payload(point(0).id, {"numbers": numbers, "cents": cents})
    for source, target in pairwise(places):
        copy(source, target)
    first, *copies = (content(one)[point(0).id].payload for one in places)
    assert first["cents"] == cents
    assert all(one["cents"] == cents for one in copies)
    assert all(one["numbers"] == first["numbers"] for one in copies)
    np.testing.assert_allclose(first["numbers"], numbers, rtol=1e-15)


def test_images_without_one_of_the_vectors(tmp_path: Path, place: At) -> None:
    source = place(fill(tmp_path / "index", 50))
    lacking = [point(i) for i in range(50, 80)]
    source.engine.upsert(
        [Point(one.id, {"style": one.vectors["style"]}, one.payload) for one in lacking]
    )
    backup(source, tmp_path / "shop.backup")
    restored, copied = place(tmp_path / "restored"), place(tmp_path / "copied")
    restore(tmp_path / "shop.backup", restored)
    copy(source, copied)
    assert list(content(source)["photos/60.jpg"].vectors) == ["style"]
    assert_same(content(source), content(restored))
    assert_same(content(source), content(copied))


def test_an_index_without_images(tmp_path: Path, place: At) -> None:
    with Index.open(tmp_path / "index", model="built-in") as index:
        assert backup(NamedEngine("shop", index._engine), tmp_path / "shop.backup").images == 0
    target = place(tmp_path / "restored")
    assert restore(tmp_path / "shop.backup", target).images == 0
    target.engine.close()
    with Index.open(tmp_path / "restored", create=False) as index:
        assert len(index) == 0


@pytest.mark.parametrize("name", ENGINES)
def test_there_and_back(name: str, small: Path, tmp_path: Path, place: At) -> None:
    source, restored, copied = place(small), place(tmp_path / "1"), place(tmp_path / "2")
    with ENGINES[name](tmp_path / "between") as engine:
        between = NamedEngine("between", engine)
        there = copy(source, between)
        assert_same(content(source), content(between))
        with pytest.raises(InputError, match="between already holds an index"):
            copy(source, between)
        written = backup(between, tmp_path / "shop.backup")
        back = copy(between, copied)
    assert restore(tmp_path / "shop.backup", restored).checksum == there.checksum
    assert there.checksum == written.checksum == back.checksum
    assert restored.engine.read_manifest() == {**MANIFEST, "restored": True}
    assert copied.engine.read_manifest() == MANIFEST
    assert_same(content(source), content(restored))
    assert_same(content(source), content(copied))


# --- refusals -------------------------------------------------------------------------------


def test_a_target_that_holds_an_index_stays_as_it_is(
    small: Path, saved: Path, tmp_path: Path, place: At
) -> None:
    other = place(fill(tmp_path / "other", 10, manifest={"schema": 1, "mine": True}))
    before = content(other)
    with pytest.raises(InputError, match="other already holds an index; choose another target"):
        copy(place(small), other)
    with pytest.raises(InputError, match="other already holds an index"):
        restore(saved, other)
    with pytest.raises(InputError, match="already holds an index"):
        copy(place(small), NamedEngine("itself", EdgeEngine(small)))
    assert_same(before, content(other))
    assert other.engine.read_manifest() == {"schema": 1, "mine": True}


def test_an_unfinished_copy_of_another_index_stays_as_it_is(
    small: Path, tmp_path: Path, place: At
) -> None:
    other = json.loads(json.dumps(MANIFEST))
    other["vectors"]["style"]["revision"] = "2"
    target = place(fill(tmp_path / "other", 10, manifest={UNFINISHED: other}))
    with pytest.raises(InputError, match="an unfinished copy of another index"):
        copy(place(small), target)
    assert target.engine.count() == 10
    target.engine.write_manifest({UNFINISHED: None})
    with pytest.raises(IndexDamaged):
        copy(place(small), target)


def test_a_source_without_an_index(tmp_path: Path, place: At) -> None:
    with pytest.raises(NotFound, match="There is no index at"):
        copy(place(tmp_path / "nothing"), place(tmp_path / "copy"))
    with pytest.raises(NotFound, match="There is no index at"):
        backup(place(tmp_path / "nothing"), tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_what_is_no_backup_is_not_replaced(small: Path, tmp_path: Path, place: At) -> None:
    precious = tmp_path / "thesis.zip"
    with zipfile.ZipFile(precious, "w") as made:
        made.writestr("thesis.txt", "years of work")
    before = precious.read_bytes()
    with pytest.raises(InputError, match=r"thesis\.zip exists and is not a complete backup"):
        backup(place(small), precious)
    assert precious.read_bytes() == before
    with pytest.raises(InputError, match="cannot be read"):
        backup(place(small), tmp_path)
    for nowhere in (tmp_path / "no folder" / "shop.backup", precious / "shop.backup"):
        with pytest.raises(InputError, match="cannot be written"):
            backup(place(small), nowhere)


def test_a_backup_has_what_is_added_meanwhile_and_what_stays(tmp_path: Path, place: At) -> None:
    source = place(fill(tmp_path / "index", 30))
    stays = {one.id for page in source.engine.scroll(payload=False) for one in page}
    added: list[str] = []
    stop = threading.Event()

    def write() -> None:
        for number in range(500, 100_000):
            new = point(number)
            source.engine.upsert([new])
            added.append(new.id)
            source.engine.delete(added[-20:-19])
            if stop.wait(0.001):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            before = set(added[-19:])
            done = backup(source, tmp_path / "shop.backup")
            assert done.images >= 30
            restored = place(tmp_path / f"restored {done.checksum}")
            assert restore(tmp_path / "shop.backup", restored).images == done.images
            ids = {one.id for page in restored.engine.scroll(payload=False) for one in page}
            assert stays <= ids
            assert before & set(added[-19:]) <= ids
    finally:
        stop.set()
        writer.join()
    assert len(added) > 20


def test_too_little_space_for_a_copy(small: Path, saved: Path, tmp_path: Path, place: At) -> None:
    full = NamedEngine("full", EdgeEngine(tmp_path / "full", reserve=2**60))
    with pytest.raises(DiskFull):
        copy(place(small), full)
    with pytest.raises(DiskFull):
        restore(saved, full)
    assert restore(saved, place(tmp_path / "full")).images == 120


def test_too_little_space_for_a_backup(small: Path, tmp_path: Path, place: At) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        with pytest.raises(DiskFull, match="no room for the backup"):
            backup(place(small), disk / "shop.backup")
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
