"""Verification of an index: each kind of damage to its images is named, with a remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as qe

from lookalike.admin.copy import NamedEngine, backup, copy
from lookalike.admin.integrity import Verification, verify
from lookalike.cache.store import Cache
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import IndexDamaged
from lookalike.manifest import Manifest
from lookalike.types import point_id
from tests.admin.indexes import MANIFEST, At, fill
from tests.contract.test_engines import point
from tests.support.indexes import copied


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("thirty") / "index", 30)


@pytest.fixture
def damaged(thirty: Path, tmp_path: Path) -> Iterator[EdgeEngine]:
    """An index of 30 images, to be damaged."""
    with closing(EdgeEngine(copied(thirty, tmp_path / "index"))) as engine:
        yield engine


def verified(engine: EdgeEngine, cache: Cache | None = None) -> Verification:
    manifest = Manifest.from_json(MANIFEST, "the index")
    if cache is None:
        cache = Cache(engine.folder.path / "thumbnails.sqlite")
    return verify(engine, manifest, cache)


def put(engine: EdgeEngine, number: int, change: Callable[[dict[str, Any], Any], object]) -> None:
    """Writes a changed point past all checks."""
    one = point(number)
    vectors = {name: values.tolist() for name, values in one.vectors.items()}
    payload: dict[str, Any] = {**one.payload, "image": dict(one.payload["image"])}
    change(payload, vectors)
    row = qe.Point(point_id(one.id), vectors, payload)
    engine.open_shard.update(qe.UpdateOperation.upsert_points([row]), 1, deletes=False)


DAMAGE: dict[str, Callable[[dict[str, Any], Any], object]] = {
    "the 'style' vector is damaged": lambda _, vectors: vectors.update(style=[0.0] * 24),
    "the 'color' vector is damaged": lambda _, vectors: vectors.update(color=[float("nan")] * 8),
    "1 images have no 'color' vector": lambda _, vectors: vectors.pop("color"),
    "the record is missing": lambda payload, _: payload.pop("image"),
    "the record lacks 'sha256'": lambda payload, _: payload["image"].pop("sha256"),
    "'width' in the record has the wrong type": lambda payload, _: payload["image"].update(
        width="600"
    ),
    "the image cannot be found by its id": lambda payload, _: payload["image"].update(id="other"),
    "the value of 'n' does not fit its type": lambda payload, _: payload.update(n="seven"),
    "the value of 'at' does not fit its type": lambda payload, _: payload.update(at="yesterday"),
    "the value of 'tags' does not fit its type": lambda payload, _: payload.update(tags=[1]),
}


def test_a_sound_index_has_no_problems(damaged: EdgeEngine) -> None:
    result = verified(damaged)
    assert result.problems == []
    assert result.images == 30


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_to_an_image_is_named_with_a_remedy(what: str, damaged: EdgeEngine) -> None:
    put(damaged, 7, DAMAGE[what])
    (problem,) = verified(damaged).problems
    assert problem.what.startswith(what)
    assert problem.remedy
    assert verified(damaged).images == 30


@pytest.mark.parametrize("what", [what for what in DAMAGE if "no 'color'" not in what])
def test_a_damaged_index_does_not_replace_a_good_backup(
    what: str, damaged: EdgeEngine, tmp_path: Path, place: At
) -> None:
    file, target = tmp_path / "backup", place(tmp_path / "rest")
    backup(NamedEngine("shop", damaged), file)
    before = file.read_bytes()
    put(damaged, 7, DAMAGE[what])
    if "found by its id" not in what:
        with pytest.raises(IndexDamaged, match="see how to mend it with `lookalike verify`"):
            backup(NamedEngine("shop", damaged), file)
        assert file.read_bytes() == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "index"]
        rest = copy(NamedEngine("shop", damaged, salvage=True), target)
        assert rest.images == 29
        assert verified(target.engine).problems == []  # type: ignore[arg-type]


def test_lost_files_are_problems_and_nothing_is_backed_up(
    damaged: EdgeEngine, tmp_path: Path
) -> None:
    assert damaged.count() == 30
    next(damaged.folder.path.rglob("payload_storage/page_0.dat")).unlink()
    (problem,) = verified(damaged).problems
    assert "page_0.dat is missing" in problem.what
    assert "lookalike copy --salvage" in problem.remedy
    with pytest.raises(IndexDamaged, match="so it was not backed up"):
        backup(NamedEngine("shop", damaged), tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))


def test_damaged_thumbnails_are_removed(damaged: EdgeEngine, tmp_path: Path) -> None:
    with Cache(tmp_path / "cache.sqlite") as cache:
        cache.put_many({"a": b"one", "b": b"two", "c": b"three"})
    with closing(sqlite3.connect(tmp_path / "cache.sqlite")) as db, db:
        db.execute("UPDATE thumbnail SET jpeg = x'00' WHERE key = 'b'")
    with Cache(tmp_path / "cache.sqlite") as cache:
        (problem,) = verified(damaged, cache).problems
        assert problem.what == "1 thumbnails were damaged and have been removed"
        assert verified(damaged, cache).problems == []
        assert cache.get_many("abc") == {"a": b"one", "c": b"three"}


def test_a_cache_that_is_no_database_is_made_again(damaged: EdgeEngine, tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").write_bytes(b"x" * 10_000)
    with Cache(tmp_path / "cache.sqlite") as cache:
        (problem,) = verified(damaged, cache).problems
    assert "was not a thumbnail cache" in problem.what
