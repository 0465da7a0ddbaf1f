"""Damage to the files of an embedded index: each sort of file, each sort of damage."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.engines import open_engine
from lookalike.engines.edge.checksums import Checksum
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import IndexDamaged
from lookalike.fields import indexed_fields
from lookalike.manifest import Manifest
from lookalike.types import (
    AnyOfValues,
    CandidateQuery,
    Distance,
    FieldType,
    Filter,
    Missing,
    Point,
    Query,
    Range,
    VectorSpec,
    WeightedVector,
)
from tests.contract.test_engines import point, vector
from tests.support.indexes import copied

SIZE = 4096
SPECS = (
    VectorSpec("style", "semantic", SIZE, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "test", "1"),
)
FIELDS = {
    "n": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "in_stock": FieldType.BOOLEAN,
    "category": FieldType.KEYWORD,
}
BUILT = 700
"""Points whose vectors take the 10,000 kB from which on a graph is built."""


def large(i: int) -> Point:
    small = point(i)
    bits = small.vectors["phash"]
    return Point(small.id, {"style": vector(i, SIZE), "phash": bits}, small.payload)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with a graph, and points beyond it; some are deleted in either part."""
    folder = tmp_path_factory.mktemp("sound") / "index"
    with closing(EdgeEngine(folder)) as engine:
        engine.create(SPECS)
        for field in indexed_fields(FIELDS):
            if not field.path.startswith("image."):
                engine.create_field_index(field.path, field.type)
        engine.write_manifest(Manifest.of(SPECS).with_fields(FIELDS).to_json())
        for start in range(0, BUILT, 100):
            engine.upsert([large(i) for i in range(start, start + 100)])
        engine.optimize()
        engine.upsert([large(i) for i in range(BUILT, BUILT + 30)])
        engine.delete([large(i).id for i in (3, BUILT + 3)])
    return folder


