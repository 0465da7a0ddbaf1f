"""The manifest: reading, writing, and refusing what does not belong to the index."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.engines import open_engine
from lookalike.errors import IndexDamaged, ModelError, SchemaTooNew
from lookalike.manifest import SCHEMA, Calibration, Manifest
from lookalike.manifest.store import ManifestStore
from lookalike.protocols import Engine
from lookalike.types import Background, Distance, FieldType, VectorSpec

SPECS = [
    VectorSpec("clip-vit-b-32", "semantic", 512, Distance.COSINE, "float32", "clip", "abc"),
    VectorSpec("color", "color", 96, Distance.COSINE, "float32", "color", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "phash", "1"),
]


def test_it_reads_what_it_wrote() -> None:
    manifest = Manifest.of(SPECS, "/models", "fed").with_fields({"price": FieldType.FLOAT})
    assert Manifest.from_json(manifest.to_json(), "here") == manifest
    assert manifest.aspects == {"semantic": "clip-vit-b-32", "color": "color"}
    assert manifest.semantic == SPECS[0]


CALIBRATION = Calibration(
    1200, {"clip-vit-b-32": Background(0.5, 0.1), "color": Background(0.2, 0.3)}
)


def test_it_keeps_its_calibration() -> None:
    manifest = replace(Manifest.of(SPECS), calibration=CALIBRATION)
    stored = json.loads(json.dumps(manifest.to_json()))
    assert Manifest.from_json(stored, "here") == manifest
    assert Manifest.from_json(stored, "here").calibration == CALIBRATION


def test_a_manifest_from_before_calibration_has_none() -> None:
    old = Manifest.of(SPECS).to_json()
    assert old.pop("calibration") is None
    assert Manifest.from_json(old, "here") == Manifest.of(SPECS)


@pytest.mark.parametrize(
    "value", ["x", [1], {}, {"images": "many", "backgrounds": {}}, {"images": 5}]
)
def test_a_calibration_that_makes_no_sense_is_damage(value: object) -> None:
    with pytest.raises(IndexDamaged, match="manifest of the index here is damaged"):
        Manifest.from_json({**Manifest.of(SPECS).to_json(), "calibration": value}, "here")


def test_a_calibration_without_a_vector_of_the_index_is_damage() -> None:
    one = {"images": 100, "backgrounds": {"color": {"mean": 0.2, "spread": 0.3}}}
    with pytest.raises(IndexDamaged, match="manifest of the index here is damaged"):
        Manifest.from_json({**Manifest.of(SPECS).to_json(), "calibration": one}, "here")


def test_a_newer_schema_is_refused() -> None:
    newer = {**Manifest.of(SPECS).to_json(), "schema": SCHEMA + 1}
    with pytest.raises(SchemaTooNew, match="upgrade it with"):
        Manifest.from_json(newer, "here")


@pytest.mark.parametrize("key", ["schema", "vectors", "aspects", "fields", "model_dir"])
def test_what_is_missing_is_damage(key: str) -> None:
    without = {name: part for name, part in Manifest.of(SPECS).to_json().items() if name != key}
    with pytest.raises(IndexDamaged, match="manifest of the index here is damaged"):
        Manifest.from_json(without, "here")


KEYS_AND_VALUES = [
    *itertools.product(
        ["schema", "vectors", "aspects", "fields"], [None, "x", [1], {"semantic": "nothing"}]
    ),
    ("text_revision", 5),
]


@pytest.mark.parametrize(("key", "value"), KEYS_AND_VALUES)
def test_what_makes_no_sense_is_damage(key: str, value: object) -> None:
    with pytest.raises(IndexDamaged, match="manifest of the index here is damaged"):
        Manifest.from_json({**Manifest.of(SPECS).to_json(), key: value}, "here")


def test_another_revision_is_another_model() -> None:
    manifest = Manifest.of(SPECS)
    manifest.require(SPECS[0])
    other = VectorSpec("clip-vit-b-32", "semantic", 512, Distance.COSINE, "float32", "clip", "xyz")
    with pytest.raises(ModelError, match=r"revision abc.*revision xyz"):
        manifest.require(other)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with closing(open_engine(str(tmp_path / "index"))) as engine:
        engine.create(SPECS)
        engine.write_manifest(Manifest.of(SPECS).to_json())
        yield engine


def test_two_writers_keep_each_others_changes(engine: Engine) -> None:
    seen: list[Manifest] = []
    one = ManifestStore(engine, Manifest.of(SPECS), seen.append)
    two = ManifestStore(engine, Manifest.of(SPECS), seen.append)
    one.update(lambda manifest: manifest.with_fields({"price": FieldType.FLOAT}))
    two.update(lambda manifest: replace(manifest, calibration=CALIBRATION))
    assert one.current.calibration is None
    one.update()
    assert one.current == one.read() == two.current == seen[-1]
    assert one.current.fields == {"price": FieldType.FLOAT}
    assert one.current.calibration == CALIBRATION
    assert len(seen) == 3


def test_an_update_restores_fields_that_another_writer_dropped(engine: Engine) -> None:
    store = ManifestStore(engine, Manifest.of(SPECS), lambda manifest: None)
    store.update(lambda manifest: manifest.with_fields({"price": FieldType.FLOAT}))
    engine.write_manifest(Manifest.of(SPECS).to_json())
    assert store.read().fields == {}
    store.update()
    assert store.read().fields == {"price": FieldType.FLOAT}
