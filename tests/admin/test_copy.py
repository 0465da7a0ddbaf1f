"""Copies, backups and restores: complete or not at all, when cut off, damaged or tampered with."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.admin.archive import ARCHIVE_VERSION, open_archive
from lookalike.admin.copy import BATCH, NamedEngine, backup, copy, restore
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import DiskFull, EngineError, IndexDamaged, InputError, NotFound, SchemaTooNew
from lookalike.index import Index
from lookalike.manifest import UNFINISHED, Manifest
from lookalike.types import AnyOfValues, CandidateQuery, FieldType, Point, WeightedVector
from tests.contract.test_engines import ENGINES, SPECS, point, vector
from tests.support.pictures import folder_of

FIELDS = {
    "n": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "in_stock": FieldType.BOOLEAN,
    "at": FieldType.DATETIME,
    "category": FieldType.KEYWORD,
    "tags": FieldType.KEYWORDS,
    "odd name": FieldType.KEYWORD,
    "größe 尺寸": FieldType.KEYWORD,
}
MANIFEST = Manifest.of(SPECS, "/models").with_fields(FIELDS).to_json()
NAMES = [spec.name for spec in SPECS]
COUNT = 2 * BATCH + 500

ODD: dict[str, Any] = {
    "größe 尺寸": "Ü\u2028 \x00 👗 \"'\n",
    "n": -(2**63),
    "price": 5.0,
    "tags": ["日本", "a|b", ""],
    "in_stock": False,
    "at": "1999-12-31T23:59:59.123456Z",
    "nothing": None,
    "empty": [],
    "deep": {"a": [{"b": [1, 2.5, None, True]}], "c": {}},
}


def fill(folder: Path, count: int, *, manifest: Any = MANIFEST) -> Path:
    """An index of `count` points, the first of them with unusual values of every kind."""
    engine = EdgeEngine(folder)
    engine.create(SPECS)
    first = point(0)
    points = [Point(first.id, first.vectors, {**first.payload, **ODD})]
    points += [point(i) for i in range(1, count)]
    for i in range(0, count, 500):
        engine.upsert(points[i : i + 500])
    engine.write_manifest(manifest)
    engine.close()
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of more than two batches; no test changes it."""
    return fill(tmp_path_factory.mktemp("large") / "index", COUNT)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("small") / "index", 120)