@pytest.fixture(scope="module")
def expected(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return answers(copied(sound, tmp_path_factory.mktemp("expected") / "index"))


def answers(folder: Path) -> dict[str, Any]:
    """All that an index holds, and the answers to questions of every kind."""
    with closing(EdgeEngine(folder)) as engine:
        assert engine.read_manifest()
        points = {p.id: p for batch in engine.scroll(vectors=["style", "phash"]) for p in batch}
        near = [WeightedVector("style", vector(i, SIZE), 1.0) for i in (10, BUILT + 10)]
        filters: list[Filter] = [
            Range("n", gte=3),
            AnyOfValues("n", (2,)),
            Range("price", lt=300.0),
            AnyOfValues("in_stock", (True,)),
            AnyOfValues("category", ("hat",)),
            Missing("price"),
        ]
        return {
            "points": {id: (repr(p.payload), _bits(p)) for id, p in points.items()},
            "counts": [engine.count(), *(engine.count(filter) for filter in filters)],
            "facet": sorted(engine.facet("category")),
            "bounds": engine.bounds("price"),
            "hits": [
                [row.id for row in rows]
                for exact in (True, False)
                for rows in engine.query([Query((one,), None, 5, exact=exact) for one in near])
            ],
            "nearest": engine.nearest([CandidateQuery(one, None, 5) for one in near]),
        }


def _bits(point: Point) -> list[bytes]:
    return [np.asarray(point.vectors[name]).tobytes() for name in sorted(point.vectors)]


def sorts_of_files(folder: Path) -> Iterator[Path]:
    """One file of each sort, relative to the folder."""
    seen = set()
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        segment = re.match(r"shard/segments/[^/]+", name)
        built = segment and (folder / segment[0] / "id_tracker.mappings").exists()
        sort = re.sub(r"segments/[^/]+|/[0-9a-z]{20,}-[^/]+-|storage-[^/]+", "", name), built
        if path.is_file() and sort not in seen:
            seen.add(sort)
            yield Path(name)


def delete(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def zero(file: Path) -> None:
    size = file.stat().st_size
    os.truncate(file, 0)
    os.truncate(file, size)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [delete, cut, zero])
def test_damage_to_a_file_is_named_or_harmless(
    damage: Callable[[Path], None], sound: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    found = 0
    for number, name in enumerate(sorts_of_files(sound)):
        folder = copied(sound, tmp_path / str(number))
        damage(folder / name)
        try:
            actual = answers(folder)
        except IndexDamaged as error:
            found += "estore" in str(error)  # the remedy
        else:
            assert actual == expected, name
        shutil.rmtree(folder)
    assert found > 30


@pytest.mark.parametrize(
    "file",
    [
        "payload_storage/page_0.dat",
        "vector_storage-style/matrix.dat",
        "vector_storage-style/vectors/chunk_0.mmap",
        "id_tracker.mappings",
        "*-in_stock-bool/trues/flags_a.dat",
    ],
)
def test_zeros_in_place_of_content_are_damage(file: str, sound: Path, tmp_path: Path) -> None:
    folder = copied(sound, tmp_path / "index")
    zero(next(folder.rglob(file)))
    with pytest.raises(IndexDamaged, match=f"{Path(file).name} is damaged"):
        answers(folder)


def test_a_change_in_the_middle_of_a_file_is_seen_in_full(sound: Path, tmp_path: Path) -> None:
    copied(sound, tmp_path / "index")
    (matrix,) = (tmp_path / "index").rglob("vector_storage-style/matrix.dat")
    with matrix.open("r+b") as file:
        file.seek(3_000_001)
        file.write(b"\x55")
    with closing(EdgeEngine(tmp_path / "index")) as engine:
        assert engine.problems() == []
        (problem,) = engine.problems(whole=True)
    assert "vector_storage-style/matrix.dat is damaged" in problem


def test_files_that_go_while_the_index_is_open_are_missed(sound: Path, tmp_path: Path) -> None:
    copied(sound, tmp_path / "index")
    with closing(EdgeEngine(tmp_path / "index")) as engine:
        assert engine.problems() == []
        (matrix,) = (tmp_path / "index").rglob("vector_storage-style/matrix.dat")
        matrix.unlink()
        (problem,) = engine.problems()
    assert "vector_storage-style/matrix.dat is missing" in problem


def test_what_is_left_of_a_damaged_index_can_be_read(sound: Path, tmp_path: Path) -> None:
    copied(sound, tmp_path / "index")
    (segment,) = [path.parent for path in (tmp_path / "index").rglob("id_tracker.mappings")]
    shutil.rmtree(segment)
    with pytest.raises(IndexDamaged, match=r"missing or cut short.*lookalike verify"):
        open_engine(str(tmp_path / "index"))
    with closing(open_engine(str(tmp_path / "index"), salvage=True)) as engine:
        assert engine.count() == 29
        assert engine.problems()
    with pytest.raises(IndexDamaged):  # salvage does not hide the damage
        open_engine(str(tmp_path / "index"))


def test_an_index_without_its_manifest_is_not_overwritten(sound: Path, tmp_path: Path) -> None:
    copied(sound, tmp_path / "index")
    (tmp_path / "index" / "manifest.json").unlink()
    with closing(EdgeEngine(tmp_path / "index")) as engine:
        with pytest.raises(IndexDamaged, match=r"holds 728 images, but its manifest.json is gone"):
            engine.read_manifest()
        with pytest.raises(IndexDamaged, match=r"holds 728 images, but no manifest.json"):
            engine.create(SPECS)
    shutil.copy(sound / "manifest.json", tmp_path / "index")
    with closing(EdgeEngine(tmp_path / "index")) as engine:
        assert engine.count() == 728


@pytest.mark.parametrize("kill", [True, False])
def test_what_is_sound_raises_no_alarm(kill: bool, sound: Path, tmp_path: Path) -> None:
    """Sessions of every kind, of which some end without being closed."""
    folder = copied(sound, tmp_path / "index")
    sessions: list[Callable[[EdgeEngine], object]] = [
        lambda engine: engine.count(),
        lambda engine: engine.upsert([large(1000), large(10)]),
        lambda engine: engine.delete([large(20).id, large(BUILT + 5).id]),
        lambda engine: engine.set_payload(large(30).id, {"n": 100, "price": None}),
        lambda engine: engine.create_field_index("n", FieldType.KEYWORD),
        lambda engine: engine.open_shard.checkpoint(),
        lambda engine: engine.optimize(),
        lambda engine: engine.upsert([large(1001)]),
        lambda engine: engine.count(),
    ]
    for session in sessions:
        child = os.fork()
        if not child:
            try:
                engine = EdgeEngine(folder)
                session(engine)
                assert engine.problems(whole=True) == []
                if not kill:
                    engine.close()
                os._exit(0)
            except BaseException as error:
                print(error, flush=True)
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    with closing(EdgeEngine(folder)) as engine:
        assert engine.problems(whole=True) == []
        assert engine.count() == 728 - 2 + 2


def test_a_checksum_does_not_depend_on_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(5 * 2**20 + 17)
        file.write(b"data")
        file.truncate(9 * 2**20)
    (tmp_path / "full").write_bytes((tmp_path / "sparse").read_bytes())
    checksum = Checksum.of(tmp_path / "sparse")
    for name in ("sparse", "full"):
        assert checksum.matches(tmp_path / name)
        assert checksum.matches(tmp_path / name, whole=True)
    with (tmp_path / "full").open("r+b") as file:
        file.seek(2**20)
        file.write(b"more")
    assert not checksum.matches(tmp_path / "full", whole=True)
