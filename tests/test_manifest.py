"""What an index says of itself, and whom it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lookalike.errors import IndexDamaged, ModelError, SchemaTooNew
from lookalike.manifest import SCHEMA, Calibration, Manifest
from lookalike.types import Background, Distance, FieldType, VectorSpec

SPECS = [
    VectorSpec("clip-vit-b-32", "semantic", 512, Distance.COSINE, "float32", "clip", "abc"),
    VectorSpec("color", "color", 96, Distance.COSINE, "float32", "color", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "phash", "1"),
]


def test_it_reads_what_it_wrote() -> None:
    manifest = Manifest.of(SPECS, "/models").with_fields({"price": FieldType.FLOAT})
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


@pytest.mark.parametrize("key", ["schema", "vectors", "aspects", "fields"])
@pytest.mark.parametrize("value", [None, "x", [1], {"semantic": "nothing"}])
def test_what_makes_no_sense_is_damage(key: str, value: object) -> None:
    with pytest.raises(IndexDamaged, match="manifest of the index here is damaged"):
        Manifest.from_json({**Manifest.of(SPECS).to_json(), key: value}, "here")


def test_another_revision_is_another_model() -> None:
    manifest = Manifest.of(SPECS)
    manifest.require(SPECS[0])
    other = VectorSpec("clip-vit-b-32", "semantic", 512, Distance.COSINE, "float32", "clip", "xyz")
    with pytest.raises(ModelError, match=r"revision abc.*revision xyz"):
        manifest.require(other)