@pytest.fixture(scope="module")
def saved(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of `small`."""
    file = tmp_path_factory.mktemp("saved") / "shop.backup"
    engine = EdgeEngine(small)
    backup(NamedEngine("shop", engine), file)
    engine.close()
    return file


@pytest.fixture
def place() -> Iterator[Callable[[Path], NamedEngine]]:
    """Opens each folder once, and closes all of them at the end."""
    opened: dict[Path, EdgeEngine] = {}

    def at(folder: Path) -> NamedEngine:
        return NamedEngine(str(folder), opened.setdefault(folder, EdgeEngine(folder)))

    yield at
    for engine in opened.values():
        engine.close()


At = Callable[[Path], NamedEngine]


def content(place: NamedEngine) -> dict[str, Point]:
    return {one.id: one for batch in place.engine.scroll(vectors=NAMES) for one in batch}


def assert_same(one: dict[str, Point], other: dict[str, Point]) -> None:
    assert one.keys() == other.keys()
    for id, own in one.items():
        assert json.dumps(own.payload, sort_keys=True) == json.dumps(
            other[id].payload, sort_keys=True
        )
        assert own.vectors.keys() == other[id].vectors.keys()
        for name, values in own.vectors.items():
            np.testing.assert_allclose(values, other[id].vectors[name], rtol=0, atol=1e-6)


# --- complete copies ------------------------------------------------------------------------


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
        assert [id for id, _ in one] == [id for id, _ in other]
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
    assert target.engine.read_manifest() == MANIFEST
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
    assert restored.engine.read_manifest() == copied.engine.read_manifest() == MANIFEST
    assert_same(content(source), content(restored))
    assert_same(content(source), content(copied))


# --- cut off --------------------------------------------------------------------------------


def run(command: str, *paths: Path) -> subprocess.Popen[str]:
    """Runs `command` on the paths in another process, which prints its progress."""
    script = f"""
import sys
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.admin.copy import NamedEngine, backup, copy, restore
def place(path):
    return NamedEngine(path, EdgeEngine(path))
def progress(done, total):
    print(done, flush=True)
a, b = sys.argv[1:]
{command}
print("done", flush=True)
"""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, paths)], stdout=subprocess.PIPE, text=True
    )


def kill_at(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert line in (told.strip() for told in process.stdout)
    process.kill()
    process.wait()


COPY = "copy(place(a), place(b), progress=progress)"
RESTORE = "restore(a, place(b), progress=progress)"
BACKUP = "backup(place(a), b, progress=progress)"


@pytest.mark.parametrize("command", [COPY, RESTORE])
def test_killed_again_and_again_it_goes_on(
    command: str, large: Path, tmp_path: Path, place: At
) -> None:
    origin = large
    if command == RESTORE:
        origin = tmp_path / "shop.backup"
        backup(place(large), origin)
        place(large).engine.close()
    for moment in (BATCH, 2 * BATCH, COUNT):  # at the last one it builds the search graph
        kill_at(run(command, origin, tmp_path / "target"), str(moment))
        # An incomplete copy does not open.
        with pytest.raises(IndexDamaged):
            Index.open(tmp_path / "target")
        with pytest.raises(IndexDamaged):
            backup(place(tmp_path / "target"), tmp_path / "half.backup")
        assert not (tmp_path / "half.backup").exists()
    target = place(tmp_path / "target")
    there = target.engine.count()
    assert there >= 2 * BATCH
    done = copy(place(large), target) if command == COPY else restore(origin, target)
    assert (done.images, done.sent) == (COUNT, COUNT - there)
    assert target.engine.read_manifest() == MANIFEST
    assert_same(content(place(large)), content(target))


def test_a_killed_backup_leaves_the_one_before(
    large: Path, saved: Path, tmp_path: Path, place: At
) -> None:
    file = tmp_path / "shop.backup"
    kill_at(run(BACKUP, large, file), str(2 * BATCH))
    assert not file.exists()
    file.write_bytes(saved.read_bytes())
    kill_at(run(BACKUP, large, file), str(2 * BATCH))
    assert file.read_bytes() == saved.read_bytes()
    assert backup(place(large), file).images == COUNT
    assert restore(file, place(tmp_path / "restored")).images == COUNT
    assert [one.name for one in tmp_path.glob("shop*")] == ["shop.backup"]


def test_what_changed_since_is_sent_again(tmp_path: Path, place: At) -> None:
    source, target = place(fill(tmp_path / "index", 100)), place(tmp_path / "copy")
    target.engine.create(SPECS)
    target.engine.upsert([point(i) for i in range(1, 90)])
    target.engine.write_manifest({UNFINISHED: MANIFEST})
    target.engine.set_payload(point(5).id, {"price": 5.75})
    target.engine.set_payload(point(6).id, {"image": {"etag": "old"}})
    target.engine.set_payload(point(7).id, {"in_stock": None})
    assert copy(source, target).sent == 1 + 10 + 3
    assert_same(content(source), content(target))


# --- differences --------------------------------------------------------------


def tampered(
    change: Callable[[EdgeEngine], None], source: NamedEngine, target: NamedEngine
) -> None:
    """A copy whose target someone else changes before it is compared."""
    assert isinstance(target.engine, EdgeEngine)
    engine = target.engine

    def last(done: int, total: int) -> None:
        if done == total:
            change(engine)

    copy(source, target, progress=last)


def with_vector(name: str, change: Callable[[np.ndarray[Any, Any]], None]) -> Point:
    one = point(3)
    changed = one.vectors[name].copy()
    change(changed)
    return Point(one.id, {**one.vectors, name: changed}, one.payload)


def flip(bits: np.ndarray[Any, Any]) -> None:
    bits[17] = 1 - bits[17]


def bend(values: np.ndarray[Any, Any]) -> None:
    values[2] += 1e-4


def replace_one(engine: EdgeEngine) -> None:
    engine.delete([point(3).id])
    engine.upsert([point(500)])


CHANGES: dict[str, Callable[[EdgeEngine], None]] = {
    "it holds 119 images instead of 120": lambda engine: engine.delete([point(3).id]),
    "it holds 121 images instead of 120": lambda engine: engine.upsert([point(500)]),
    "'photos/3.jpg' is missing": replace_one,
    "'price' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"price": 3.5 + 1e-9}
    ),
    "'image' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"image": {"etag": "4"}}
    ),
    "'tags' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"tags": ["b", "a"]}
    ),
    "'n' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(point(3).id, {"n": 3.0}),
    "'more' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(point(3).id, {"more": 1}),
    "'in_stock' of 'photos/3.jpg' differs": lambda engine: engine.set_payload(
        point(3).id, {"in_stock": None}
    ),
    "the 'style' vector of 'photos/3.jpg' differs": lambda engine: engine.upsert(
        [with_vector("style", bend)]
    ),
    "the 'phash' vector of 'photos/3.jpg' differs": lambda engine: engine.upsert(
        [with_vector("phash", flip)]
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_difference_is_named(what: str, small: Path, tmp_path: Path, place: At) -> None:
    source, target = place(small), place(tmp_path / "copy")
    before = content(source)
    with pytest.raises(EngineError, match="which is untouched") as caught:
        tampered(CHANGES[what], source, target)
    assert what in str(caught.value)
    assert str(tmp_path / "copy") in str(caught.value)
    assert_same(before, content(source))
    assert target.engine.read_manifest() == {UNFINISHED: MANIFEST}


def test_the_last_bit_of_a_number_is_no_difference(tmp_path: Path, place: At) -> None:
    source, target = place(fill(tmp_path / "index", 30)), place(tmp_path / "copy")
    edge = 1.000000000005  # where rounding to 12 digits goes up, and for its neighbor down
    below = math.nextafter(edge, 0)
    assert f"{edge:.12g}" != f"{below:.12g}"
    source.engine.set_payload(point(3).id, {"price": edge})
    tampered(lambda engine: engine.set_payload(point(3).id, {"price": below}), source, target)
    stored = {one.engine.retrieve([point(3).id])[0].payload["price"] for one in (source, target)}
    assert stored == {edge, below}
    assert target.engine.read_manifest() == MANIFEST


# --- refused --------------------------------------------------------------------------------


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


def test_a_source_that_changes_makes_no_backup(tmp_path: Path, place: At) -> None:
    source = place(fill(tmp_path / "index", 30))
    with pytest.raises(EngineError, match="was changed while it was backed up"):
        backup(
            source,
            tmp_path / "shop.backup",
            progress=lambda *_: source.engine.upsert([point(500)]),
        )
    assert [one.name for one in tmp_path.iterdir()] == ["index"]


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


# --- damaged --------------------------------------------------------------------------------


def read(file: Path) -> tuple[Any, dict[str, Point]]:
    with open_archive(file) as opened:
        opened.check()
        points = {one.id: one for batch in opened.batches(NAMES) for one in batch}
        return opened.manifest, points


def test_a_backup_can_be_read_without_us(saved: Path) -> None:
    with zipfile.ZipFile(saved) as parts:
        lines = parts.read("00000000/payload.jsonl").split(b"\n")
        with parts.open("00000000/style.npy") as part:
            style = np.load(part)
        with parts.open("00000000/phash.npy") as part:
            phash = np.load(part)
    payloads = [json.loads(line) for line in lines]
    assert (style.dtype.str, style.shape) == ("<f4", (120, 24))
    assert (phash.dtype.str, phash.shape) == ("|u1", (120, 64))
    row = [payload["image"]["id"] for payload in payloads].index("photos/7.jpg")
    assert payloads[row] == point(7).payload
    np.testing.assert_allclose(style[row], vector(7, 24), atol=1e-6)


def test_a_backup_that_is_cut_short(saved: Path, tmp_path: Path) -> None:
    whole, part = saved.read_bytes(), tmp_path / "part"
    for length in (*range(0, len(whole), len(whole) // 40), len(whole) - 1):
        part.write_bytes(whole[:length])
        with pytest.raises(IndexDamaged, match="cut short or damaged"):
            read(part)


def test_a_flipped_bit_is_found_or_harmless(saved: Path, tmp_path: Path) -> None:
    whole, (manifest, points) = saved.read_bytes(), read(saved)
    random, found = np.random.default_rng(5), 0
    tail = range(len(whole) - 900, len(whole))  # ZIP's own directory
    for place in (*random.integers(0, len(whole), 200), *tail[::3]):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(random.integers(8))
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            again = read(tmp_path / "damaged")
        except IndexDamaged:
            found += 1
        else:  # a date or another part that is not used
            assert again[0] == manifest
            assert_same(again[1], points)
    assert found > 250


def rewritten(saved: Path, file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A valid ZIP file of the backup's parts after a change."""
    with zipfile.ZipFile(saved) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    change(content)
    with zipfile.ZipFile(file, "w") as made:
        for name, data in content.items():
            made.writestr(name, data)
    return file


def drop(*names: str) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: [parts.pop(name) for name in names].clear()


PARTS = [f"00000000/{name}" for name in ("payload.jsonl", *(f"{name}.npy" for name in NAMES))]


@pytest.mark.parametrize("gone", [[PARTS[0]], [PARTS[1]], PARTS, ["end.json"], ["backup.json"]])
def test_a_part_that_is_gone(gone: list[str], saved: Path, tmp_path: Path, place: At) -> None:
    target = place(tmp_path / "target")
    with pytest.raises(IndexDamaged):
        restore(rewritten(saved, tmp_path / "parts", drop(*gone)), target)
    assert target.engine.read_manifest() is None


def test_a_newer_backup(saved: Path, tmp_path: Path, place: At) -> None:
    def newer(parts: dict[str, bytes]) -> None:
        parts["backup.json"] = json.dumps({"version": ARCHIVE_VERSION + 1}).encode()

    with pytest.raises(SchemaTooNew, match="upgrade it with"):
        restore(rewritten(saved, tmp_path / "newer", newer), place(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_a_damaged_backup_becomes_no_index(saved: Path, tmp_path: Path, place: At) -> None:
    damaged = bytearray(saved.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(IndexDamaged, match="use another copy"):
        restore(tmp_path / "damaged", place(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_a_file_that_is_not_there(tmp_path: Path, place: At) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        restore(tmp_path / "nothing", place(tmp_path / "target"))
    assert not (tmp_path / "target").exists()
